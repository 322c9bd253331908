"""A study from beginning to end; one that was stopped goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from dhc.api import Source
from dhc.backends.base import Target
from dhc.errors import DhcError, Diagnostic
from dhc.metrics.bootstrap import Bootstrap
from dhc.runtime.comm.mpi import require_alone
from dhc.runtime.reporting.files import write_json
from dhc.runtime.reporting.records import Observer
from dhc.runtime.trainer import LAST
from dhc.studies.final import (
    TEST,
    Member,
    check_final,
    choose_members,
    evaluate_final,
    save_final,
)
from dhc.studies.folds import Part, measure_fold, parts_of, read_fold, write_fold
from dhc.studies.leaderboard import FoldResult, Standing, leaderboard
from dhc.studies.settings import StudySettings, study_settings
from dhc.training.account import Account
from dhc.training.choose import choose_block
from dhc.training.describe import Beginning, describe_run
from dhc.training.evaluate import Evaluation
from dhc.training.job import open_data
from dhc.training.run import Run, open_run
from dhc.training.session import carry_out

LEADERBOARD, FINAL, ARTIFACT, DESCRIPTION = (
    "leaderboard.json", "final.json", "final.dhx", "study.json",
)  # fmt: skip
MAX_BYTES = 1 << 26

Observers = Callable[[Part], Sequence[Observer]]
"""Makes who is told of the steps and epochs of one training."""


@dataclass(frozen=True)
class Studied:
    """What a study left.

    Attributes:
        folder: Where it is.
        places: The candidates, the best first; nothing if a signal came before.
        members: The models of the final one.
        test: What the final model is worth on the test part; None where there is none.
        signal: The signal that ended it, or 0.
    """

    folder: Path
    places: Sequence[Standing] = ()
    members: Sequence[Member] = ()
    test: Evaluation | None = None
    signal: int = 0


def study(
    source: Source,
    name: str = "",
    out: str | Path | None = None,
    target: str | Target = "cpu",
    resume: bool = False,
    observers: Observers | None = None,
) -> Studied:
    """Trains all candidates on all folds, chooses, and tests the choice once.

    Args:
        source: A loaded file.
        name: Of the study block; may be left out if there is only one.
        out: Where everything goes; `studies/NAME` if not given.
        target: What steps are compiled for.
        resume: Whether to go on with the study in that folder.
        observers: Who is told of each training.

    Raises:
        DhcError: with what is wrong, before the first step; or if a loss is no number any more.
    """
    require_alone("dhc study")
    name = choose_study(source, name)
    settings = study_settings(source.program, name)
    folder = Path(out) if out is not None else Path("studies") / name
    chosen = target if isinstance(target, Target) else Target(target)
    parts = parts_of(settings, source.folder)
    check_final(source.program, settings, parts[0].dataset)
    _claim(folder, source, settings, resume)
    results: dict[str, list[FoldResult]] = {candidate: [] for candidate in settings.candidates}
    for part in parts:
        found = _fold(source, part, folder, chosen, observers or _nobody)
        if isinstance(found, int):
            return Studied(folder, signal=found)
        results[part.candidate].append(found)
    return _conclude(source, settings, folder, chosen, results)


def choose_study(source: Source, name: str) -> str:
    """Returns the name of the study block meant.

    Raises:
        DhcError: if there is no such block, or none was named and there are several.
    """
    if _has_folds(source, name):
        return name
    return choose_block("study", name, source.program.studies)


def _has_folds(source: Source, name: str) -> bool:
    return name in source.trains and "folds" in source.program.train(name).places


def _nobody(part: Part) -> Sequence[Observer]:
    return ()


# ---- the folder ------------------------------------------------------------------------------


def _claim(folder: Path, source: Source, settings: StudySettings, resume: bool) -> None:
    """Takes a folder for a study, or checks that it holds this very study.

    Raises:
        DhcError: if it holds a study and should not, or another one, or none.
    """
    path = folder / DESCRIPTION
    own = {"study": settings.name, "program": dict(source.program.sources)}
    if not resume:
        if path.exists():
            hints = ("go on with it: --resume", "use another folder: --out FOLDER")
            raise _fail(f"'{folder}' holds a study already.", *hints)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, own)
        return
    if not path.is_file():
        raise _fail(f"'{folder}' holds no study to go on with.", "leave --resume out")
    try:
        known = json.loads(path.read_bytes()[:MAX_BYTES])
    except ValueError:
        raise _fail(f"'{path}' is damaged.", "begin again in another folder") from None
    if (folder / FINAL).exists():
        raise _fail(f"The study in '{folder}' has ended; its test part is opened once.")
    if known != own:
        raise _fail(
            f"The program has changed since the study in '{folder}' began.",
            "restore it, or begin again in another folder",
        )


# ---- training --------------------------------------------------------------------------------


def _fold(
    source: Source, part: Part, folder: Path, target: Target, observers: Observers
) -> FoldResult | int:
    """Trains and measures one candidate on one fold, unless that is done; or a signal's number."""
    own = part.folder(folder)
    known = read_fold(own)
    if known is not None:
        return known
    began, resume = perf_counter(), (own / LAST).exists()
    run = open_run(source.program, part.candidate, source.folder, own, target, part.dataset)
    run.job.compile()
    describe_run(run, Beginning(source, target, fold=part.fold))
    trained = carry_out(run, Account(run, began), observers(part), resume)
    if trained.signal:
        return trained.signal
    found = measure_fold(run.job)
    write_fold(own, found)
    return found


def _conclude(
    source: Source,
    settings: StudySettings,
    folder: Path,
    target: Target,
    results: Mapping[str, Sequence[FoldResult]],
) -> Studied:
    metrics = {
        name: {each.name: each.metric for each in own.metrics}
        for name, own in settings.candidates.items()
    }
    places = leaderboard(results, metrics, settings.selection, Bootstrap(), settings.seed)
    write_json(folder / LEADERBOARD, [asdict(place) for place in places])
    members = choose_members(places, results, settings)
    runs = [_member_run(source, settings, member, folder, target) for member in members]
    save_final(folder / ARTIFACT, source.program, settings, members, runs, target)
    test = _test(runs) if runs[0].job.dataset.parts.get(TEST) else None
    content = {
        "selected_by": asdict(settings.selection),
        "members": [asdict(member) for member in members],
        "test": None if test is None else test.to_json(),
        "test_opened": None if test is None else datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(folder / FINAL, content)
    return Studied(folder, places, members, test)


def _test(runs: Sequence[Run]) -> Evaluation:
    """Opens the test part; the time counts as that of the first member."""
    with Account(runs[0], perf_counter()).test():
        return evaluate_final(runs)


def _member_run(
    source: Source, settings: StudySettings, member: Member, folder: Path, target: Target
) -> Run:
    """A member's run with all of the data, so that it can be tested."""
    own = folder / member.candidate / f"fold{member.fold}"
    whole = open_data(settings.candidates[member.candidate], source.folder)
    program, name = source.program, member.candidate
    return open_run(program, name, source.folder, own, target, whole, begins=False)


def _fail(text: str, *hints: str) -> DhcError:
    return DhcError(Diagnostic("study", text, hints=hints))
