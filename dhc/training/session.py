"""Training from beginning to end: the folder of the run, its observers, and what came of it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from dhc.api import Source, load
from dhc.backends.base import Target
from dhc.errors import DhcError, Diagnostic, render
from dhc.runtime.checkpoint import read_checkpoint
from dhc.runtime.comm.agree import (
    check_alike,
    ending_together,
    first_alone,
    share_json,
    status_of,
    together,
)
from dhc.runtime.comm.base import Communicator
from dhc.runtime.comm.mpi import open_communicator
from dhc.runtime.data.folds import Fold
from dhc.runtime.reporting.decode import read_record
from dhc.runtime.reporting.events import Events
from dhc.runtime.reporting.evidence import read_evidence, write_evidence
from dhc.runtime.reporting.files import PROGRAM, RESULTS, write_json
from dhc.runtime.reporting.history import History, read_history
from dhc.runtime.reporting.records import EpochRecord, Observer
from dhc.runtime.reporting.report.observer import Report
from dhc.runtime.reporting.report.page import write_report
from dhc.runtime.trainer import BEST, LAST
from dhc.targets import make_backend
from dhc.training.account import Account
from dhc.training.choose import choose_block
from dhc.training.describe import Beginning, describe_run
from dhc.training.evaluate import Evaluation, evaluate
from dhc.training.folder import read_description, write_weights
from dhc.training.job import open_data
from dhc.training.run import Run, open_run
from dhc.training.settings import train_settings

EVALUATED = ("val", "test")


@dataclass(frozen=True)
class Trained:
    """What a run left.

    Attributes:
        folder: Where it is.
        history: The epochs; rank 0 alone has them.
        results: What the best weights are worth on each part that was not trained on; rank 0 alone
            has them.
        reason: Why the run ended.
        signal: The signal that ended it, or 0; there are no results then.
        name: Of the train; that of an earlier stage if a signal ended that.
    """

    folder: Path
    history: Sequence[EpochRecord]
    results: Mapping[str, Evaluation]
    reason: str
    signal: int = 0
    name: str = ""


def train(
    source: Source,
    name: str = "",
    out: str | Path | None = None,
    target: str | Target = "",
    resume: bool = False,
    settings: Mapping[str, str] | None = None,
    observers: Sequence[Observer] = (),
    communicator: Communicator | None = None,
) -> Trained:
    """Trains what a train block describes, with all ranks that an MPI launcher has started.

    Args:
        source: A loaded file.
        name: Of the train block; may be left out if there is only one. A train with whose weights
            it begins runs first, beside it, unless it has a finished run there.
        out: The folder of the run; `runs/NAME` if not given.
        target: What steps are compiled for; what the block says, else the processor, if not given.
        resume: Whether to go on where the last checkpoint of that folder was written.
        settings: Expressions that replace settings of the block, such as `{"epochs": "3"}`.
        observers: Who else is told of steps and epochs, on rank 0.
        communicator: The ranks, if the caller has opened them, and ends them all if one fails.

    Raises:
        DhcError: with everything that is wrong, before the first step; or if the loss is no
            number any more.
        ElsewhereError: if it was raised on another rank.
    """
    if communicator is None:
        communicator = open_communicator()
        with ending_together(communicator, _report):
            return train(source, name, out, target, resume, settings, observers, communicator)
    ranks, given = communicator, settings or {}
    name = together(ranks, lambda: choose_train(source, name))
    together(ranks, lambda: _refuse_folds(source, name))
    folder = Path(out) if out is not None else Path("runs") / name
    chosen = together(ranks, lambda: _chosen(source, name, given, target))
    if not resume:
        request = _Request(source, folder, target, observers, ranks)
        unfinished = _train_earlier(request, name, given)
        if unfinished is not None:
            return unfinished
    began = perf_counter()
    run = together(
        ranks, lambda: _open(source, name, folder, chosen, given, not resume, communicator=ranks)
    )
    check_alike(ranks, run.job.arrays())
    first_alone(ranks, lambda: run.check_folder(resume))
    together(ranks, run.job.compile)
    first_alone(ranks, lambda: describe_run(run, Beginning(source, chosen, given)))
    return carry_out(run, Account(run, began), observers, resume)


def _refuse_folds(source: Source, name: str) -> None:
    """A train with folds is several runs, and they are compared: that is a study."""
    span = source.program.train(name).places.get("folds")
    if span is not None:
        text = f"'{name}' has folds, so it is a study of one candidate."
        hint = f"run it: dhc study FILE {name}"
        raise DhcError(Diagnostic("arguments", text, span, "here", hints=(hint,)))


def carry_out(
    run: Run, account: Account, observers: Sequence[Observer] = (), resume: bool = False
) -> Trained:
    """Trains a run that is described in its folder, measures it and reports."""
    folder, ranks = run.folder, run.job.ranks.communicator
    kept: list[Observer] = [History(folder), Events(folder), Report(folder)]
    try:
        with account.training() if ranks.rank == 0 else nullcontext():
            outcome = run.train([*kept, *observers] if ranks.rank == 0 else [], resume)
    finally:
        if ranks.rank == 0:
            write_report(folder)
    results: dict[str, Evaluation] = {}
    if not outcome.signal:
        first_alone(ranks, lambda: results.update(finish(run, account)))
    history = read_history(folder)[1] if ranks.rank == 0 else ()
    return Trained(folder, history, results, outcome.reason, outcome.signal, run.settings.name)


def _report(error: BaseException) -> int:
    """Says on the terminal why all ranks end; returns the exit status."""
    if isinstance(error, DhcError):
        print(render(error.diagnostics, color=sys.stderr.isatty()), file=sys.stderr)
    elif isinstance(error, Exception):
        traceback.print_exception(error)
    return status_of(error)


def finish(run: Run, account: Account) -> dict[str, Evaluation]:
    """Measures the best weights on what was not trained on, writes both, and the report."""
    run.load_best()
    parts = [part for part in EVALUATED if run.job.dataset.parts.get(part)]
    with account.test() if parts else nullcontext():
        results = {part: evaluate(run.job, part) for part in parts}
    write_weights(run.folder, run.job.weights())
    keep_results(run.folder, results)
    return results


def keep_results(folder: Path, results: Mapping[str, Evaluation]) -> Path:
    """Writes what was measured on some parts, keeps that of others, and writes the report."""
    known = read_record(folder / RESULTS, Mapping[str, object]) or {}  # type: ignore[type-abstract]
    own = {part: each.to_json() for part, each in results.items()}
    write_json(folder / RESULTS, {**known, **own})
    evidence = {part: each.evidence for part, each in results.items()}
    write_evidence(folder, {**read_evidence(folder), **evidence})
    return write_report(folder)


def reopen(folder: str | Path) -> Run:
    """Opens a finished run with its best weights.

    Raises:
        DhcError: if there is no run, or its data are gone.
    """
    path = Path(folder)
    found = read_description(path)
    source = load(path / PROGRAM / found.file)
    data = Source(source.program, found.data)
    settings = dict(each.split("=", 1) for each in found.settings)
    said = target_of(data, found.train, settings)
    target = said if said.backend == found.target else Target(found.target)
    run = _open(data, found.train, path, target, settings, begins=False, fold=found.fold)
    if not (path / BEST).exists():
        raise DhcError(Diagnostic("run", f"The run '{path}' has finished no epoch yet."))
    run.job.restore(read_checkpoint(path / BEST).arrays)
    return run


def target_of(
    source: Source, name: str, settings: Mapping[str, str] | None = None, given: str = ""
) -> Target:
    """Returns what a train is compiled for: what is given, what its block says, or the processor.

    A name is that of a target of the file first, else of a backend.

    Raises:
        DhcError: if the block names something else.
    """
    program = source.program.with_settings(name, settings) if settings else source.program
    own = train_settings(program, name)
    chosen = given or own.target or "cpu"
    target = source.target(chosen) if chosen in source.targets else Target(chosen)
    try:
        make_backend(target)
    except DhcError as problem:
        raise (problem if given else problem.at(own.configured.places["target"])) from None
    return target


def _chosen(source: Source, name: str, settings: Mapping[str, str], given: str | Target) -> Target:
    return given if isinstance(given, Target) else target_of(source, name, settings, given)


def choose_train(source: Source, name: str) -> str:
    """Returns the name of the train block meant.

    Raises:
        DhcError: if there is no such block, or none was named and there are several.
    """
    return choose_block("train", name, source.trains)


@dataclass(frozen=True)
class _Request:
    """What is asked for, for this train and those before it.

    Attributes:
        source: The file.
        folder: Where this train leaves its files; the others lie beside it.
        target: As given.
        observers: Who is told, on rank 0.
        ranks: All of them.
    """

    source: Source
    folder: Path
    target: str | Target
    observers: Sequence[Observer]
    ranks: Communicator

    def open(self, name: str, folder: Path, settings: Mapping[str, str]) -> Run:
        """Builds a run that does not begin, to see whether all is right with it."""
        target = _chosen(self.source, name, settings, self.target)
        return _open(self.source, name, folder, target, settings, False, communicator=self.ranks)


def _train_earlier(request: _Request, name: str, settings: Mapping[str, str]) -> Trained | None:
    """Trains the stage with whose weights a train begins; returns it only if it was interrupted.

    Raises:
        DhcError: if anything in this train is wrong, before another one begins; or if the stage has
            a run that another program made.
    """
    source, ranks = request.source, request.ranks
    earlier = together(ranks, lambda: _stages(source, name, settings))
    if not earlier:
        return None
    stage, place = earlier[0], request.folder.parent / earlier[0]
    own = together(ranks, lambda: request.open(stage, place, {}))
    there = [(place / RESULTS).exists(), (place / LAST).exists()]
    finished, begun = share_json(ranks, there)
    if finished:
        first_alone(ranks, lambda: _check_stage(place, stage, own))
        return None

    def check() -> None:
        request.open(name, request.folder, settings).check_folder(resume=False)

    first_alone(ranks, check)
    done = train(source, stage, place, request.target, begun, None, request.observers, ranks)
    return done if done.signal else None


def _check_stage(place: Path, stage: str, own: Run) -> None:
    """Compares the program of a finished stage with what it is now.

    Raises:
        DhcError: if they differ.
    """
    if read_checkpoint(place / BEST).state.get("program") != own.job.digest():
        text = f"The run '{place}' was made by another program than '{stage}' is now."
        hints = (
            "remove it, or train into another folder",
            f'or take its weights as they are: init = "{place}"',
        )
        raise DhcError(Diagnostic("run", text, hints=hints))


def _stages(source: Source, name: str, settings: Mapping[str, str]) -> list[str]:
    """The trains that come before one, the latest first.

    Raises:
        DhcError: if they go round in a circle.
    """
    found: list[str] = []
    program = source.program.with_settings(name, settings) if settings else source.program
    last = name
    while before := train_settings(program, last).begins_with:
        if before in (name, *found):
            text = (
                f"'{name}' would begin with its own weights: {' <- '.join((name, *found, before))}."
            )
            raise DhcError(Diagnostic("run", text))
        found.append(before)
        last = before
    return found


def _open(
    source: Source,
    name: str,
    folder: Path,
    target: Target,
    settings: Mapping[str, str],
    begins: bool = True,
    fold: Fold | None = None,
    communicator: Communicator | None = None,
) -> Run:
    program = source.program.with_settings(name, settings) if settings else source.program
    data = fold.of(open_data(train_settings(program, name), source.folder)) if fold else None
    return open_run(program, name, source.folder, folder, target, data, begins, communicator)
