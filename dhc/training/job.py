"""A training run, compiled and bound to its data: what the trainer runs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.frontend import Program as Source
from dhc.ir.graph import Array
from dhc.ir.size import Size, symbols
from dhc.ir.text import print_graph
from dhc.metrics.base import Rows, join_rows
from dhc.ops.random import COUNTER
from dhc.passes.bind_sizes import bind_sizes
from dhc.passes.widen import widen, widen_array
from dhc.runtime.comm.agree import check_alike, share_json, together
from dhc.runtime.comm.base import Communicator
from dhc.runtime.data.dataset import DataSet, open_dataset
from dhc.runtime.data.kept import Kept
from dhc.runtime.data.sampler import Sampler, even_batch
from dhc.runtime.parameters import check_values
from dhc.targets import make_backend
from dhc.training.diagnose import FINITE, first_trouble
from dhc.training.graphs import LOSS_WEIGHT, build
from dhc.training.group import Part
from dhc.training.ranks import SHARES, Ranks, parts, shares_of, shares_table
from dhc.training.samples import IDENTITY, Samples, compile_pipeline
from dhc.training.settings import TrainSettings, by_name
from dhc.training.start import draw, part_of, renamed
from dhc.training.step import (
    LOSS,
    NUMBERS,
    WEIGHT,
    average_path,
)

ROWS = "rows."  # what the names of metrics' rows begin with
Watch = Callable[[Mapping[str, Array], Mapping[str, Array]], None]
"""Sees a batch with what the network makes of it."""


class TrainingJob:
    """Everything that a run does; see `dhc.runtime.trainer.Job`.

    `opened` holds the parts of the data that have been asked for.

    Args:
        source: The file's program.
        settings: What its train block says.
        folder: Where paths in the block begin.
        target: What steps are compiled for.
        runs: The folder of the runs of other trains; None if the parameters come from a checkpoint
            afterwards, so that none are taken from elsewhere.
        dataset: The data; opened as the block says if not given.
        communicator: The ranks that share the run, if there are several.

    Attributes:
        notes: What people should know of how it begins.

    Raises:
        DhcError: with what is wrong, before any step.
    """

    def __init__(
        self,
        source: Source,
        settings: TrainSettings,
        folder: Path,
        target: Target,
        runs: Path | None = None,
        dataset: DataSet | None = None,
        communicator: Communicator | None = None,
    ) -> None:
        self.settings = settings
        self.notes: tuple[str, ...] = ()
        self.ranks = Ranks(communicator)
        self.ranks.require(settings.parallel is not None, settings.name)
        self._source = source
        self.dataset = dataset or open_data(settings, folder)
        self.opened: dict[str, Samples] = {}
        self._kept = Kept(settings.data.cache)
        self.train = self.part("train")
        self.val = self.part("val") if self.dataset.parts.get("val") else None
        self.built = build(source, settings, self.train.types())
        group = settings.batch * settings.accumulate
        classes = _classes(self.train, settings)
        self._sampler = Sampler(len(self.train), group, settings.seed, classes=classes)
        self._workers = settings.data.workers or min(4, self.ranks.cores())
        graph, start = self.built.step.graph, self._start(folder, runs)
        own = self.ranks.target(_narrowed(target, settings))
        bounded = replace(own, memory=settings.memory)
        self._step = compile_graph(graph, bounded, parameters=start, exchange=self.ranks.exchange)
        self._check = compile_graph(self.built.check, own)

    def compile(self) -> None:
        """Compiles the step for a whole batch, and its check, before any work begins.

        Raises:
            DhcError: if the network cannot have these sizes, or the target not run it with them.
        """
        numbers = next(self._sampler.epoch(0))
        first = self.ranks.shares(numbers, self.settings.batch)[0]
        names = symbols(self.built.batch)  # none if the model says how many samples it takes
        try:
            self._step.compile_for(dict.fromkeys(names, len(first.numbers)))
        except DhcError as problem:
            raise problem.at(self.settings.configured.places.get("memory")) from None
        if self.val is not None:
            self._check.compile_for(dict.fromkeys(names, len(self._plan(self.val)[0])))

    # ---- what the trainer asks for ---------------------------------------------------------------

    @property
    def steps_per_epoch(self) -> int:
        return self._sampler.batches

    def batches(self, epoch: int, first: int) -> Iterator[Mapping[str, Array]]:
        """Yields this rank's parts of batches; `SHARES` says what parts they are."""
        groups = self._sampler.epoch(epoch, first)
        shares = [self.ranks.shares(numbers, self.settings.batch) for numbers in groups]
        plan = [np.concatenate([share.numbers for share in group]) for group in shares]
        loaded = self.train.load(plan, epoch, self._workers)
        for group, batch in zip(shares, self.ranks.agreed(loaded), strict=True):
            yield {**batch, SHARES: shares_table(group)}

    def size(self, batch: Mapping[str, Array]) -> int:
        return int(shares_of(batch)[:, 1].sum())

    def step(self, number: int, rate: float, batch: Mapping[str, Array]) -> float:
        """Does an update; a batch of the run is a group of batches of the step."""
        total, weights = 0.0, 0.0
        for part, own in parts(batch):
            self.ranks.exchange.present = part.present
            found = self._step(**self._inputs(number, rate, own, part))
            weight = float(found.get(WEIGHT, part.samples))
            total, weights = total + float(found[LOSS]) * weight, weights + weight
            if not math.isfinite(total):
                return total
        return total / weights

    def validate(self) -> dict[str, float]:
        """Measures the validation part; each rank does whole batches of it, as one rank would."""
        communicator = self.ranks.communicator
        check_alike(communicator, self.arrays())
        if self.val is None:
            return {}
        val, plan = self.val, self._plan(self.val)
        own = self.ranks.dealt(plan)
        made = together(communicator, lambda: list(self._measured(val, own)))
        loss, rows = self._result(self.ranks.collected(made, len(plan)))
        values = {m.name: m.metric.value(rows[m.name]) for m in self.settings.metrics}
        return share_json(communicator, {LOSS: loss, **values})

    def arrays(self) -> dict[str, Array]:
        return self._step.parameters()

    def restore(self, arrays: Mapping[str, Array]) -> None:
        self._step.load_parameters(arrays)

    def diagnose(self, batch: Mapping[str, Array]) -> str:
        part = Part(self.size(batch))
        values = {**self._step.parameters(), **self._inputs(1, 0.0, batch, part)}
        wide = {name: widen_array(array) for name, array in values.items()}
        samples: dict[str, Size] = {str(self.built.batch): len(batch[IDENTITY])}
        found = first_trouble(widen(bind_sizes(self.built.step.graph, samples)), wide)
        return self.ranks.first_text(found, FINITE)

    # ---- evaluation ------------------------------------------------------------------------------

    def part(self, name: str) -> Samples:
        """Returns a part of the data, prepared as the train block says.

        Raises:
            DhcError: if the data have no such part.
        """
        if name not in self.opened:
            self.opened[name] = self._samples(self._source, name)
        return self.opened[name]

    def measure(
        self, samples: Samples, watch: Watch | None = None
    ) -> tuple[float, dict[str, Rows]]:
        """Returns the mean loss over samples, and the rows of each metric.

        Args:
            samples: A part of the data.
            watch: Is called with each batch and the network's outputs.
        """
        return self._result(list(self._measured(samples, self._plan(samples), watch)))

    def _plan(self, samples: Samples) -> list[Array]:
        several = even_batch(len(samples), self.settings.batch)
        return list(Sampler(len(samples), several, shuffle=False).epoch(0))

    def _measured(
        self, samples: Samples, plan: Sequence[Array], watch: Watch | None = None
    ) -> Iterator[dict[str, Rows]]:
        """Yields the summed loss of each batch, what it is divided by, and rows of metrics."""
        self._check.load_parameters(self.weights())
        for batch in samples.load(plan, 0, self._workers):
            results = self._outputs(batch)
            if watch is not None:
                watch(batch, results)
            rows = {
                f"{ROWS}{m.name}": m.metric.rows(results[m.prediction], batch[m.truth])
                for m in self.settings.metrics
            }
            weight = float(results[LOSS_WEIGHT])
            loss = float(results[LOSS]) * weight if weight else 0.0
            yield {LOSS: np.array([loss, weight]), **rows}

    def _result(self, parts: Sequence[Mapping[str, Rows]]) -> tuple[float, dict[str, Rows]]:
        """The mean loss over batches, and their rows."""
        total, weight = np.sum([part[LOSS] for part in parts], 0).tolist()
        names = [m.name for m in self.settings.metrics]
        rows = {name: join_rows([part[ROWS + name] for part in parts]) for name in names}
        return total / weight if weight else math.nan, rows

    def apply(
        self, samples: Samples, chosen: Sequence[int]
    ) -> Iterator[tuple[Mapping[str, Array], Mapping[str, Array]]]:
        """Yields batches of some samples, with the network's outputs."""
        self._check.load_parameters(self.weights())
        size = self.settings.batch
        plan = [np.asarray(chosen[k : k + size]) for k in range(0, len(chosen), size)]
        for batch in samples.load(plan, 0, self._workers):
            yield batch, self._outputs(batch)

    def _outputs(self, batch: Mapping[str, Array]) -> dict[str, Array]:
        return self._check(**{name: batch[name] for name in self._check.inputs})

    def weights(self) -> dict[str, Array]:
        """Returns the network's parameters as they are used now: their averages where kept."""
        known = self._step.parameters()
        averages = {path: average_path(path) for path in self.built.step.averaged}
        return {path: known[averages.get(path, path)] for path in self.built.paths}

    def digest(self) -> str:
        """Returns what identifies the run: its graphs, data and settings."""
        text = print_graph(self.built.step.graph, origins=False)
        names = "\n".join(sample.name for sample in self.train.samples)
        settings = self.settings
        own = f"{settings.seed} {settings.batch} {settings.accumulate} {settings.schedule}"
        own += f" {settings.average}" if settings.average else ""
        own += " balanced" if settings.data.balance else ""
        return hashlib.sha256("\n".join((text, names, own)).encode()).hexdigest()

    # ---- parts -----------------------------------------------------------------------------------

    def _samples(self, source: Source, part: str) -> Samples:
        name = self.settings.data.pipelines.get(part, "")
        pipeline = compile_pipeline(source, name, self.dataset, part) if name else None
        return Samples(self.dataset, part, pipeline, self.settings.seed, self._kept)

    def _start(self, folder: Path, runs: Path | None) -> dict[str, Array]:
        """The parameters at the beginning: drawn by the seed, or taken from elsewhere."""
        settings, params = self.settings, self.built.step.graph.params
        values = draw(params, by_name(settings.initializers, self.built.paths), settings.seed)
        if runs is not None:
            values |= self._taken(folder, runs)
        averages = {average_path(path): values[path] for path in self.built.step.averaged}
        return values | averages

    def _taken(self, folder: Path, runs: Path) -> dict[str, Array]:
        """The network's parameters that a file or another run gives."""
        settings = self.settings
        source = settings.weights or settings.init
        if source is None:
            return {}
        own = [param for param in self.built.step.graph.params if param.path in self.built.paths]
        try:
            found = renamed(source.read(folder, runs), settings.rename)
            if settings.weights:
                return check_values(own, found)
            values, report = part_of(own, found, str(source))
        except DhcError as problem:
            place = "weights" if settings.weights else "init"
            raise problem.at(settings.configured.places[place]) from None
        self.notes = (report,)
        return values

    def _inputs(
        self, number: int, rate: float, batch: Mapping[str, Array], part: Part
    ) -> dict[str, Array]:
        numbers = self.built.options.numbers(number, rate, part)
        values: dict[str, Array] = {}
        for label, type in self._step.inputs.items():
            if label == COUNTER:
                counters = np.empty((len(batch[IDENTITY]), 3), np.uint32)
                counters[:, 0], counters[:, 1] = self.settings.seed, number
                counters[:, 2] = batch[IDENTITY]
                values[label] = counters
            elif label.startswith(NUMBERS):
                own = numbers[label.removeprefix(NUMBERS)]
                values[label] = np.asarray(own, type.dtype.numpy)
            else:
                values[label] = batch[label]
        return values


def _classes(samples: Samples, settings: TrainSettings) -> tuple[int, ...]:
    """What is balanced: the class of each sample, or nothing."""
    try:
        return samples.classes() if settings.data.balance else ()
    except DhcError as problem:
        raise problem.at(settings.data.span) from None


def _narrowed(target: Target, settings: TrainSettings) -> Target:
    """The target with the block's precision.

    Raises:
        DhcError: if its backend has no such precision.
    """
    if not settings.precision:
        return target
    chosen = replace(target, precision=settings.precision)
    try:
        make_backend(chosen)
    except DhcError as problem:
        raise problem.at(settings.configured.places["precision"]) from None
    return chosen


def open_data(settings: TrainSettings, folder: Path) -> DataSet:
    """Opens the data of a train block, whose paths begin in a folder.

    Raises:
        DhcError: at the block's place, if they cannot be opened.
    """
    try:
        return open_dataset(settings.data.path, folder)
    except DhcError as problem:
        raise problem.at(settings.data.span) from None
