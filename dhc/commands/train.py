"""`dhc train` and `dhc eval`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dhc.api import Source, load
from dhc.backends.base import Target
from dhc.commands.kpi import print_indicators
from dhc.commands.report import print_json, print_table
from dhc.commands.session import explain_failure
from dhc.errors import DhcError, Diagnostic
from dhc.runtime.comm.agree import ending_together, status_of, together
from dhc.runtime.comm.base import Communicator
from dhc.runtime.comm.mpi import open_communicator, require_alone
from dhc.runtime.reporting.files import REPORT
from dhc.runtime.reporting.progress import ShowProgress
from dhc.training.evaluate import Evaluation, evaluate
from dhc.training.session import choose_train, keep_results, reopen, target_of, train

INTERRUPTED = 128  # plus the signal, as shells say it


@dataclass(frozen=True)
class TrainOptions:
    """How to train.

    Attributes:
        out: The folder of the run; `runs/NAME` if not given.
        settings: Overrides, `NAME.setting=value`.
    """

    out: Path | None
    resume: bool
    target: str
    settings: Sequence[str]
    threads: int
    json: bool


def train_entry(file: Path, name: str, options: TrainOptions) -> int:
    """Trains, and prints what the best weights are worth."""
    ranks = open_communicator()
    with ending_together(ranks, _explain):
        return _train(file, name, options, ranks)


def _train(file: Path, name: str, options: TrainOptions, ranks: Communicator) -> int:
    chosen = together(ranks, lambda: _choose(file, name, options))
    found = train(
        chosen.source,
        chosen.name,
        options.out,
        chosen.target,
        options.resume,
        chosen.settings,
        () if options.json else [ShowProgress()],
        ranks,
    )
    if ranks.rank == 0 and found.signal:
        own = found.name == chosen.name
        out = found.folder if own else options.out or found.folder.parent / chosen.name
        print(f"Go on with: dhc train {file} {chosen.name} --out {out}{' --resume' if own else ''}")
    elif ranks.rank == 0:
        about = {"folder": str(found.folder), "reason": found.reason}
        _report(found.results, options.json, about)
        if not options.json:
            print_indicators([found.folder])
            _show_report(found.folder)
    return INTERRUPTED + found.signal if found.signal else 0


@dataclass(frozen=True)
class _Chosen:
    """What a command line means."""

    source: Source
    name: str
    target: str | Target
    settings: Mapping[str, str]


def _choose(file: Path, name: str, options: TrainOptions) -> _Chosen:
    source = load(file)
    name = choose_train(source, name)
    settings = _settings(options.settings, name)
    target: str | Target = options.target
    if options.threads:
        chosen = target_of(source, name, settings, options.target)
        target = replace(chosen, threads=options.threads)
    return _Chosen(source, name, target, settings)


def _explain(error: BaseException) -> int:
    """Says why all ranks end; returns the exit status."""
    return explain_failure(error) if isinstance(error, Exception) else status_of(error)


def evaluate_run(folder: Path, part: str, json: bool) -> int:
    """Measures the best weights of a run on a part of its data."""
    require_alone("dhc eval")
    run = reopen(folder)
    parts = [part] if part else [p for p in ("val", "test") if run.job.dataset.parts.get(p)]
    results = {part: evaluate(run.job, part) for part in parts}
    keep_results(folder, results)
    _report(results, json, {"folder": str(folder)})
    if not json:
        _show_report(folder)
    return 0


def _report(results: Mapping[str, Evaluation], json: bool, more: Mapping[str, str]) -> None:
    if json:
        parts = {part: each.to_json() for part, each in results.items()}
        print_json({**more, "results": parts})
        return
    rows = [row for part, each in results.items() for row in _rows(part, each)]
    if rows:
        synthetic = any(each.synthetic for each in results.values())
        title = "The best weights" + (", on synthetic data" if synthetic else "")
        print_table(title, ["part", "metric", "value", _interval(results)], rows)


def _show_report(folder: Path) -> None:
    print(f"The report is {folder / REPORT}")


def _interval(results: Mapping[str, Evaluation]) -> str:
    levels = {m.interval.level for each in results.values() for m in each.metrics.values()}
    return f"{100 * max(levels):g}% interval" if levels else "interval"


def _rows(part: str, found: Evaluation) -> list[list[str]]:
    counted = f"{part}, {found.samples} samples"
    if found.groups != found.samples:
        counted += f" of {found.groups} groups"
    rows = [[counted, "loss", f"{found.loss:.4f}", ""]]
    for name, each in found.metrics.items():
        low, high = each.interval.low, each.interval.high
        between = "" if math.isnan(low) else f"{low:.4f} to {high:.4f}"
        rows.append(["", name, f"{each.interval.value:.4f}", between])
    return rows


def _settings(settings: Sequence[str], name: str) -> dict[str, str]:
    """Reads overrides of the train block that runs."""
    found = {}
    for text in settings:
        owner, dot, rest = text.partition(".")
        setting, equals, value = rest.partition("=")
        if not (dot and equals and setting.isidentifier()):
            hint = f"write --set {name}.epochs=3"
            raise DhcError(Diagnostic("setting", f"'{text}' is no setting.", hints=(hint,)))
        if owner != name:
            text = f"--set names '{owner}', but '{name}' is trained."
            raise DhcError(Diagnostic("unknown-name", text))
        found[setting] = value
    return found
