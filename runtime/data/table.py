"""Data sets described by a table: one row for each sample, with its file, part and label."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from dhc.errors import DhcError, Diagnostic
from dhc.runtime.data.dataset import PARTS, DataSet, Kind, Problems, Sample, in_parts, inside

MAX_ROWS = 10_000_000
MAX_FIELD = 1 << 16
FILES = ("image", "path", "file", "filename")
LABEL, LABELS, PART, MASK = "label", "labels", ("split", "part"), "mask"
GROUPS = ("patient", "group", "source_group", "subject")
SEPARATOR = "|"  # between several labels of one sample
NONE = ("", "no finding", "none")

Row = Mapping[str, str]


def open_table(path: Path) -> DataSet:
    """Opens a CSV file with a header.

    Columns: the image's file (`image`, `path`, `file` or `filename`), `label` or `labels` (several
    with `|` between them), and where there are such: `mask`, the part (`split` or `part`), and
    what belongs together (`patient`, `group`, `source_group` or `subject`). Files are found from
    the table's folder.

    Raises:
        DhcError: if columns or files are missing, or paths lead elsewhere.
    """
    rows = list(_rows(path))
    problems = Problems()
    columns = list(rows[0]) if rows else []
    file = next((name for name in FILES if name in columns), "")
    if not file:
        problems.add(f"none of its columns is one of {', '.join(FILES)}.")
        problems.report(path)
    kind: Kind = "labels" if LABELS in columns else "label"
    classes = _classes(rows, kind) if kind in columns else ()
    part = next((name for name in PART if name in columns), "")
    group = next((name for name in GROUPS if name in columns), "")
    found: list[tuple[str, Sample]] = []
    for number, row in enumerate(rows, 2):
        values: dict[str, Path | np.ndarray[tuple[int, ...], np.dtype[np.generic]] | int | float]
        values = {}
        for name, column in (("image", file), (MASK, MASK)):
            if column in columns:
                place = _file(path.parent, row[column], number, problems)
                if place is not None:
                    values[name] = place
        if kind in columns:
            values[kind] = _label(row[kind], classes, kind)
        own = row[part].strip() if part else "train"
        if own not in PARTS:
            problems.add(f"line {number}: the part is '{own}', not train, val or test.")
        found.append((own, Sample(row[file], values, row[group] if group else "")))
    problems.report(path)
    fields: dict[str, Kind] = {"image": "image"}
    fields |= {"mask": "mask"} if MASK in columns else {}
    fields |= {kind: kind} if kind in columns else {}
    return DataSet(path.parent.name, fields, classes, in_parts(found))


def _rows(path: Path) -> Iterator[Row]:
    csv.field_size_limit(MAX_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for number, row in enumerate(csv.DictReader(stream, strict=True), 2):
                if number > MAX_ROWS:
                    raise ValueError(f"it has more than {MAX_ROWS} rows")
                if None in row or None in row.values():
                    raise ValueError(f"line {number} has another number of fields than the header")
                yield row
    except (OSError, ValueError, csv.Error, UnicodeDecodeError) as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        text = f"The table '{path}' cannot be read: {reason}."
        raise DhcError(Diagnostic("data", text)) from error


def _file(folder: Path, text: str, number: int, problems: Problems) -> Path | None:
    try:
        found = inside(folder, text)
    except (ValueError, OSError) as error:
        problems.add(f"line {number}: {error}.")
        return None
    if not found.is_file():
        problems.add(f"line {number}: there is no file '{text}'.")
        return None
    return found


def _classes(rows: list[Row], kind: Kind) -> tuple[str, ...]:
    texts = (row[kind] for row in rows)
    if kind == "label":
        return tuple(sorted({text.strip() for text in texts}))
    names = {name.strip() for text in texts for name in text.split(SEPARATOR)}
    return tuple(sorted(name for name in names if name.lower() not in NONE))


def _label(
    text: str, classes: tuple[str, ...], kind: Kind
) -> int | np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    if kind == "label":
        return classes.index(text.strip())
    own = {name.strip() for name in text.split(SEPARATOR)}
    return np.array([name in own for name in classes], np.float32)
