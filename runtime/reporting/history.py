"""The history of a run, as lines of JSON: one for every step and every epoch.

Lines are written in order and never changed. A run that goes on from a checkpoint first cuts off
what was written after that checkpoint, so the file says what an undisturbed run would have said,
but for times.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path

from dhc.errors import DhcError, Diagnostic
from dhc.files import atomic_writer
from dhc.runtime.reporting.decode import decode
from dhc.runtime.reporting.records import EpochRecord, RunPlan, StepRecord

FILE = "history.jsonl"
MAX_LINE = 1 << 20


class History:
    """An observer that writes the history into a run's folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._file: TextIOWrapper | None = None

    def started(self, plan: RunPlan, done: int) -> None:
        kept = [line for line, step in _lines(self._path) if step <= done] if done else []
        with atomic_writer(self._path) as stream:
            stream.write("".join(kept).encode())
        self._file = self._path.open("a", encoding="utf-8")

    def step(self, record: StepRecord) -> None:
        self._write("step", asdict(record))

    def epoch(self, record: EpochRecord) -> None:
        self._write("epoch", asdict(record))

    def saving(self) -> None:
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())

    def stopped(self, why: str) -> None:
        assert self._file is not None
        self._file.close()

    def _write(self, kind: str, content: dict[str, object]) -> None:
        assert self._file is not None, "the run has not started"
        print(json.dumps({"kind": kind, **content}), file=self._file)


def read_history(folder: Path) -> tuple[list[StepRecord], list[EpochRecord]]:
    """Returns the steps and epochs of a run.

    Raises:
        DhcError: if there is no history, or a line of it is none.
    """
    path = folder / FILE
    if not path.is_file():
        raise DhcError(Diagnostic("run", f"'{folder}' holds no run: {FILE} is not there."))
    steps, epochs = [], []
    for line, _ in _lines(path):
        content = json.loads(line)
        try:
            if content.pop("kind") == "step":
                steps.append(_step(content))
            else:
                epochs.append(decode(content, EpochRecord))
        except (KeyError, TypeError, ValueError):
            raise DhcError(Diagnostic("run", f"'{path}' is no history of a run.")) from None
    return steps, epochs


def _step(content: dict[str, float]) -> StepRecord:
    """A step, all of whose values are numbers; there are many, so it is done without `decode`."""
    if not all(type(value) in (int, float) for value in content.values()):
        raise ValueError("a step holds something else than numbers")
    return StepRecord(**content)  # type: ignore[arg-type]


def _lines(path: Path) -> Iterator[tuple[str, int]]:
    """Yields whole lines with the step that each belongs to; a torn last line is left out."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        while line := file.readline(MAX_LINE):
            try:
                step = json.loads(line)["step"]
            except (ValueError, KeyError, TypeError):
                return
            if not line.endswith("\n") or not isinstance(step, int):
                return
            yield line, step
