"""The files of a run's folder by name, and the forms of those that the report reads."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dhc.files import atomic_writer

PROGRAM, DESCRIPTION, ENVIRONMENT = "program", "run.json", "environment.json"
RESOLVED, DATA, STATUS = "resolved.dhm", "data.json", "status.json"
RESULTS, EVIDENCE, WEIGHTS = "results.json", "evidence.json", "weights.safetensors"
REPORT = "report.html"


@dataclass(frozen=True)
class PartSummary:
    """One part of a data set.

    Attributes:
        samples: How many.
        groups: How many patients, slides or whatever groups are; None where none are named.
        classes: How many samples each class has.
    """

    samples: int
    groups: int | None = None
    classes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DataSummary:
    """What is trained on.

    Attributes:
        name: Of the data set.
        synthetic: Whether a program made it.
        fields: What each field of a sample is.
        classes: Their names, by number.
        parts: By name.
    """

    name: str
    synthetic: bool
    fields: Mapping[str, str]
    classes: tuple[str, ...]
    parts: Mapping[str, PartSummary]


@dataclass(frozen=True)
class Status:
    """Where a run is.

    Attributes:
        ended: Whether it has.
        reason: Why.
        epochs: How many were planned.
        steps_per_epoch: Batches of each.
    """

    ended: bool
    reason: str
    epochs: int
    steps_per_epoch: int


@dataclass(frozen=True)
class MetricResult:
    """A metric on a part, as `results.json` has it."""

    value: float | None
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    components: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class PartResult:
    """What the best weights are worth on a part, as `results.json` has it."""

    samples: int
    groups: int
    loss: float | None
    metrics: Mapping[str, MetricResult]


def write_record(path: Path, record: object) -> None:
    """Writes a dataclass as JSON, atomically."""
    assert hasattr(type(record), "__dataclass_fields__")
    write_json(path, asdict(record))  # type: ignore[call-overload]


def write_json(path: Path, content: object) -> None:
    """Writes a JSON file atomically."""
    write_text(path, json_text(content) + "\n")


def json_text(content: object) -> str:
    """Returns a value as JSON; what JSON has no number for, such as NaN, is null."""
    return json.dumps(_known(content), indent=2, allow_nan=False)


def _known(value: object) -> object:
    match value:
        case dict():
            return {key: _known(item) for key, item in value.items()}
        case list() | tuple():
            return [_known(item) for item in value]
        case float():
            return value if math.isfinite(value) else None
    return value


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically."""
    with atomic_writer(path) as stream:
        stream.write(text.encode())
