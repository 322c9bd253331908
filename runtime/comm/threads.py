"""Ranks that are threads of one process: for tests of what many processes will do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

import numpy as np

from dhc.runtime.comm.agree import ElsewhereError
from dhc.runtime.comm.base import Communicator, Numbers, Pending

T = TypeVar("T")


class AbortedError(ElsewhereError):
    """Another rank has ended all."""


@dataclass
class _Meeting:
    """One call that all ranks make.

    Attributes:
        given: What each rank has brought.
        left: How many have taken what they need.
    """

    given: dict[int, object] = field(default_factory=dict)
    left: int = 0


class _Room:
    """Where the threads meet."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.aborted = False
        self._changed = threading.Condition()
        self._meetings: dict[int, _Meeting] = {}

    def bring(self, number: int, rank: int, content: object) -> None:
        with self._changed:
            self._meetings.setdefault(number, _Meeting()).given[rank] = content
            self._changed.notify_all()

    def take(self, number: int) -> list[object]:
        """Waits for all ranks; returns what they brought, in their order."""
        with self._changed:
            meeting = self._meetings[number]
            self._changed.wait_for(lambda: self.aborted or len(meeting.given) == self.size)
            if len(meeting.given) < self.size:
                raise AbortedError
            meeting.left += 1
            if meeting.left == self.size:
                del self._meetings[number]
            return [meeting.given[rank] for rank in range(self.size)]

    def abort(self) -> None:
        with self._changed:
            self.aborted = True
            self._changed.notify_all()


class ThreadCommunicator(Communicator):
    """One of several threads that call themselves ranks."""

    def __init__(self, room: _Room, rank: int) -> None:
        self.rank, self.size, self.neighbours = rank, room.size, room.size
        self._room = room
        self._calls = 0

    def start(self, array: Numbers) -> Pending:
        assert array.flags.c_contiguous
        number = self._bring(array.copy())
        return _Sum(self._room, number, array)

    def allgather(self, content: bytes) -> list[bytes]:
        found = self._room.take(self._bring(content))
        return [each for each in found if isinstance(each, bytes)]

    def broadcast(self, content: bytes) -> bytes:
        return self.allgather(content)[0]

    def abort(self, status: int) -> NoReturn:
        self._room.abort()
        raise SystemExit(status)

    def _bring(self, content: object) -> int:
        number, self._calls = self._calls, self._calls + 1
        self._room.bring(number, self.rank, content)
        return number


class _Sum:
    """A sum in the order of the ranks."""

    def __init__(self, room: _Room, number: int, array: Numbers) -> None:
        self._room = room
        self._number = number
        self._array = array

    def wait(self) -> None:
        first, *rest = (np.asarray(each) for each in self._room.take(self._number))
        total = first.copy()
        for each in rest:
            total += each
        self._array[...] = total


def run_ranks(size: int, work: Callable[[Communicator], T]) -> list[T | BaseException]:
    """Runs a function on several ranks at once; returns what each returned or raised."""
    room = _Room(size)
    results: list[T | BaseException] = [AbortedError()] * size

    def run(rank: int) -> None:
        try:
            results[rank] = work(ThreadCommunicator(room, rank))
        except BaseException as error:
            results[rank] = error
            room.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
