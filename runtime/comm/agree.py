"""What ranks decide together: whether to go on, what they read, that they are alike."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

from dhc.errors import ArgumentError, DhcError, Diagnostic
from dhc.ir.graph import Array
from dhc.runtime.comm.base import Communicator

T = TypeVar("T")
_MISTAKES = (DhcError, ArgumentError, OSError, MemoryError)
_MISTAKE, _BUG = 1, 3  # exit statuses


class ElsewhereError(SystemExit):
    """Another rank failed and says why; this one leaves without a word."""


def together(communicator: Communicator, action: Callable[[], T]) -> T:
    """Does what may fail on some ranks only: all succeed, or all raise.

    The first rank that failed raises its own error, which it alone reports.

    Raises:
        ElsewhereError: on the other ranks.
    """
    failure: Exception | None = None
    try:
        result = action()
    except Exception as error:
        failure = error
    found = communicator.allgather(b"" if failure is None else bytes([status_of(failure)]))
    failed = [rank for rank, content in enumerate(found) if content]
    if not failed:
        return result
    communicator.leaving = True
    if failure is not None and failed[0] == communicator.rank:
        raise failure
    raise ElsewhereError(found[failed[0]][0])


def first_alone(communicator: Communicator, action: Callable[[], None]) -> None:
    """Lets rank 0 do something, such as writing a file, while the others wait.

    Raises:
        ElsewhereError: on the other ranks, if it failed.
    """
    together(communicator, action if communicator.rank == 0 else lambda: None)


@contextmanager
def ending_together(
    communicator: Communicator, report: Callable[[BaseException], int]
) -> Iterator[None]:
    """Ends all ranks if one fails where the others cannot know of it.

    Args:
        communicator: The ranks.
        report: Says what went wrong, and returns the exit status.
    """
    try:
        yield
    except BaseException as error:
        told = communicator.leaving or isinstance(error, ElsewhereError)
        if communicator.size > 1 and not told:
            communicator.abort(report(error))
        raise


def share_arrays(communicator: Communicator, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Returns the arrays that rank 0 has."""
    if communicator.size == 1:
        return dict(arrays)
    return unpack(communicator.broadcast(pack(arrays) if communicator.rank == 0 else b""))


def share_json(communicator: Communicator, content: T) -> T:
    """Returns the plain values that rank 0 has."""
    if communicator.size == 1:
        return content
    found: T = json.loads(communicator.broadcast(json.dumps(content).encode()))
    return found


def check_alike(communicator: Communicator, arrays: Mapping[str, Array]) -> None:
    """Compares digests of what must be the same on all ranks.

    Raises:
        DhcError: on rank 0, naming the first rank that differs.
        ElsewhereError: on the others.
    """
    if communicator.size == 1:
        return
    digests = communicator.allgather(_digest(arrays))

    def compare() -> None:
        for rank, digest in enumerate(digests):
            if digest != digests[0]:
                text = f"The weights of rank {rank} differ from those of rank 0."
                hints = ("use processors of one kind, with the same versions of all packages",)
                raise DhcError(Diagnostic("distribute", text, hints=hints))

    together(communicator, compare)


def pack(arrays: Mapping[str, Array]) -> bytes:
    """Returns arrays as bytes; there are no objects in them."""
    from safetensors.numpy import save

    return save({name: np.asarray(array, order="C") for name, array in arrays.items()})


def unpack(content: bytes) -> dict[str, Array]:
    """Returns what `pack` packed."""
    from safetensors.numpy import load

    found: dict[str, Array] = load(content)
    return found


def _digest(arrays: Mapping[str, Array]) -> bytes:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.digest()


def status_of(error: BaseException) -> int:
    """Returns the exit status that an error means."""
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code
    return _MISTAKE if isinstance(error, _MISTAKES) else _BUG
