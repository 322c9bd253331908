"""The ledger of a run or a study: what took how long, one line of JSON each, never changed.

Each line carries the digest of the line before it and its own, so a line that was changed, added
or taken out by hand is found. A last line without its end was never finished: it does not count,
and the next entry takes its place. Several processes may append at once.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal

from dhc.errors import DhcError, Diagnostic
from dhc.runtime.kpi.lock import locked
from dhc.runtime.reporting.decode import decode

FILE = "kpi.jsonl"
VERSION = 1
MAX_LINE = 1 << 14
MAX_BYTES = 1 << 28

Label = Literal["measured", "declared", "unknown"]
KINDS = {
    "start": "a session of training began",
    "pipeline_design": "designing and writing the pipeline (T1)",
    "pipeline_run": "the pipeline over all images, one after another (T2)",
    "model_design": "designing and writing the model",
    "training": "the training run (totm)",
    "test": "measuring the trained model",
    "deployment": "bringing the model to where it is used",
}


@dataclass(frozen=True)
class Entry:
    """One thing that took time.

    Attributes:
        kind: One of `KINDS`.
        seconds: How long.
        label: `measured` by dhc, or `declared` by a person.
        program: The digest of the program that it is for; "" for a whole study.
        pipeline: The digest of the pipelines that it is for.
        subject: The name of the train or study.
        session: What belongs together: one process's work.
        part: The part of the data, where it is about one.
        parts: All parts, separated by blanks.
        when: The date and time in UTC; set when it is appended.
    """

    kind: str
    seconds: float
    label: str = "measured"
    program: str = ""
    pipeline: str = ""
    subject: str = ""
    session: str = ""
    part: str = ""
    parts: str = ""
    when: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"'{self.kind}' is no kind of entry")
        if self.label not in ("measured", "declared"):
            raise ValueError(f"'{self.label}' is no label of an entry")
        if not math.isfinite(self.seconds) or self.seconds < 0:
            raise ValueError(f"{self.seconds} is no time")


@dataclass(frozen=True)
class _Line:
    """What a line holds besides its own digest."""

    version: int
    previous: str
    entry: Entry

    @property
    def digest(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def text(self) -> str:
        whole = {**asdict(self), "digest": self.digest}
        return json.dumps(whole, separators=(",", ":"), allow_nan=False) + "\n"


def append(folder: Path, *entries: Entry) -> None:
    """Adds entries to the ledger of a folder, and waits until they are on the disk.

    Raises:
        DhcError: if its last line is damaged; nothing is written then.
        OSError: naming the file, if it cannot be written.
    """
    path = folder / FILE
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with path.open("a+b") as file, locked(file):
        previous = _end(file, path)
        for entry in entries:
            line = _Line(VERSION, previous, _at(entry, now))
            file.write(line.text().encode())
            previous = line.digest
        file.flush()
        os.fsync(file.fileno())


def read_ledger(folder: Path) -> tuple[Entry, ...]:
    """Returns the entries of a folder's ledger, the oldest first; none where there is none.

    Raises:
        DhcError: naming the first line that is damaged or does not follow the one before it.
    """
    path = folder / FILE
    if not path.is_file():
        return ()
    with path.open("rb") as file, locked(file, shared=True):
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _fail(f"The ledger '{path}' has more than {MAX_BYTES} bytes.")
    found, previous = [], ""
    for number, text in enumerate(content.split(b"\n")[:-1], 1):
        line = _parse(text, path, number)
        if line.previous != previous:
            raise _fail(f"'{path}', line {number}: lines before it are missing or changed.")
        found.append(line.entry)
        previous = line.digest
    return tuple(found)


def read_ledgers(folders: Sequence[Path]) -> tuple[Entry, ...]:
    """Returns the entries of several ledgers, the oldest first."""
    entries = [entry for folder in folders for entry in read_ledger(folder)]
    return tuple(sorted(entries, key=lambda entry: entry.when))


# ---- lines -----------------------------------------------------------------------------------


def _at(entry: Entry, when: str) -> Entry:
    values = asdict(entry)
    return Entry(**{**values, "when": entry.when or when})


def _end(file: BinaryIO, path: Path) -> str:
    """Goes to the end of the last whole line, cuts off what follows, and returns its digest."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - 2 * MAX_LINE)
    file.seek(start)
    tail = file.read(size - start)
    whole = tail.rfind(b"\n") + 1
    if whole < len(tail):
        if start and not whole:
            raise _fail(f"'{path}' is no ledger: its last line has no end.")
        file.truncate(start + whole)
    if not whole:
        return ""
    first = tail.rfind(b"\n", 0, whole - 1) + 1
    return _parse(tail[first : whole - 1], path, 0).digest


def _parse(text: bytes, path: Path, number: int) -> _Line:
    where = f"'{path}', line {number}" if number else f"'{path}', the last line"
    try:
        if len(text) > MAX_LINE:
            raise ValueError(f"it has more than {MAX_LINE} bytes")
        content = json.loads(text)
        version = content.get("version") if isinstance(content, dict) else None
        if version != VERSION:
            raise ValueError(f"it is of version {version}, and this dhc reads {VERSION}")
        line = decode(content, _Line)
        if text.decode() + "\n" != line.text():
            raise ValueError("its digest differs: it was changed")
    except (ValueError, RecursionError) as problem:
        hint = "restore the file from a copy, or move it away to begin a new one"
        raise _fail(f"{where} of the ledger is damaged: {problem}.", hint) from None
    return line


def _fail(text: str, *hints: str) -> DhcError:
    return DhcError(Diagnostic("ledger", text, hints=hints))
