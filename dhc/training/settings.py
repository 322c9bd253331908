"""What a `train` block says, in the types that the rest of training uses."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from dhc.errors import ArgumentError, DhcError, Diagnostic, did_you_mean
from dhc.frontend import Configured, Program
from dhc.frontend.values import DefinitionValue, Instance, Quantity, Record, Reference, Value, Word
from dhc.metrics import INTERVALS, METRICS, Bootstrap, Metric
from dhc.recipe.average import AVERAGES, Ema
from dhc.recipe.clip import CLIPS, ClipNorm, ClipValue
from dhc.recipe.constraints import CONSTRAINTS, Constraint
from dhc.recipe.initializers import INITIALIZERS, Draw
from dhc.recipe.optimizers import OPTIMIZERS, Optimizer
from dhc.recipe.parallel import DataParallel
from dhc.recipe.penalties import PENALTIES, Penalty
from dhc.recipe.schedules import SCHEDULES, Constant, Schedule
from dhc.runtime.data.kept import MOST
from dhc.source import Span
from dhc.training.distribution import parallel_of
from dhc.training.registered import made, made_all
from dhc.training.start import Pair, Taken, taken
from dhc.training.step import LOSS

ROOTS, COMPARED = ("out", "data"), ("prediction", "truth")
T = TypeVar("T")
Named = TypeVar("Named", Draw, Penalty, Constraint)
Clipping = ClipNorm | ClipValue


@dataclass(frozen=True)
class Measured:
    """A metric, and what it compares: `out.NAME` with `data.NAME`."""

    name: str
    metric: Metric
    prediction: str
    truth: str
    span: Span | None = None


@dataclass(frozen=True)
class Data:
    """Where samples come from, and the pipeline of each part, by name.

    `balance` is for as many samples of each class in training; `cache` says how many bytes of
    decoded samples stay in memory.
    """

    path: str
    pipelines: Mapping[str, str]
    workers: int
    span: Span
    balance: bool = False
    cache: int = MOST


@dataclass(frozen=True)
class Stop:
    """When a run ends early.

    Attributes:
        patience: Epochs without improvement; 0 for no such end.
        monitor: The validation number that is watched.
        least: What counts as an improvement.
    """

    patience: int = 0
    monitor: str = ""
    least: float = 0.0


@dataclass(frozen=True)
class TrainSettings:
    """A whole `train` block, evaluated; `configured` keeps the formulas.

    What is an empty string was left out.
    """

    name: str
    configured: Configured
    model: Instance
    data: Data
    optimizer: Optimizer
    schedule: Schedule
    metrics: tuple[Measured, ...]
    intervals: Bootstrap
    epochs: int
    batch: int
    seed: int
    precision: str
    checkpoint: int
    accumulate: int
    clip: Clipping | None
    average: Ema | None
    initializers: tuple[tuple[Draw, Record], ...]
    penalties: tuple[tuple[Penalty, Record], ...]
    constraints: tuple[tuple[Constraint, Record], ...]
    parallel: DataParallel | None
    freeze: tuple[str, ...]
    weights: Taken | None
    init: Taken | None
    rename: tuple[Pair, ...]
    stop: Stop
    target: str
    memory: int

    @property
    def begins_with(self) -> str:
        """The train with whose weights this one begins; empty if with none."""
        source = self.weights or self.init
        return source.train if source else ""


def train_settings(program: Program, name: str) -> TrainSettings:
    """Returns what a train block says.

    Raises:
        DhcError: with everything in it that is wrong or does not exist yet.
    """
    found = program.train(name)
    values = found.values
    if {"weights", "init"} <= found.places.keys():
        text = "A train begins with 'weights' or with 'init', not with both."
        raise DhcError(Diagnostic("arguments", text, found.places["init"], "here"))
    optimizer = values["optimizer"]
    assert isinstance(optimizer, Record)
    model = values["model"]
    assert isinstance(model, Instance)
    average = values.get("average")
    metrics = _metrics(values.get("metrics", ()))
    return TrainSettings(
        name=name,
        configured=found,
        model=model,
        data=_data(values["data"], found),
        optimizer=_optimizer(optimizer),
        schedule=_schedule(optimizer),
        metrics=metrics,
        intervals=_intervals(values.get("intervals")),
        epochs=_whole(found, "epochs", 1),
        batch=_whole(found, "batch", 16),
        seed=_whole(found, "seed", 0, least=0),
        precision=_text(values.get("precision")),
        checkpoint=_whole(found, "checkpoint", 0, least=0),
        accumulate=_whole(found, "accumulate", 1),
        clip=_clip(values.get("clip"), found.places.get("clip")),
        average=made(average, AVERAGES, "an average") if isinstance(average, Record) else None,
        initializers=_all(found, "initializers", INITIALIZERS, "an initialiser"),
        penalties=_all(found, "penalty", PENALTIES, "a penalty"),
        constraints=_all(found, "constraint", CONSTRAINTS, "a constraint"),
        parallel=parallel_of(found),
        freeze=_texts(values.get("freeze", ())),
        target=_target(values.get("target")),
        memory=_bytes(found),
        weights=taken(values.get("weights")),
        init=taken(values.get("init")),
        rename=_pairs(found),
        stop=_stop(values.get("stop"), [LOSS, *(m.name for m in metrics)]),
    )


def choose(patterns: Iterable[str], paths: Iterable[str], span: Span | None) -> frozenset[str]:
    """Returns the parameters that patterns such as `encoder.*` name.

    Raises:
        DhcError: if a pattern names none.
    """
    known = list(paths)
    found: set[str] = set()
    for pattern in patterns:
        own = fnmatch.filter(known, pattern)
        if not own:
            guess = did_you_mean(pattern, known)
            hints = (f"did you mean '{guess}'?",) if guess else ()
            text = f"The pattern '{pattern}' names no parameter of the model."
            raise DhcError(Diagnostic("unknown-name", text, span, hints=hints))
        found.update(own)
    return frozenset(found)


def by_name(
    chosen: Sequence[tuple[Named, Record]], paths: Sequence[str]
) -> tuple[tuple[Named, frozenset[str]], ...]:
    """Returns what settings choose by patterns of names, with the parameters that they name.

    Raises:
        DhcError: if a pattern names none.
    """
    return tuple((each, choose([each.names], paths, record.span)) for each, record in chosen)


# ---- parts -----------------------------------------------------------------------------------


def _data(value: Value, found: Configured) -> Data:
    if not isinstance(value, Record) or value.name != "dataset":
        text = 'Data are given as dataset("PATH", train=PIPELINE).'
        raise DhcError(Diagnostic("type", text, found.places["data"]))
    pipelines = {}
    for part in ("train", "val", "test"):
        pipeline = value.get(part)
        if pipeline is None:
            continue
        if isinstance(pipeline, Instance):
            pipeline = pipeline.callee
        if not isinstance(pipeline, DefinitionValue) or pipeline.definition.kind != "pipeline":
            text = f"'{part}' of a data set names a pipeline."
            raise DhcError(Diagnostic("type", text, value.span))
        pipelines[part] = pipeline.name
    path, workers = value.get("path"), value.get("workers")
    assert isinstance(path, str)
    assert isinstance(workers, int)
    given = value.get("cache")
    cache = MOST if given is None else _size(given, "cache", value.span, least=0)
    return Data(path, pipelines, workers, value.span, bool(value.get("balance")), cache)


def _optimizer(record: Record) -> Optimizer:
    scheduled = isinstance(record.get("lr"), Record)
    return made(record, OPTIMIZERS, "an optimizer", without="lr" if scheduled else "")


def _schedule(record: Record) -> Schedule:
    rate = record.get("lr")
    if isinstance(rate, Record):
        return made(rate, SCHEDULES, "a schedule")
    assert isinstance(rate, (int, float))
    return Constant(float(rate))


def _pairs(found: Configured) -> tuple[Pair, ...]:
    """Pairs of how names begin in a file, and in the model."""
    if "rename" not in found.places:
        return ()
    value, pairs = found.values["rename"], []
    for item in value if isinstance(value, tuple) else ():
        match item:
            case (str(old), str(new)):
                pairs.append((old, new))
            case _:
                text = "'rename' is a list of pairs of how names begin."
                hint = 'write rename = [["encoder.", "backbone."]]'
                place = found.places["rename"]
                raise DhcError(Diagnostic("arguments", text, place, "here", hints=(hint,)))
    if pairs and not {"weights", "init"} & found.places.keys():
        text = "'rename' changes names of 'weights' or 'init'; there is neither."
        raise DhcError(Diagnostic("arguments", text, found.places["rename"], "here"))
    return tuple(pairs)


def _all(
    found: Configured, name: str, registry: Mapping[str, type[T]], what: str
) -> tuple[tuple[T, Record], ...]:
    return made_all(found.values.get(name), registry, what, found.places.get(name))


def _clip(value: Value, place: Span | None) -> Clipping | None:
    """`1.0` is a bound of the norm, as `by_norm(1.0)` is."""
    if isinstance(value, Record):
        return made(value, CLIPS, "a way of clipping")
    if not isinstance(value, (int, float)):
        return None
    try:
        return ClipNorm(float(value))
    except ArgumentError:
        text = f"'clip' must be above 0, not {value}."
        raise DhcError(Diagnostic("arguments", text, place, "here")) from None


def _metrics(value: Value) -> tuple[Measured, ...]:
    records = value if isinstance(value, tuple) else (value,)
    found = [_metric(record) for record in records if isinstance(record, Record)]
    found = _told_apart(found, [each.prediction for each in found])
    return tuple(_told_apart(found, [str(k) for k in range(1, len(found) + 1)]))


def _told_apart(metrics: Sequence[Measured], marks: Sequence[str]) -> list[Measured]:
    """Gives metrics of one name their marks: `mae_cbf` and `mae_cbv`."""
    names = [each.name for each in metrics]
    return [
        replace(each, name=f"{each.name}_{mark}") if names.count(each.name) > 1 else each
        for each, mark in zip(metrics, marks, strict=True)
    ]


def _metric(record: Record) -> Measured:
    names = []
    for root, role in zip(ROOTS, COMPARED, strict=True):
        operand = record.get(role)
        own = operand.path if isinstance(operand, Reference) else ""
        head, _, member = own.partition(".")
        if head != root or not member or "." in member:
            text = f"A metric compares the model's output with the data: {record.name}"
            text += "(out.NAME, data.NAME)."
            raise DhcError(Diagnostic("arguments", text, record.span, "here"))
        names.append(member)
    rest = tuple(each for each in record.arguments if each[0] not in COMPARED)
    metric = made(replace(record, arguments=rest), METRICS, "a metric")
    return Measured(record.name, metric, names[0], names[1], record.span)


def _intervals(value: Value) -> Bootstrap:
    if not isinstance(value, Record):
        return Bootstrap()
    return made(value, INTERVALS, "a way to find intervals")


def _stop(value: Value, measured: Sequence[str]) -> Stop:
    if not isinstance(value, Record):
        return Stop()
    patience, least, monitor = (value.get(n) for n in ("patience", "min_delta", "monitor"))
    assert isinstance(patience, int)
    assert isinstance(least, (int, float))
    watched = monitor.path.removeprefix("val.") if isinstance(monitor, Reference) else ""
    if watched and watched not in measured:
        guess = did_you_mean(watched, measured)
        hints = (f"did you mean 'val.{guess}'?",) if guess else ()
        text = f"Nothing measures '{watched}'; there is {', '.join(measured)}."
        raise DhcError(Diagnostic("unknown-name", text, value.span, "here", hints=hints))
    return Stop(patience, watched, float(least))


def _whole(found: Configured, name: str, default: int, least: int = 1) -> int:
    value = found.values.get(name, default)
    assert isinstance(value, int)
    if value < least:
        text = f"'{name}' must be at least {least}, not {value}."
        raise DhcError(Diagnostic("arguments", text, found.places[name], "here"))
    return value


def _target(value: Value) -> str:
    return value.path if isinstance(value, Reference) else _text(value)


def _bytes(found: Configured) -> int:
    """The size of memory that intermediate results may take; 0 if none is named."""
    if "memory" not in found.places:
        return 0
    return _size(found.values["memory"], "memory", found.places["memory"], least=1)


def _size(value: Value, name: str, span: Span, least: int) -> int:
    """A size of memory, such as 2GB."""
    number = value.value if isinstance(value, Quantity) and value.unit == "B" else value
    if not isinstance(number, (int, float)) or number < least:
        text = f"'{name}' is a size of memory{' above 0' * bool(least)}."
        hints = (f"write {name} = 2GB",)
        raise DhcError(Diagnostic("arguments", text, span, "here", hints=hints))
    return int(number)


def _text(value: Value) -> str:
    return value.text if isinstance(value, Word) else value if isinstance(value, str) else ""


def _texts(value: Value) -> tuple[str, ...]:
    items = value if isinstance(value, tuple) else (value,)
    return tuple(item for item in items if isinstance(item, str))
