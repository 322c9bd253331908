"""Gives memory back that a program which only runs needs no more."""

from __future__ import annotations

import ctypes
import logging
from pathlib import Path

_MAPS = Path("/proc/self/maps")
_LIBRARY = "libllvmlite"
_DONT_NEED = 4  # MADV_DONTNEED of Linux

log = logging.getLogger("dhc")


def release_compiler() -> None:
    """Drops the resident pages of LLVM's code, some 25 MB; whoever compiles reads them again.

    They are unchanged pages of a file, which the system may drop at any time. Only Linux tells a
    process where they are; elsewhere nothing happens.
    """
    try:
        text = _MAPS.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    system = ctypes.CDLL(None)
    for start, size in code_ranges(text):
        if system.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), _DONT_NEED):
            log.debug("The pages of LLVM's code cannot be released.")


def code_ranges(maps: str) -> list[tuple[int, int]]:
    """Returns start and size of the compiler's code in a table of mappings."""
    found = []
    for line in maps.splitlines():
        parts = line.split(maxsplit=5)
        if len(parts) == 6 and parts[1] == "r-xp" and _LIBRARY in Path(parts[5]).name:
            start, end = (int(number, 16) for number in parts[0].split("-"))
            found.append((start, end - start))
    return found
