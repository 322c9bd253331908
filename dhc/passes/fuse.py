"""Fusion: groups operators into regions, each of which becomes one kernel.

A region has at most one *anchor*, the operator that reads many elements or moves them. Elementwise
operators after it are its epilogue; those before it are its prologue, where the anchor reads each
element about once. Every value inside a region is needed only there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import ClassVar

from dhc.ir.graph import (
    Constant,
    Graph,
    Input,
    Literal_,
    Node,
    Op,
    Param,
    topological,
    users,
)
from dhc.ir.rewrite import rebuild, transform
from dhc.ops.base import Operator
from dhc.ops.elementwise import Cast
from dhc.ops.region import Region
from dhc.passes.manager import Pass


@dataclass(frozen=True)
class Fuse(Pass):
    """Makes regions.

    Attributes:
        alone: Operators that are never part of a region, because the backend has its own way.
        no_prologue: Anchors whose native kernels take no prologue.
        max_ops: The largest number of operators in one region.
    """

    name: ClassVar[str] = "fuse"
    alone: frozenset[type[Op]] = frozenset()
    no_prologue: frozenset[type[Op]] = frozenset()
    max_ops: int = 48

    def __call__(self, graph: Graph) -> Graph:
        return _replace_groups(graph, _Grouping(self, graph).groups())


@dataclass
class _Group:
    """The members of a region to be, found from its root upstream."""

    root: Node
    members: dict[Node, bool] = field(default_factory=dict)  # whether it is on the prologue side
    anchor: Node | None = None


class _Grouping:
    def __init__(self, options: Fuse, graph: Graph) -> None:
        self._options = options
        self._users = users(graph.roots)
        self._outputs = set(graph.roots)
        self._order = list(topological(graph.roots))
        self._group: dict[Node, _Group] = {}

    def groups(self) -> list[_Group]:
        """Visits nodes from the results upstream; each joins its users' group or starts one."""
        for node in reversed(self._order):
            if isinstance(node.op, (Input, Param, Constant, Literal_)):
                continue
            group = self._joinable(node)
            if group is None:
                group = _Group(node)
                self._add(group, node, prologue=False)
            self._group[node] = group
        found = {id(group): group for group in self._group.values()}
        return [group for group in found.values() if self._makes_region(group)]

    def _makes_region(self, group: _Group) -> bool:
        """Whether a group gains from being a region: one operator does where it takes a literal."""
        takes_literal = any(isinstance(source.op, Literal_) for source in group.root.inputs)
        return len(group.members) > 1 or (takes_literal and self._may_fuse(group.root))

    def _joinable(self, node: Node) -> _Group | None:
        if node in self._outputs or not self._may_fuse(node):
            return None
        readers = self._users[node]
        candidates = {id(self._group[reader]): self._group[reader] for reader in readers}
        if len(candidates) != 1:
            return None
        group = next(iter(candidates.values()))
        prologue = any(group.members[r] or r is group.anchor for r in readers)
        if len(group.members) >= self._options.max_ops or not self._may_fuse(group.root):
            return None
        if not self._allowed(node, group, prologue):
            return None
        self._add(group, node, prologue)
        return group

    def _allowed(self, node: Node, group: _Group, prologue: bool) -> bool:
        if prologue:
            return self._is_prologue(node, group)
        if node.type.shape != group.root.type.shape:
            return False
        return _kind(node) == "elementwise" or group.anchor is None

    def _is_prologue(self, node: Node, group: _Group) -> bool:
        anchor = group.anchor
        assert anchor is not None
        assert isinstance(anchor.op, Operator)
        takes = anchor.op.inlines_producers or (
            anchor.op.inlines_casts and isinstance(node.op, Cast)
        )
        if type(anchor.op) in self._options.no_prologue:
            return False
        if _kind(node) == "movement":
            return anchor.op.inlines_movement
        return takes and _kind(node) == "elementwise"

    def _may_fuse(self, node: Node) -> bool:
        return _kind(node) != "opaque" and type(node.op) not in self._options.alone

    def _add(self, group: _Group, node: Node, prologue: bool) -> None:
        group.members[node] = prologue
        if not prologue and _kind(node) != "elementwise" and group.anchor is None:
            group.anchor = node


def _kind(node: Node) -> str:
    return node.op.kind if isinstance(node.op, Operator) else "opaque"


def _replace_groups(graph: Graph, groups: Iterable[_Group]) -> Graph:
    by_root = {group.root: group for group in groups}
    inner = {m for group in by_root.values() for m in group.members if m is not group.root}
    done: dict[Node, Node] = {}

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node in by_root:
            new = _make_region(by_root[node], done)
        elif node in inner:
            new = node  # computed inside its region; nothing outside reads it
        else:
            new = rebuild(node, inputs)
        done[node] = new
        return new

    fused = transform(graph, step)
    kept = set(topological((*fused.inputs, *fused.roots)))
    return replace(fused, origins={n: o for n, o in fused.origins.items() if n in kept})


def _make_region(group: _Group, done: dict[Node, Node]) -> Node:
    """Returns the region node that stands for a group's root."""
    outside: list[Node] = []
    inside: dict[Node, Node] = {}
    for node in topological([group.root], within=group.members):
        if node in group.members:
            inside[node] = node.op(*(inside[source] for source in node.inputs))
        elif isinstance(node.op, Literal_):
            inside[node] = node
        else:
            inside[node] = Input(str(len(outside)), node.type)()
            outside.append(node)
    bound = tuple(inside[node] for node in outside)
    body = Graph("region", bound, (("out", inside[group.root]),))
    return Region(body)(*(done[node] for node in outside))
