"""Writes the stages of compilations into a folder: for reading along, and for reports of bugs."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dhc.errors import DhcError, Diagnostic
from dhc.passes.manager import (
    Event,
    PassRecord,
    PlanRecord,
    SourceRecord,
    SplitRecord,
    StartRecord,
)

PACKAGES = ("dhc", "numpy", "llvmlite", "numba", "lark", "pydicom", "pillow", "pyopencl", "typer")


class Dump:
    """A hook that writes one numbered file for each stage, as soon as it is there.

    There are no weights and no images in it, but the command line with its names of files.

    Args:
        folder: Where to write; made if it is not there.
        arguments: The command line.

    Raises:
        DhcError: if the folder has files in it already.
    """

    def __init__(self, folder: Path, arguments: Sequence[str]) -> None:
        self.folder = folder
        self._number = 0
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            text = f"The folder '{folder}' is not empty."
            raise DhcError(Diagnostic("dump-folder", text, hints=("name a new folder",)))
        self._write("command.txt", shlex.join(["dhc", *arguments]) + "\n")
        self._write("versions.txt", versions())

    def __call__(self, event: Event) -> None:
        from dhc.ir.text import print_graph, print_kernel

        match event:
            case StartRecord(graph, target):
                self._stage("program", f"# {target}\n{print_graph(graph)}")
            case PassRecord():
                self._stage(event.name, print_graph(event.after))
            case SplitRecord():
                self._stage("prepare", print_graph(event.prepare))
                self._stage("main", print_graph(event.main))
            case PlanRecord(plan):
                from dhc.explain import print_plan

                self._stage("plan", print_plan(plan))
                self._stage("kernels", "\n".join(map(print_kernel, plan.kernels)))
            case SourceRecord(files):
                for name, text in files.items():
                    self._stage(f"source_{name}", text)

    def failed(self, error: BaseException) -> None:
        """Adds how it ended."""
        self._write("error.txt", "".join(traceback.format_exception(error)))

    def _stage(self, name: str, text: str) -> None:
        plain = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)
        suffix = "" if "." in plain else ".txt"
        self._write(f"{self._number:03}_{plain}{suffix}", text)
        self._number += 1

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")


def versions() -> str:
    """Returns a line for each thing whose version may matter."""
    lines = [
        f"Python {platform.python_version()} {sys.platform}",
        f"system {platform.platform()}",
        f"machine {platform.machine()}, {os.cpu_count()} cores",
    ]
    for name in PACKAGES:
        try:
            lines.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            lines.append(f"{name} is not installed")
    return "\n".join(lines) + "\n"
