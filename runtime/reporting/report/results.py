"""What the best weights are worth: metrics with intervals, for each part of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

from dhc.runtime.reporting.files import MetricResult, PartResult
from dhc.runtime.reporting.report.charts import interval_bar
from dhc.runtime.reporting.report.files import RunFiles
from dhc.runtime.reporting.report.markup import Markup, join, table, tag
from dhc.runtime.reporting.words import between, fixed

PARTS = {"test": "test", "val": "validation", "train": "training"}  # what says most first
UNIT = (0.0, 1.0)

T = TypeVar("T")


def results_section(run: RunFiles) -> Markup:
    """Returns a table of metrics for each part, with what is behind those that have classes."""
    if not run.results:
        return tag("p", "The best weights have not been measured yet: ", _code("dhc eval RUN"), ".")
    parts = [_part(run, name, each) for name, each in by_weight(run.results)]
    return join([tag("div", *parts, class_="parts"), *_notes(run)])


def by_weight(parts: Mapping[str, T]) -> list[tuple[str, T]]:
    """Returns what parts of the data have, the part that says most first."""
    order = list(PARTS)
    return sorted(parts.items(), key=lambda p: order.index(p[0]) if p[0] in order else len(order))


def part_name(name: str) -> str:
    """Returns what people call a part of a data set."""
    return PARTS.get(name, name)


def counted(result: PartResult) -> str:
    """Returns how many samples a part has, and in how many groups."""
    text = f"{result.samples} samples"
    return text if result.groups == result.samples else f"{text} of {result.groups} groups"


def _part(run: RunFiles, name: str, result: PartResult) -> Markup:
    head = tag("h3", part_name(name).capitalize(), tag("small", counted(result)))
    ends = _ends(result.metrics)
    rows = [[key, fixed(m.value), between(m), _bar(m, ends)] for key, m in result.metrics.items()]
    rows.append(["loss", fixed(result.loss), "", ""])
    level = next((m.level for m in result.metrics.values()), 0.95)
    head_row = ("metric", "value", f"{level:.0%} interval", f"{ends[0]:.3g} to {ends[1]:.3g}")
    details = [_components(run, key, m) for key, m in result.metrics.items() if m.components]
    return tag("section", head, table(head_row, rows, class_="results"), *details, class_="part")


def _bar(result: MetricResult, ends: tuple[float, float]) -> Markup:
    known = [math.nan if v is None else v for v in (result.value, result.low, result.high)]
    inside = math.isnan(known[0]) or ends[0] <= known[0] <= ends[1]
    return interval_bar(known[0], known[1], known[2], ends) if inside else Markup()


def _ends(metrics: Mapping[str, MetricResult]) -> tuple[float, float]:
    """Where bars begin and end: 0 and 1, as for most metrics; those of others have no bar."""
    values = [m.value for m in metrics.values() if m.value is not None]
    negative = any(-1 <= value < 0 for value in values)
    return (-1.0, 1.0) if negative else UNIT


def _components(run: RunFiles, name: str, result: MetricResult) -> Markup:
    rows = [[_class_name(run, key), fixed(value)] for key, value in result.components.items()]
    if len(rows) < 2 or name == "confusion":
        return Markup()
    summary = tag("summary", f"{name} of each class")
    return tag("details", summary, table(("class", name), rows))


def _class_name(run: RunFiles, key: str) -> str:
    classes = run.data.classes if run.data else ()
    return classes[int(key)] if key.isascii() and key.isdigit() and int(key) < len(classes) else key


def _notes(run: RunFiles) -> list[Markup]:
    grouped = any(each.groups != each.samples for each in run.results.values())
    what = "groups, such as patients, are drawn whole" if grouped else "samples are drawn"
    text = f"Intervals: percentiles of 1000 draws with replacement (bootstrap); {what}."
    return [tag("p", text, class_="note")]


def _code(text: str) -> Markup:
    return tag("code", text)
