"""Indicators as rows for people: on the terminal and in the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dhc.runtime.kpi.sums import Amount, Indicators
from dhc.runtime.reporting.decode import read_record
from dhc.runtime.reporting.files import RESULTS, PartResult
from dhc.runtime.reporting.words import between, exact, fixed

PARTS = ("test", "val", "train")  # the one that says most first


@dataclass(frozen=True)
class Row:
    """One line; `value` is empty where nothing is known."""

    name: str
    value: str
    label: str
    meaning: str


def rows_of(found: Indicators) -> list[Row]:
    """Returns the indicators, the parts of each sum before it."""
    return [
        *_preparations(found),
        *_candidates(found),
        _row("deployment", found.deployment, "bringing the model to where it is used"),
        _row("ttmip", found.ttmip, "time to the model: design, test, totm, toppi, deployment"),
        Row("speedup", "", "unknown", "of several workers over one"),
        Row("efficiency", "", "unknown", "speedup over the number of workers"),
    ]


def quality_rows(folder: Path) -> list[Row]:
    """Returns the metrics of a run on the part that says most; nothing before they are known."""
    form = Mapping[str, PartResult]
    results = read_record(folder / RESULTS, form) or {}  # type: ignore[type-abstract]
    part = next((name for name in PARTS if name in results), "")
    return [
        Row(f"{part} {name}", fixed(metric.value), "measured", between(metric))
        for name, metric in (results[part].metrics.items() if part else ())
    ]


def _preparations(found: Indicators) -> Iterator[Row]:
    several = len(found.preparations) > 1
    for each in found.preparations:
        of = f" of {each.name}" if several else ""
        yield _row(f"T1{of}", each.design, "designing and writing the pipeline")
        yield _row(f"T2{of}", each.run, "the pipeline over all images, one by one")
        if several:
            yield _row(f"toppi{of}", each.toppi, "T1 + T2")
    yield _row("toppi", found.toppi, "sum over pipelines" if several else "T1 + T2")


def _candidates(found: Indicators) -> Iterator[Row]:
    several = len(found.candidates) > 1
    for each in found.candidates:
        of = f" of {each.name}" if several else ""
        yield _row(f"design{of}", each.design, "designing and writing the model")
        yield _row(f"test{of}", each.test, "measuring the trained model")
        if several:
            yield _row(f"totm{of}", each.training, "the training run")
    yield _row("totm", found.totm, "sum over models" if several else "the training run")


def _row(name: str, amount: Amount, meaning: str) -> Row:
    if amount.label != "unknown":
        return Row(name, exact(amount.seconds), amount.label, meaning)
    return Row(name, f"> {exact(amount.seconds)}" if amount.seconds else "", "unknown", meaning)
