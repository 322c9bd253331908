"""Memory for programs: page-aligned, in huge pages where the system has them, touched in advance.

First touches of pages can cost more than the computation, so they happen once, when memory is made.
"""

from __future__ import annotations

import ctypes
import mmap
import threading
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

HUGE_PAGE = 2 << 20
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_KEPT = 32 << 20  # bytes; more is not allowed
SLACK = 256  # bytes after a block that vector reads may touch


def allocate(size: int, touched: bool = True) -> Bytes:
    """Returns zeroed memory of at least `size` bytes, aligned to 64 bytes or more.

    Args:
        size: How many bytes.
        touched: Whether its pages are made now; whoever fills it at once need not.
    """
    rounded = max(-(-size // HUGE_PAGE) * HUGE_PAGE, HUGE_PAGE) if size > HUGE_PAGE else 1 << 16
    rounded = max(rounded, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE)
    extra = HUGE_PAGE if rounded >= HUGE_PAGE else 0
    region = _private(rounded + extra)
    if hasattr(mmap, "MADV_HUGEPAGE") and extra:
        region.madvise(mmap.MADV_HUGEPAGE)
    array = np.frombuffer(region, np.uint8)
    start = -array.ctypes.data % HUGE_PAGE if extra else 0
    used = array[start : start + rounded]
    if touched:
        used.fill(0)
    return used


def _private(size: int) -> mmap.mmap:
    """Anonymous memory of this process alone: Linux gives huge pages to no other kind."""
    if hasattr(mmap, "MAP_PRIVATE") and hasattr(mmap, "MAP_ANONYMOUS"):
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return mmap.mmap(-1, size)


def keep_freed_memory() -> None:
    """Lets the C library keep freed memory for the next array instead of returning it at once.

    Where arrays of some hundred kilobytes come and go, half of the time is spent on new pages, and
    threads wait for each other there. It does nothing where the library is not glibc.
    """
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(_TRIM_THRESHOLD, _KEPT)
        library.mallopt(_MMAP_THRESHOLD, _KEPT)


class ArenaPool:
    """Arenas of one size, lent to calls; calls that overlap in time get different ones."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free: list[Bytes] = []
        self._lock = threading.Lock()

    def take(self) -> Bytes:
        """Returns an arena that nobody else uses."""
        with self._lock:
            if self._free:
                return self._free.pop()
        return allocate(self._size)

    def give_back(self, arena: Bytes) -> None:
        with self._lock:
            self._free.append(arena)
