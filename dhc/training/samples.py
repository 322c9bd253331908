"""Samples of a data set on their way into batches: read, sent through a pipeline, typed."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.errors import ArgumentError, DhcError, Diagnostic
from dhc.frontend import Program as Source
from dhc.ir.graph import Array, Input
from dhc.ir.text import graph_digest
from dhc.ir.types import DType, Tensor, dtype_of
from dhc.ops.random import COUNTER
from dhc.runtime.data.dataset import DataSet, Kind, Sample
from dhc.runtime.data.kept import Kept
from dhc.runtime.data.loader import load_batches
from dhc.runtime.program import Program

AGAIN = 1 << 16  # epochs between the random draws of a sample and those when it comes again
IDENTITY = "sample"  # the field of a batch that holds the numbers of its samples
Batches = Generator[dict[str, Array], None, None]
_PICTURES: tuple[Kind, ...] = ("image", "mask")


@dataclass(frozen=True)
class Pipeline:
    """A compiled pipeline: one sample in, one sample out.

    Attributes:
        digest: Of its graph.
    """

    name: str
    program: Program
    digest: str


class Samples:
    """One part of a data set, prepared for a network.

    Args:
        dataset: Where it comes from.
        part: Which part.
        pipeline: What each sample goes through; as it is if not given.
        seed: Decides all random draws.
        kept: Decoded samples that stay in memory.
    """

    def __init__(
        self,
        dataset: DataSet,
        part: str,
        pipeline: Pipeline | None,
        seed: int,
        kept: Kept | None = None,
    ) -> None:
        self.samples: Sequence[Sample] = dataset.part(part)
        self._kept = kept or Kept(0)
        self._fields = dataset.fields
        self._pipeline = pipeline
        self._seed = seed
        self._numbers = {sample.name: _number(sample.name) for sample in self.samples}
        self._seconds: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def digest(self) -> str:
        """What identifies the pipeline; nothing without one."""
        return self._pipeline.digest if self._pipeline else ""

    @property
    def seconds(self) -> float | None:
        """What reading and preparing every sample once took; None until all have been loaded.

        It is the sum over samples of the first time, though several are prepared at once.
        """
        return sum(self._seconds.values()) if len(self._seconds) == len(self) else None

    def prepare(self, index: int, epoch: int) -> dict[str, Array]:
        """Returns the arrays of a sample as the network takes them, without a batch axis.

        Raises:
            DhcError: naming the sample, if it cannot be read or does not fit the pipeline.
        """
        sample = self.samples[index]
        return self._prepared(sample, self._kept.read(sample), epoch)

    def _prepared(self, sample: Sample, arrays: dict[str, Array], epoch: int) -> dict[str, Array]:
        if self._pipeline is not None:
            arrays = self._through(self._pipeline, sample, arrays, epoch)
        return {name: self._typed(name, array) for name, array in arrays.items()}

    def load(self, plan: Sequence[Array], epoch: int, workers: int) -> Batches:
        """Yields batches of samples; `IDENTITY` holds u32 numbers that stay with them.

        Args:
            plan: The places of the samples of each batch. A place beyond the last one means a
                sample again, with other random draws.
            epoch: Counts for random stages.
            workers: Threads that prepare samples.
        """
        count = len(self)

        def prepare(place: int) -> dict[str, Array]:
            again, index = divmod(place, count)
            return self._timed(index, epoch + again * AGAIN)

        made = load_batches(plan, prepare, workers)
        for own, batch in zip(plan, made, strict=True):
            names = [
                self._numbers[self.samples[int(k) % count].name] + int(k) // count for k in own
            ]
            yield {**batch, IDENTITY: np.array(names, np.uint64).astype(np.uint32)}

    def classes(self) -> tuple[int, ...]:
        """Returns the class of each sample.

        Raises:
            DhcError: if samples have no label, or several.
        """
        labels = [sample.values.get("label") for sample in self.samples]
        found = tuple(label for label in labels if isinstance(label, int))
        if len(found) < len(labels):
            text = "Only data with one label for each sample can be balanced."
            raise DhcError(Diagnostic("data", text))
        return found

    def _timed(self, index: int, epoch: int) -> dict[str, Array]:
        began = perf_counter()
        found = self.prepare(index, epoch)
        self._seconds.setdefault(index, perf_counter() - began)
        return found

    def types(self) -> dict[str, Tensor]:
        """Returns the type of each field of a prepared sample, found on the first one.

        It does not stay in memory, so that `seconds` has the time of reading it too.
        """
        sample = self.samples[0]
        first = self._prepared(sample, sample.read(), 0)
        return {name: Tensor(dtype_of(array), array.shape) for name, array in first.items()}

    def _through(
        self, pipeline: Pipeline, sample: Sample, arrays: Mapping[str, Array], epoch: int
    ) -> dict[str, Array]:
        wanted = pipeline.program.inputs
        given = {name: arrays[name] for name in wanted if name in arrays}
        if COUNTER in wanted:
            counter = [self._seed, epoch, self._numbers[sample.name]]
            given[COUNTER] = np.array(counter, np.uint32)
        try:
            return {**arrays, **pipeline.program(**given)}
        except ArgumentError as problem:
            text = f"The sample '{sample.name}' does not fit the pipeline '{pipeline.name}'."
            raise DhcError(Diagnostic("data", text, notes=(str(problem),))) from None

    def _typed(self, name: str, array: Array) -> Array:
        """Masks become 0 and 1, as losses take them."""
        if self._fields.get(name) == "mask":
            return np.greater(array, 0).astype(np.float32)
        return array


def compile_pipeline(source: Source, name: str, dataset: DataSet, part: str) -> Pipeline:
    """Compiles a pipeline for the images of a part.

    Raises:
        DhcError: if it takes a field that the data set has not, or does not fit the images.
    """
    first = dataset.part(part)[0].read()
    entry = source.pipeline(name, image_dtype(dataset, part))
    labels = [n.op.label for n in entry.graph.inputs if isinstance(n.op, Input)]
    missing = [label for label in labels if label not in (*first, COUNTER)]
    if missing:
        known = ", ".join(dataset.fields)
        text = f"The pipeline '{name}' takes '{missing[0]}'; the data set has {known}."
        raise DhcError(Diagnostic("data", text, entry.span, "here"))
    program = compile_graph(entry.graph, Target("cpu", threads=1))
    return Pipeline(name, program, graph_digest(entry.graph))


def image_dtype(dataset: DataSet, part: str = "train") -> DType:
    """Returns the type of the elements of a part's images as they are stored."""
    first = dataset.part(part)[0].read()
    pictures = [n for n, kind in dataset.fields.items() if kind == "image" and n in first]
    return dtype_of(first[pictures[0]]) if pictures else DType.F32


def _number(name: str) -> int:
    """A number that stays with a sample, whatever else is in the data set."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
