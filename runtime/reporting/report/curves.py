"""How training went: loss, metrics and learning rate."""

from __future__ import annotations

from collections.abc import Sequence

from dhc.runtime.reporting.records import EpochRecord
from dhc.runtime.reporting.report.charts import Curve, Frame, curves
from dhc.runtime.reporting.report.files import RunFiles
from dhc.runtime.reporting.report.markup import Markup, join, table, tag
from dhc.runtime.reporting.words import number


def training_section(run: RunFiles) -> Markup:
    """Returns charts of the loss, of each metric and of the rate, and the numbers of epochs."""
    if not run.steps:
        return tag("p", "No step has been done yet.")
    names = dict.fromkeys(name for each in run.epochs for name in (*each.train, *each.val))
    charts = [_loss(run)]
    charts += [_metric(run, name) for name in names if name != "loss"]
    charts.append(_rate(run))
    numbers = tag("details", tag("summary", "The numbers of each epoch"), _table(run.epochs))
    return join([tag("div", *charts, class_="charts"), numbers if run.epochs else Markup()])


def _loss(run: RunFiles) -> Markup:
    per_epoch = _steps_per_epoch(run)
    steps = Curve("each step", [(s.step / per_epoch, s.loss) for s in run.steps], "faint")
    lines = [steps, *_parts(run, "loss")]
    return curves(Frame("Loss", "epoch", mark=_best(run)), lines)


def _metric(run: RunFiles, name: str) -> Markup:
    return curves(Frame(name, "epoch", mark=_best(run)), _parts(run, name))


def _parts(run: RunFiles, name: str) -> list[Curve]:
    """The mean over each epoch, and the value on the validation part after it."""
    training = [(float(e.epoch), e.train[name]) for e in run.epochs if name in e.train]
    checked = [(float(e.epoch), e.val[name]) for e in run.epochs if name in e.val]
    lines = [Curve("training", training, "first"), Curve("validation", checked, "second")]
    return [line for line in lines if line.points]


def _rate(run: RunFiles) -> Markup:
    per_epoch = _steps_per_epoch(run)
    line = Curve("", [(s.step / per_epoch, s.rate) for s in run.steps], "third")
    return curves(Frame("Learning rate", "epoch"), [line])


def _best(run: RunFiles) -> tuple[float, str] | None:
    return (float(run.best.epoch), "best") if run.best else None


def _steps_per_epoch(run: RunFiles) -> int:
    if run.status is not None:
        return max(run.status.steps_per_epoch, 1)
    return max(step.position for step in run.steps)


def _table(epochs: Sequence[EpochRecord]) -> Markup:
    train = list(dict.fromkeys(name for each in epochs for name in each.train))
    val = list(dict.fromkeys(name for each in epochs for name in each.val))
    columns = ["epoch", *(f"training {n}" for n in train), *(f"validation {n}" for n in val), ""]
    rows = [
        [
            str(each.epoch),
            *(number(each.train.get(name)) for name in train),
            *(number(each.val.get(name)) for name in val),
            "best so far" if each.best else "",
        ]
        for each in epochs
    ]
    return table(columns, rows)
