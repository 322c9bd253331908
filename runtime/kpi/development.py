"""The ledgers of a development, wherever its runs are, and what they add up to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dhc.errors import DhcError, Diagnostic
from dhc.runtime.kpi.ledger import FILE, Entry, append, read_ledger, read_ledgers
from dhc.runtime.kpi.sums import Indicators, indicators

DECLARED = {
    "pipeline": "pipeline_design",
    "design": "model_design",
    "deployment": "deployment",
}
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_TIME = re.compile(r"(\d+(?:\.\d+)?)(s|min|h)")


def ledger_folders(folder: Path) -> list[Path]:
    """Returns a folder and those within it, as far as they have ledgers."""
    return sorted(path.parent for path in folder.rglob(FILE) if path.is_file())


def development(folders: Sequence[Path]) -> Indicators:
    """Returns the indicators of one development, such as those of a study from its folder.

    Args:
        folders: Of runs and studies; ledgers in folders within them count as well. Candidates and
            pipelines that are in several are one.

    Raises:
        DhcError: if one of the ledgers is damaged, or there is none.
    """
    found = dict.fromkeys(own for folder in folders for own in ledger_folders(folder))
    if not found:
        names = ", ".join(f"'{folder}'" for folder in folders)
        hint = "`dhc train FILE` writes one into the folder of its run"
        raise DhcError(Diagnostic("ledger", f"There is no ledger in {names}.", hints=(hint,)))
    return indicators(read_ledgers(list(found)))


def declare(folder: Path, given: Mapping[str, str]) -> None:
    """Adds times that a person gives to the ledger of a run.

    Args:
        folder: Of the run; of a study for its deployment.
        given: Times such as `2h`, `1h30min` or `45min`, by what they were for: `design` of the
            model, design of the `pipeline`, `deployment`.

    Raises:
        DhcError: if a name or a time is none, or the folder holds no run.
    """
    known = read_ledger(folder)
    last = next((entry for entry in reversed(known) if entry.kind == "start"), None)
    if last is None and (given.keys() - {"deployment"} or not ledger_folders(folder)):
        hint = "name the folder of a run: dhc kpi RUN --declare design=2h"
        raise DhcError(Diagnostic("ledger", f"'{folder}' holds no run.", hints=(hint,)))
    run = last or Entry("start", 0.0)
    append(folder, *(_declared(name, text, run) for name, text in given.items()))


def _declared(name: str, text: str, run: Entry) -> Entry:
    if name not in DECLARED:
        text = f"'{name}' cannot be declared; {', '.join(DECLARED)} can."
        raise DhcError(Diagnostic("setting", text))
    return Entry(
        DECLARED[name], seconds_of(text), "declared", run.program, run.pipeline, run.subject
    )


def seconds_of(text: str) -> float:
    """Returns a time such as `2h`, `1h30min` or `90s` in seconds.

    Raises:
        DhcError: if it is none.
    """
    if not text or _TIME.sub("", text):
        hint = "write it as 2h, 1h30min or 90s"
        raise DhcError(Diagnostic("setting", f"'{text}' is no time.", hints=(hint,)))
    return sum(float(value) * _UNITS[unit] for value, unit in _TIME.findall(text))
