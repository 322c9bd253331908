"""What the report is made of: the files of a run's folder, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dhc.runtime.kpi.ledger import Entry, read_ledger
from dhc.runtime.reporting.decode import read_record
from dhc.runtime.reporting.evidence import Evidence, read_evidence
from dhc.runtime.reporting.files import (
    DATA,
    DESCRIPTION,
    ENVIRONMENT,
    PROGRAM,
    RESOLVED,
    RESULTS,
    STATUS,
    DataSummary,
    PartResult,
    Status,
)
from dhc.runtime.reporting.history import FILE as HISTORY
from dhc.runtime.reporting.history import read_history
from dhc.runtime.reporting.records import EpochRecord, StepRecord

MAX_SOURCES, MAX_SOURCE = 64, 1 << 18

Values = Mapping[str, object]


@dataclass(frozen=True)
class RunFiles:
    """A run as its files tell it; what is not there yet is empty.

    Attributes:
        folder: Where they are.
        description: `run.json`.
        environment: `environment.json`.
        resolved: The train block with all its defaults.
        sources: The program's files by name.
    """

    folder: Path
    description: Values
    environment: Values
    resolved: str
    sources: Mapping[str, str]
    status: Status | None
    data: DataSummary | None
    steps: Sequence[StepRecord]
    epochs: Sequence[EpochRecord]
    results: Mapping[str, PartResult]
    evidence: Mapping[str, Evidence]
    ledger: Sequence[Entry]

    @property
    def name(self) -> str:
        """The name of the train block."""
        return str(self.description.get("train") or self.folder.name)

    @property
    def best(self) -> EpochRecord | None:
        """The epoch whose weights are the run's result."""
        return next((each for each in reversed(self.epochs) if each.best), None)


def read_run(folder: Path) -> RunFiles:
    """Reads a run's files.

    Raises:
        DhcError: if one of them is damaged.
    """
    steps, epochs = read_history(folder) if (folder / HISTORY).is_file() else ([], [])
    return RunFiles(
        folder=folder,
        description=_values(folder / DESCRIPTION),
        environment=_values(folder / ENVIRONMENT),
        resolved=_text(folder / RESOLVED),
        sources=_sources(folder / PROGRAM),
        status=read_record(folder / STATUS, Status),
        data=read_record(folder / DATA, DataSummary),
        steps=steps,
        epochs=epochs,
        results=read_record(folder / RESULTS, Mapping[str, PartResult]) or {},  # type: ignore[type-abstract]
        evidence=read_evidence(folder),
        ledger=read_ledger(folder),
    )


def _values(path: Path) -> Values:
    return read_record(path, Mapping[str, object]) or {}  # type: ignore[type-abstract]


def _sources(folder: Path) -> dict[str, str]:
    """The program's own files; links are left alone, for they may lead anywhere."""
    files = [p for p in sorted(folder.rglob("*.dhm")) if p.is_file() and not p.is_symlink()]
    return {str(p.relative_to(folder).as_posix()): _text(p) for p in files[:MAX_SOURCES]}


def _text(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(MAX_SOURCE)
