"""Runs passes in order. Hooks see what each of them, and each later stage, has made."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from dhc.errors import DhcError
from dhc.ir.graph import Graph, Node, topological
from dhc.ir.rewrite import rebuild, transform
from dhc.lower.plan import Plan
from dhc.ops.scan import Scan

log = logging.getLogger("dhc")


@dataclass(frozen=True)
class Pass:
    """A pass is a frozen dataclass whose fields are its options. Subclasses are pure functions.

    Attributes:
        exact: Whether it keeps what the graph means; only a narrow precision does not.
        optional: Whether programs are right without it, only slower or larger.
    """

    name: ClassVar[str] = ""
    exact: ClassVar[bool] = True
    optional: ClassVar[bool] = False

    def requires(self, graph: Graph) -> None:
        """Asserts what must hold before."""

    def __call__(self, graph: Graph) -> Graph:
        raise NotImplementedError

    def ensures(self, graph: Graph) -> None:
        """Asserts what holds afterwards."""


# ---- what hooks see --------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """Something that has happened in a compilation."""


@dataclass(frozen=True)
class StartRecord(Event):
    """A compilation begins: a graph with all sizes bound, and for what in words."""

    graph: Graph
    target: str


@dataclass(frozen=True)
class PassRecord(Event):
    """What one pass did."""

    name: str
    before: Graph
    after: Graph
    seconds: float
    exact: bool = True


@dataclass(frozen=True)
class SplitRecord(Event):
    """What depends on weights alone was split off; `main` reads its results as parameters."""

    before: Graph
    prepare: Graph
    main: Graph


@dataclass(frozen=True)
class PlanRecord(Event):
    """Kernels in order, and the places of their tensors."""

    plan: Plan
    seconds: float


@dataclass(frozen=True)
class SourceRecord(Event):
    """The generated text: file name to content."""

    files: Mapping[str, str]
    seconds: float


Hook = Callable[[Event], None]


def notify(hooks: Sequence[Hook], event: Event) -> None:
    """Shows an event to every hook."""
    for hook in hooks:
        hook(event)


# ---- running ---------------------------------------------------------------------------------


def remaining(passes: Sequence[Pass], without: Sequence[str]) -> tuple[Pass, ...]:
    """Returns the passes but for those of these names that are optional."""
    return tuple(one for one in passes if not (one.optional and one.name in without))


def run_passes(graph: Graph, passes: Sequence[Pass], hooks: Sequence[Hook] = ()) -> Graph:
    """Runs the passes in order; every hook sees each of them."""
    for one in passes:
        record = _run_pass(one, graph)
        if log.isEnabledFor(logging.INFO):
            _log(record)
        notify(hooks, record)
        graph = record.after
    return graph


def _run_pass(one: Pass, graph: Graph) -> PassRecord:
    start = time.perf_counter()
    try:
        one.requires(graph)
        result = one(_with_bodies(one, graph))
        seconds = time.perf_counter() - start
        one.ensures(result)
    except Exception as error:
        if not isinstance(error, DhcError):
            error.add_note(f"in the pass '{one.name}'")
        raise
    return PassRecord(one.name, graph, result, seconds, one.exact)


def _with_bodies(one: Pass, graph: Graph) -> Graph:
    """The graph with a pass run on the bodies of its loops."""

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        if not isinstance(node.op, Scan):
            return rebuild(node, inputs)
        body = one(_with_bodies(one, node.op.body))
        return replace(node.op, body=body)(*inputs)

    has_loops = any(isinstance(node.op, Scan) for node in topological(graph.roots))
    return transform(graph, step) if has_loops else graph


def _log(record: PassRecord) -> None:
    before, after = (sum(1 for _ in topological(g.roots)) for g in (record.before, record.after))
    text = "Pass '%s' took %.1f ms and made %d nodes of %d."
    log.info(text, record.name, record.seconds * 1e3, after, before)
