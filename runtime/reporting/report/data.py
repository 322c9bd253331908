"""What was learnt from: parts, classes, groups."""

from __future__ import annotations

from dhc.runtime.reporting.files import DataSummary
from dhc.runtime.reporting.report.files import RunFiles
from dhc.runtime.reporting.report.markup import Markup, join, table, tag
from dhc.runtime.reporting.report.results import part_name


def data_section(run: RunFiles) -> Markup:
    """Returns the parts of the data set with their samples, groups and classes."""
    data = run.data
    if data is None:
        return tag("p", "The run keeps no summary of its data.")
    return join([_head(data), _table(data), _classes(data)])


def _head(data: DataSummary) -> Markup:
    kinds = ", ".join(f"{name} ({kind})" for name, kind in data.fields.items())
    parts = [tag("p", "Data set ", tag("strong", data.name), f". Fields: {kinds}.")]
    if data.synthetic:
        text = "Synthetic: a program made these data. Results say nothing about patients."
        parts.append(tag("p", text, class_="warning", role="note"))
    return join(parts)


def _table(data: DataSummary) -> Markup:
    grouped = any(part.groups is not None for part in data.parts.values())
    columns = ["part", "samples", *(["groups"] if grouped else [])]
    rows = []
    for name, part in data.parts.items():
        row = [part_name(name), str(part.samples)]
        rows.append(row + ([str(part.groups or "")] if grouped else []))
    return table(columns, rows)


def _classes(data: DataSummary) -> Markup:
    """Samples of each class and part, with bars that are shares of the part."""
    names = dict.fromkeys([*data.classes, *(c for p in data.parts.values() for c in p.classes)])
    used = [name for name in names if any(name in p.classes for p in data.parts.values())]
    if not used:
        return Markup()
    rows = [
        [name, *(_share(p.classes.get(name, 0), p.samples) for p in data.parts.values())]
        for name in used
    ]
    return table(("class", *map(part_name, data.parts)), rows, class_="shares")


def _share(count: int, total: int) -> Markup:
    share = count / total if total else 0.0
    bar = tag("span", class_="bar", style=f"--share:{share:.3f}")
    return join([bar, f"{count} ", tag("small", f"{share:.0%}")])
