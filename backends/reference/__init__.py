"""The reference backend: numpy on the graph, in float64 on request. It defines what is correct."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from dhc.backends.base import Compiled, Exported, Restored, Target, no_project
from dhc.ir.graph import Array, Graph, Node, topological
from dhc.ops.base import run
from dhc.ops.collective import AllReduceStart, AllReduceWait
from dhc.passes.manager import Hook
from dhc.passes.widen import widen, widen_array
from dhc.runtime.comm.base import Exchange


class ReferenceBackend:
    """Runs graphs with each operator's numpy meaning.

    There is nothing to generate, so it has no stages.
    """

    name: ClassVar[str] = "reference"
    options: ClassVar[Mapping[str, type]] = {}
    precisions: ClassVar[Sequence[str]] = ("f32", "f32x3", "bf16", "f64")

    def __init__(self, target: Target) -> None:
        self._wide = target.precision == "f64"

    def check(self, graph: Graph) -> None:
        """Accepts every graph."""

    def compile(self, graph: Graph, hooks: Sequence[Hook] = ()) -> Compiled:
        """Returns a runner, and an empty prepare graph since parameters are used as they are."""
        empty = Graph(f"{graph.name}_prepare", (), ())
        return Compiled(lambda: empty, ReferenceExecutable(graph, self._wide))

    def identity(self) -> str:
        return ""

    def snapshot(self, compiled: Compiled) -> bytes | None:
        """Nothing is compiled, so nothing is kept."""
        return None

    def restore(self, stored: bytes) -> Restored | None:
        return None

    def export(self, source: Exported, folder: Path) -> None:
        raise no_project(self.name)


class ReferenceExecutable:
    """Evaluates the graph on each call.

    Args:
        graph: What to run.
        wide: Whether narrower floats are computed in float64.
    """

    def __init__(self, graph: Graph, wide: bool) -> None:
        self._graph = widen(graph) if wide else graph
        self._wide = wide
        self._constants = {label: self._widen(a) for label, a in graph.constants.items()}
        self._weights: dict[str, Array] = {}
        self._exchange = Exchange()
        self._nodes = list(topological(self._graph.roots))

    def load(self, weights: Mapping[str, Array]) -> None:
        self._weights = {label: self._widen(array) for label, array in weights.items()}

    def read(self, labels: Sequence[str]) -> dict[str, Array]:
        return {label: np.array(self._weights[label]) for label in labels}

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        values = {**self._weights, **{label: self._widen(a) for label, a in inputs.items()}}
        results = iter(self._results(values))
        outputs = {name: next(results) for name, _ in self._graph.outputs}
        self._weights |= {path: next(results) for path, _ in self._graph.updates}
        return outputs

    def connect(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def _results(self, values: Mapping[str, Array]) -> list[Array]:
        """Runs the graph; sums over ranks begin in the order that all ranks keep."""
        starts = {n.op.number: n for n in self._nodes if isinstance(n.op, AllReduceStart)}
        roots = [*(starts[number] for number in sorted(starts)), *self._graph.roots]
        found = run(roots, values, self._constants, self._meet)
        return found[len(starts) :]

    def _meet(self, node: Node, array: Array) -> None:
        """Does what numpy cannot: what a start begins is there after the wait."""
        match node.op:
            case AllReduceStart(number):
                self._exchange.start(number, array)
            case AllReduceWait(number):
                self._exchange.wait(number)

    def _widen(self, array: Array) -> Array:
        return widen_array(array) if self._wide else array
