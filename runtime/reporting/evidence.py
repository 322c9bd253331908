"""What stands behind a number: confusions, curves, examples and points, found while measuring.

It is kept in the run's folder, so that the report can be made again without the data.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from dhc.runtime.data.pictures import Rgb
from dhc.runtime.reporting.decode import read_record
from dhc.runtime.reporting.files import EVIDENCE, write_text

Point = tuple[float, float]


@dataclass(frozen=True)
class Confusion:
    """How often samples of each class were taken for which.

    Attributes:
        output: Of the network.
        classes: Their names.
        counts: A row for each true class, a column for each predicted one.
    """

    output: str
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class RocCurve:
    """Sensitivity over the share of false alarms, for one class against the others."""

    output: str
    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Case:
    """One sample with its prediction.

    Attributes:
        name: Of the sample.
        rank: Where it stands among all.
        note: What it is worth, in words.
        pictures: PNG files in base64, by what they show.
    """

    name: str
    rank: str
    note: str
    pictures: Mapping[str, str]


@dataclass(frozen=True)
class Examples:
    """Samples of which pictures are kept; `order` says what they are ranked by."""

    output: str
    order: str
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Scatter:
    """True and predicted values.

    Attributes:
        output: Of the network.
        unit: What a point is: `sample` or `element`.
        total: How many there are; the points are drawn evenly from them.
        points: Pairs of truth and prediction.
    """

    output: str
    unit: str
    total: int
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Evidence:
    """Everything that is kept of one part of the data."""

    confusions: tuple[Confusion, ...] = ()
    curves: tuple[RocCurve, ...] = ()
    examples: tuple[Examples, ...] = ()
    scatters: tuple[Scatter, ...] = ()


@dataclass(frozen=True)
class _File:
    version: int
    parts: Mapping[str, Evidence]


VERSION = 1


def write_evidence(folder: Path, parts: Mapping[str, Evidence]) -> None:
    """Writes what stands behind the results of a run."""
    content = asdict(_File(VERSION, parts))
    write_text(folder / EVIDENCE, json.dumps(content, separators=(",", ":"), allow_nan=False))


def read_evidence(folder: Path) -> Mapping[str, Evidence]:
    """Reads it again; nothing where there is none, or another version wrote it.

    Raises:
        DhcError: if the file is damaged.
    """
    found = read_record(folder / EVIDENCE, _File)
    return found.parts if found is not None and found.version == VERSION else {}


def png(picture: Rgb) -> str:
    """Returns a picture as a PNG file in base64."""
    from PIL import Image as Pillow

    grey = bool(
        (picture[..., 0] == picture[..., 1]).all() & (picture[..., 1] == picture[..., 2]).all()
    )
    stream = io.BytesIO()
    Pillow.fromarray(picture[..., 0] if grey else picture).save(stream, format="PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")
