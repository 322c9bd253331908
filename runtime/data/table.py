"""Data sets described by a table: one row for each sample, with its file, part and label."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dhc.errors import DhcError, Diagnostic, did_you_mean
from dhc.ir.graph import Array
from dhc.runtime.data.dataset import PARTS, DataSet, Kind, Problems, Sample, in_parts, inside

MAX_BYTES = 1 << 30
MAX_ROWS = 10_000_000
FILES = ("image", "path", "file", "filename")
LABEL, LABELS, MASK = "label", "labels", "mask"
SPLITS = ("split", "part")
GROUPS = ("patient", "group", "source_group", "subject")
KNOWN = (*FILES, LABEL, LABELS, MASK, *SPLITS, *GROUPS)
SHORT = 3  # letters of a name that looks like too many others to be a slip
SEPARATOR = "|"  # between several labels of one sample
NONE = ("", "no finding", "none")

Row = Mapping[str, str]
Line = tuple[int, Row]
"""The number of a line and what it holds by column."""


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are called; nothing where there is no such column."""

    image: str
    mask: str
    label: str
    part: str
    group: str

    @property
    def kind(self) -> Kind:
        return "labels" if self.label == LABELS else "label"

    @property
    def files(self) -> dict[str, str]:
        """The columns of files by field."""
        return {"image": self.image, **({"mask": self.mask} if self.mask else {})}

    @property
    def fields(self) -> dict[str, Kind]:
        found: dict[str, Kind] = {"image": "image"}
        found |= {"mask": "mask"} if self.mask else {}
        found |= {self.kind: self.kind} if self.label else {}
        return found


def open_table(path: Path) -> DataSet:
    """Opens a CSV file with a header.

    Columns: the image's file (`image`, `path`, `file` or `filename`), `label` or `labels` (several
    with `|` between them), and where there are such: `mask`, the part (`split` or `part`), and
    what belongs together (`patient`, `group`, `source_group` or `subject`). Files are found from
    the table's folder. Columns with other names are left alone, unless they look like a slip.
    Without a part, all is for training.

    Raises:
        DhcError: if columns, files or values are missing, or paths lead elsewhere.
    """
    header, lines = _read(path)
    problems = Problems()
    columns = _columns(header, problems)
    if not lines:
        problems.add("it has no rows.")
    problems.report(path)
    classes = _classes([row[columns.label] for _, row in lines if columns.label], columns)
    if columns.label and not classes:
        problems.add(f"the column '{columns.label}' names no class.")
    folder = path.parent.resolve()
    found = [_sample(folder, line, columns, classes, problems) for line in lines]
    problems.report(path)
    return DataSet(folder.name, columns.fields, tuple(classes), in_parts(found))


# ---- reading -------------------------------------------------------------------------------------


def _read(path: Path) -> tuple[list[str], list[Line]]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES} bytes")
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = [name.strip() for name in next(reader, [])]
            lines: list[Line] = []
            for cells in filter(None, reader):
                if len(cells) != len(header):
                    counts = f"{len(cells)} fields, and the header {len(header)}"
                    raise ValueError(f"line {reader.line_num} has {counts}")
                if len(lines) == MAX_ROWS:
                    raise ValueError(f"it has more than {MAX_ROWS} rows")
                row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
                lines.append((reader.line_num, row))
    except (OSError, ValueError, csv.Error) as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        text = f"The table '{path}' cannot be read: {reason}."
        raise DhcError(Diagnostic("data", text)) from error
    return header, lines


def _columns(header: Sequence[str], problems: Problems) -> Columns:
    for name, count in Counter(header).items():
        if count > 1:
            problems.add(f"the column '{name}' is there {count} times.")
        guess = did_you_mean(name, KNOWN)
        if name not in KNOWN and len(name) > SHORT and guess:
            problems.add(f"the column '{name}' is not known; did you mean '{guess}'?")
    image = _one_of(FILES, header, problems)
    if not image:
        problems.add(f"none of its columns is one of {', '.join(FILES)}.")
    return Columns(
        image,
        _one_of((MASK,), header, problems),
        _one_of((LABEL, LABELS), header, problems),
        _one_of(SPLITS, header, problems),
        _one_of(GROUPS, header, problems),
    )


def _one_of(names: Sequence[str], header: Sequence[str], problems: Problems) -> str:
    found = [name for name in names if name in header]
    if len(found) > 1:
        problems.add(f"the columns '{found[0]}' and '{found[1]}' mean the same; rename one.")
    return found[0] if found else ""


# ---- samples -------------------------------------------------------------------------------------


def _sample(
    folder: Path, line: Line, columns: Columns, classes: Mapping[str, int], problems: Problems
) -> tuple[str, Sample]:
    """The part and the sample of a line."""
    number, row = line
    for column in (columns.part, columns.group, columns.label):
        if column and not row[column] and column != LABELS:
            problems.add(f"line {number}: the {column} is empty.")
    values: dict[str, Path | Array | int | float] = {}
    for field, column in columns.files.items():
        values[field] = _file(folder, row[column], number, problems)
    if columns.label:
        values[columns.kind] = _label(row[columns.label], classes, columns)
    part = row[columns.part] if columns.part else "train"
    if part and part not in PARTS:
        problems.add(f"line {number}: the part is '{part}', not {', '.join(PARTS)}.")
    group = row[columns.group] if columns.group else ""
    return part, Sample(row[columns.image], values, group)


def _file(folder: Path, text: str, number: int, problems: Problems) -> Path:
    try:
        found = inside(folder, text)
        if not found.is_file():
            raise ValueError(f"there is no file '{text}'")
    except (ValueError, OSError) as error:
        problems.add(f"line {number}: {getattr(error, 'strerror', None) or error}.")
        return folder
    return found


def _classes(texts: Sequence[str], columns: Columns) -> dict[str, int]:
    """The number of each class; names that are numbers are in the order of numbers."""
    if columns.kind == "label":
        names = {text for text in texts if text}
    else:
        names = {name for text in texts for name in _names(text)}
    numeric = all(name.isascii() and name.isdecimal() and len(name) < 19 for name in names)
    ordered = sorted(names, key=int) if numeric else sorted(names)
    return {name: number for number, name in enumerate(ordered)}


def _label(text: str, classes: Mapping[str, int], columns: Columns) -> Array | int:
    if columns.kind == "label":
        return classes.get(text, -1)  # an empty one is a problem already
    own = _names(text)
    return np.array([name in own for name in classes], np.float32)


def _names(text: str) -> set[str]:
    """The labels of a sample; what says that there are none is no label."""
    names = {name.strip() for name in text.split(SEPARATOR)}
    return {name for name in names if name.lower() not in NONE}
