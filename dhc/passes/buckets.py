"""Puts sums over ranks together: few large messages in place of many small ones.

Sums that other sums wait for, such as those of batch statistics, travel with those that are needed
at the same time. The others, gradients above all, fill buckets in the order in which they become
known. All ranks build the same buckets, because these do not depend on the size of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import ClassVar

from dhc.ir.graph import Graph, Node, Origin, topological
from dhc.ir.rewrite import rebuild, transform
from dhc.ops.base import Composite
from dhc.ops.collective import (
    AllReduce,
    AllReduceStart,
    AllReduceWait,
    BatchMean,
    BucketPart,
    Shared,
)
from dhc.ops.norm_train import BatchNormTrain
from dhc.passes.manager import Pass


@dataclass(frozen=True)
class Buckets(Pass):
    """Replaces every `all_reduce` by a part of a bucket.

    Attributes:
        limit: Bytes of a bucket that nothing waits for; a larger tensor has one of its own.
    """

    name: ClassVar[str] = "buckets"
    limit: int = 25 << 20

    def __call__(self, graph: Graph) -> Graph:
        plain = transform(_expanded(graph), _unmarked)
        sums = _sums(plain)
        urgent = sorted((s for s in sums if s.urgent), key=lambda s: s.wave)
        late = sorted((s for s in sums if not s.urgent), key=lambda s: (s.wave, s.depth))
        groups = [list(found) for _, found in groupby(urgent, lambda s: s.wave)]
        buckets = [part for group in groups for part in _by_dtype(group)]
        filled = _filled(late, self.limit)
        ordered = sorted([*buckets, *filled], key=lambda bucket: bucket[-1].place)
        return _Rewriting(plain, [[s.node for s in bucket] for bucket in ordered]).graph()


@dataclass(frozen=True)
class _Sum:
    """A sum over ranks.

    Attributes:
        wave: How many others must be known before it begins, one after another.
        depth: The longest way from a leaf, which says when it becomes known.
        urgent: Whether another one waits for it.
    """

    node: Node
    wave: int
    depth: int
    urgent: bool

    @property
    def place(self) -> tuple[int, bool]:
        """Where it stands in the order of all."""
        return (self.wave, not self.urgent)

    @property
    def bytes(self) -> int:
        return math.prod(self.node.type.static_shape) * self.node.type.dtype.bytes


def _sums(graph: Graph) -> list[_Sum]:
    """All sums in the order of the graph."""
    order = list(topological(graph.roots))
    wave: dict[Node, int] = {}
    depth: dict[Node, int] = {}
    for node in order:
        wave[node] = max((wave[s] + _is_sum(s) for s in node.inputs), default=0)
        depth[node] = max((depth[s] + 1 for s in node.inputs), default=0)
    leads: set[Node] = set()  # nodes that a sum is computed from
    for node in reversed(order):
        if _is_sum(node) or node in leads:
            leads.update(node.inputs)
    return [_Sum(n, wave[n], depth[n], n in leads) for n in order if _is_sum(n)]


def _is_sum(node: Node) -> bool:
    return isinstance(node.op, AllReduce)


def _by_dtype(sums: Iterable[_Sum]) -> list[list[_Sum]]:
    found: dict[str, list[_Sum]] = {}
    for each in sums:
        found.setdefault(str(each.node.type.dtype), []).append(each)
    return [found[name] for name in sorted(found)]


def _filled(sums: Sequence[_Sum], limit: int) -> list[list[_Sum]]:
    """Buckets of one element type each, filled in order up to the limit."""
    full: list[list[_Sum]] = []
    open_: dict[str, list[_Sum]] = {}
    for each in sums:
        name = str(each.node.type.dtype)
        bucket = open_.get(name, [])
        if bucket and sum(s.bytes for s in bucket) + each.bytes > limit:
            full.append(bucket)
            bucket = []
        open_[name] = [*bucket, each]
    return [*full, *(open_[name] for name in sorted(open_))]


def _expanded(graph: Graph) -> Graph:
    """The graph with what is summed over ranks in the open."""

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        match node.op:
            case BatchMean(across=True) | BatchNormTrain(across=True):
                assert isinstance(node.op, Composite)
                return node.op.expand(*inputs)
        return rebuild(node, inputs)

    return transform(graph, step)


def _unmarked(node: Node, inputs: tuple[Node, ...]) -> Node:
    return inputs[0] if isinstance(node.op, Shared) else rebuild(node, inputs)


@dataclass
class _Rewriting:
    """Builds the graph with buckets in place of sums.

    Attributes:
        buckets: The sums of each, in the order in which all ranks begin them.
    """

    source: Graph
    buckets: Sequence[Sequence[Node]]
    done: dict[Node, Node] = field(default_factory=dict)

    def graph(self) -> Graph:
        number_of = {node: k for k, bucket in enumerate(self.buckets) for node in bucket}
        parts = [source for bucket in self.buckets for node in bucket for source in node.inputs]
        for node in topological([*self.source.inputs, *parts, *self.source.roots]):
            if node in number_of:
                self._place(number_of[node])
            else:
                self.done[node] = rebuild(node, tuple(self.done[s] for s in node.inputs))
        return replace(
            self.source,
            outputs=tuple((name, self.done[node]) for name, node in self.source.outputs),
            updates=tuple((path, self.done[node]) for path, node in self.source.updates),
            origins=self._origins(),
        )

    def _place(self, number: int) -> None:
        """Makes a bucket, whose parts are all known when the first of its sums is needed."""
        sums = self.buckets[number]
        start = AllReduceStart(number)(*(self.done[node.inputs[0]] for node in sums))
        bucket = AllReduceWait(number)(start)
        first = 0
        for node in sums:
            self.done[node] = BucketPart(first, node.type.shape)(bucket)
            first += math.prod(node.type.static_shape)

    def _origins(self) -> Mapping[Node, tuple[Origin, ...]]:
        known = self.source.origins
        return {new: known[old] for old, new in self.done.items() if old in known}
