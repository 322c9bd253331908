"""Runs passes in order, with hooks around each of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from dhc.ir.graph import Graph


@dataclass(frozen=True)
class Pass:
    """A pass is a frozen dataclass whose fields are its options. Subclasses are pure functions."""

    name: ClassVar[str] = ""

    def requires(self, graph: Graph) -> None:
        """Asserts what must hold before."""

    def __call__(self, graph: Graph) -> Graph:
        raise NotImplementedError

    def ensures(self, graph: Graph) -> None:
        """Asserts what holds afterwards."""


@dataclass(frozen=True)
class PassRecord:
    """What one pass did, for `explain`, dumps and timings."""

    name: str
    before: Graph
    after: Graph
    seconds: float


Hook = Callable[[PassRecord], None]


def run_passes(graph: Graph, passes: Sequence[Pass], hooks: Sequence[Hook] = ()) -> Graph:
    """Runs the passes in order; every hook sees each of them."""
    for one in passes:
        one.requires(graph)
        start = time.perf_counter()
        result = one(graph)
        record = PassRecord(one.name, graph, result, time.perf_counter() - start)
        one.ensures(result)
        for hook in hooks:
            hook(record)
        graph = result
    return graph
