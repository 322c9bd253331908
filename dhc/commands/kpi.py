"""`dhc kpi`: the key performance indicators of runs, and what people declare of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dhc.commands.report import print_json, print_table
from dhc.errors import DhcError, Diagnostic
from dhc.runtime.kpi.development import declare, development
from dhc.runtime.kpi.sums import Amount, Indicators
from dhc.runtime.kpi.table import Row, quality_rows, rows_of
from dhc.runtime.reporting.decode import read_record
from dhc.runtime.reporting.files import RESULTS, PartResult

RUNS = Path("runs")
COLUMNS = ("indicator", "value", "label", "what it is")


def report_indicators(folders: Sequence[Path], declared: Sequence[str], json: bool) -> int:
    """Notes what is declared, and prints the indicators of the runs together."""
    chosen = list(folders) or [RUNS]
    if declared:
        if len(folders) != 1:
            text = "What is declared belongs to one run; name it."
            raise DhcError(Diagnostic("setting", text))
        declare(folders[0], _pairs(declared))
    if json:
        found = development(chosen)
        print_json({**_json(found), "quality": {str(f): _quality(f) for f in chosen}})
    else:
        print_indicators(chosen)
    return 0


def print_indicators(folders: Sequence[Path]) -> None:
    """Prints the indicators of runs together, and what their networks are worth."""
    rows = rows_of(development(folders))
    for folder in folders:
        owner = f"{folder.name} " if len(folders) > 1 else ""
        rows += [replace(row, name=owner + row.name) for row in quality_rows(folder)]
    print_table("Key performance indicators", COLUMNS, [_cells(row) for row in rows])


def _cells(row: Row) -> tuple[str, str, str, str]:
    return row.name, row.value, row.label, row.meaning


def _pairs(declared: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in declared:
        name, equals, value = text.partition("=")
        if not equals:
            hint = "write --declare design=2h"
            raise DhcError(Diagnostic("setting", f"'{text}' declares nothing.", hints=(hint,)))
        found[name] = value
    return found


def _json(found: Indicators) -> dict[str, object]:
    own = {"toppi": found.toppi, "totm": found.totm, "ttmip": found.ttmip}
    return {
        **{name: _amount(amount) for name, amount in own.items()},
        "deployment": _amount(found.deployment),
        "candidates": [
            {
                "name": each.name,
                "program": each.program,
                "design": _amount(each.design),
                "totm": _amount(each.training),
                "test": _amount(each.test),
            }
            for each in found.candidates
        ],
        "pipelines": [
            {
                "name": each.name,
                "pipeline": each.pipeline,
                "T1": _amount(each.design),
                "T2": _amount(each.run),
                "toppi": _amount(each.toppi),
            }
            for each in found.preparations
        ],
        "speedup": {"value": None, "label": "unknown"},
        "efficiency": {"value": None, "label": "unknown"},
    }


def _amount(amount: Amount) -> dict[str, object]:
    known = amount.label != "unknown"
    return {
        "seconds": amount.seconds if known else None,
        "at_least": amount.seconds,
        "label": amount.label,
        "missing": list(amount.missing),
    }


def _quality(folder: Path) -> dict[str, Mapping[str, float | None]]:
    """The metrics of a run on each part; nothing where it has none."""
    form = Mapping[str, PartResult]
    results = read_record(folder / RESULTS, form) or {}  # type: ignore[type-abstract]
    return {
        part: {name: metric.value for name, metric in each.metrics.items()}
        for part, each in results.items()
    }
