"""Builds generated C++ with the host's compiler, in a private directory, and loads it."""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from dhc.backends.grid import tool_missing
from dhc.errors import DhcError, Diagnostic

_COMPILERS = ("g++", "clang++", "c++")
_EXACT = ("-O2", "-std=c++17", "-ffp-contract=off", "-fwrapv", "-fno-strict-aliasing", "-w")


def find_compiler(purpose: str) -> str:
    """Returns the path of a C++ compiler.

    Raises:
        DhcError: if there is none; it says what for and how to get one.
    """
    for name in _COMPILERS:
        found = shutil.which(name)
        if found:
            return found
    raise tool_missing(
        f"{purpose} needs a C++ compiler; neither {' nor '.join(_COMPILERS)} is on the PATH.",
        "install one: apt install g++ (or dnf install gcc-c++, xcode-select --install)",
    )


def compile_files(directory: Path, arguments: Sequence[str], purpose: str) -> None:
    """Runs the compiler in a directory, with IEEE arithmetic and wrapping integers.

    Raises:
        DhcError: if there is no compiler, or it refuses the text.
    """
    native = ("-march=native",) if platform.machine() in ("x86_64", "AMD64") else ()
    command = [find_compiler(purpose), *_EXACT, *native, *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = "The C++ compiler refused the generated text."
        raise DhcError(Diagnostic("device-compiler", message, notes=(done.stderr[-4000:],)))


def load_library(files: Mapping[str, str], purpose: str) -> ctypes.CDLL:
    """Builds the first of the files as a shared library and loads it.

    Args:
        files: File name to text; the others are what the first includes.
        purpose: Who needs this, for the message if no compiler is there.
    """
    with tempfile.TemporaryDirectory(prefix="dhc-") as name:
        directory = Path(name)
        for file, text in files.items():
            (directory / file).write_text(text, encoding="utf-8")
        main = next(iter(files))
        compile_files(directory, ["-shared", "-fPIC", "-o", "program.so", main], purpose)
        return ctypes.CDLL(str(directory / "program.so"))
