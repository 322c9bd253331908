"""What ranks can say to each other, and the one rank that is alone.

All ranks make the same calls in the same order. Nothing that a rank hears is trusted more than it
must be: only numbers and text travel, no objects.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NoReturn, Protocol

from numpy.typing import NDArray

Numbers = NDArray[Any]


class Pending(Protocol):
    """A sum that is under way."""

    def wait(self) -> None:
        """Returns when the array holds the sum."""


class Communicator(ABC):
    """The ranks of a run, seen from one of them.

    Attributes:
        rank: The number of this one, from 0.
        size: How many there are.
        neighbours: How many of them share this machine, this one included.
        leaving: Whether all ranks know that one has failed.
    """

    rank: int = 0
    size: int = 1
    neighbours: int = 1
    leaving: bool = False

    @abstractmethod
    def start(self, array: Numbers) -> Pending:
        """Begins to replace a contiguous array by the sum of those of all ranks.

        Nothing else may touch the array before the sum is waited for. All ranks get the same bits.
        """

    @abstractmethod
    def allgather(self, content: bytes) -> list[bytes]:
        """Returns what each rank has given, in their order."""

    @abstractmethod
    def broadcast(self, content: bytes) -> bytes:
        """Returns what rank 0 has given."""

    @abstractmethod
    def abort(self, status: int) -> NoReturn:
        """Ends all ranks, whatever they are doing."""

    def allreduce(self, array: Numbers) -> None:
        """Replaces a contiguous array by the sum of those of all ranks."""
        self.start(array).wait()


class Alone(Communicator):
    """One rank without others."""

    def start(self, array: Numbers) -> Pending:
        return _Known()

    def allgather(self, content: bytes) -> list[bytes]:
        return [content]

    def broadcast(self, content: bytes) -> bytes:
        return content

    def abort(self, status: int) -> NoReturn:
        raise SystemExit(status)


class _Known:
    """The sum of one rank."""

    def wait(self) -> None:
        return


class Exchange:
    """What the collectives of a program go through.

    Attributes:
        communicator: The ranks.
        present: Whether this rank has samples of its own in the current step. If not it computes
            with one of another's, to keep step, and adds nothing to any sum.
    """

    def __init__(self, communicator: Communicator | None = None) -> None:
        self.communicator = communicator or Alone()
        self.present = True
        self._pending: dict[int, Pending] = {}

    def start(self, number: int, bucket: Numbers) -> None:
        """Begins a sum."""
        if not self.present:
            bucket.fill(0)
        self._pending[number] = self.communicator.start(bucket)

    def wait(self, number: int) -> None:
        """Waits for a sum that has begun."""
        self._pending.pop(number).wait()
