"""Locks on open files, for processes that share one."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

PLACE = 1 << 62  # of the byte that stands for the whole file on Windows
PAUSE = 0.02  # seconds between trials there

if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def locked(file: BinaryIO, shared: bool = False) -> Iterator[None]:
        """Holds a file alone; `shared` has no effect on Windows."""
        while True:
            file.seek(PLACE)
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                break
            except OSError:
                time.sleep(PAUSE)
        file.seek(0)
        try:
            yield
        finally:
            file.seek(PLACE)
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    @contextmanager
    def locked(file: BinaryIO, shared: bool = False) -> Iterator[None]:
        """Holds a file: alone, or with other readers if `shared`. Waits until it can."""
        fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
