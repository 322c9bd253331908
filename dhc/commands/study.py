"""`dhc study`: candidates side by side, and what becomes of the best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dhc.api import load
from dhc.commands.entries import choose_target
from dhc.commands.kpi import print_indicators
from dhc.commands.report import print_json, print_table
from dhc.commands.train import INTERRUPTED
from dhc.metrics.bootstrap import Interval
from dhc.runtime.reporting.progress import ShowProgress
from dhc.runtime.reporting.records import Observer
from dhc.studies.folds import Part
from dhc.studies.leaderboard import Standing
from dhc.studies.session import ARTIFACT, Studied, choose_study, study
from dhc.studies.settings import study_settings
from dhc.training.step import LOSS


@dataclass(frozen=True)
class StudyOptions:
    """How to run a study; `out` is its folder, `studies/NAME` if not given."""

    out: Path | None
    resume: bool
    target: str
    threads: int
    json: bool


def study_entry(file: Path, name: str, options: StudyOptions) -> int:
    """Runs a study and prints its leaderboard and what the final model is worth."""
    source = load(file)
    name = choose_study(source, name)
    target = choose_target(source, options.target, options.threads)
    observers = None if options.json else _progress
    found = study(source, name, options.out, target, options.resume, observers)
    if found.signal:
        print(f"Go on with: dhc study {file} {name} --out {found.folder} --resume")
        return INTERRUPTED + found.signal
    if options.json:
        print_json(_content(found))
        return 0
    _print(found, study_settings(source.program, name).selection.name)
    return 0


def _progress(part: Part) -> Sequence[Observer]:
    print(f"{part.candidate}, fold {part.number}")
    return [ShowProgress()]


def _content(found: Studied) -> dict[str, object]:
    return {
        "folder": str(found.folder),
        "leaderboard": [asdict(place) for place in found.places],
        "members": [asdict(member) for member in found.members],
        "test": None if found.test is None else found.test.to_json(),
    }


def _print(found: Studied, selected: str) -> None:
    columns = ["", "candidate", selected, "95% interval", "over folds", "behind the best", "loss"]
    rows = [_row(number, place, selected) for number, place in enumerate(found.places, 1)]
    print_table("Leaderboard, by validation", columns, rows)
    chosen = ", ".join(f"{member.candidate} of fold {member.fold}" for member in found.members)
    print(f"The final model is {'the mean of ' if len(found.members) > 1 else ''}{chosen}.")
    if found.test is not None:
        synthetic = ", on synthetic data" if found.test.synthetic else ""
        counted = f"{found.test.samples} samples"
        if found.test.groups != found.test.samples:
            counted += f" of {found.test.groups} groups"
        measured = [
            [name, f"{each.interval.value:.4f}", _between(each.interval)]
            for name, each in found.test.metrics.items()
        ]
        title = f"The test part, opened once: {counted}{synthetic}"
        print_table(title, ["metric", "value", "95% interval"], measured)
    print_indicators([found.folder])
    print(f"The final model is in {found.folder / ARTIFACT}")


def _row(number: int, place: Standing, selected: str) -> list[str]:
    own = None if selected == LOSS else place.metrics[selected]
    spread = np.array(place.folds)
    return [
        str(number),
        place.candidate,
        f"{place.value(selected):.4f}",
        _between(own),
        f"{spread.mean():.4f} ± {spread.std(ddof=1):.4f}" if len(spread) > 1 else "",
        f"{abs(place.ahead.value):.4f} ({_between(place.ahead)})" if place.ahead else "",
        f"{place.loss:.4f}",
    ]


def _between(found: Interval | None) -> str:
    if found is None or math.isnan(found.low):
        return ""
    return f"{found.low:.4f} to {found.high:.4f}"
