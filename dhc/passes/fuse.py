"""Fusion: groups operators into regions, each of which becomes one kernel.

A region has at most one *anchor*, the operator that reads many elements or moves them. Elementwise
operators after it are its epilogue; those before it are its prologue, where the anchor reads each
element about once. Every value inside a region is needed only there, or is cheaper to compute again
in each region than to keep: the sum, difference or product of a tensor that others read too with
something small, such as the distance from a channel's mean.
"""

from __future__ import annotations

import math
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
from dhc.ops.elementwise import Add, Cast, Mul, Sub
from dhc.ops.region import Region
from dhc.passes.manager import Pass

REPEATED = (Add, Sub, Mul)  # what may be computed in several regions
SMALL = 8  # times smaller than a result is an operand whose reading does not count


@dataclass(frozen=True)
class Fuse(Pass):
    """Makes regions.

    Attributes:
        alone: Operators that are never part of a region, because the backend has its own way.
        no_prologue: Anchors whose native kernels take no prologue.
        max_ops: The largest number of operators in one region.
    """

    name: ClassVar[str] = "fuse"
    optional: ClassVar[bool] = True
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
        self._groups: dict[Node, list[_Group]] = {}  # several for what is computed in each

    def groups(self) -> list[_Group]:
        """Visits nodes from the results upstream; each joins its users' group or starts one."""
        for node in reversed(self._order):
            if isinstance(node.op, (Input, Param, Constant, Literal_)):
                continue
            groups = self._joinable(node)
            if not groups:
                groups = [_Group(node)]
                self._add(groups[0], node, prologue=False)
            self._groups[node] = groups
        found = {id(group): group for groups in self._groups.values() for group in groups}
        return [group for group in found.values() if self._makes_region(group)]

    def _makes_region(self, group: _Group) -> bool:
        """Whether a group gains from being a region: one operator does where it takes a literal."""
        takes_literal = any(isinstance(source.op, Literal_) for source in group.root.inputs)
        return len(group.members) > 1 or (takes_literal and self._may_fuse(group.root))

    def _joinable(self, node: Node) -> list[_Group]:
        """Joins the groups of all its readers if it may; returns them, or nothing."""
        if node in self._outputs or not self._may_fuse(node):
            return []
        readers = self._users[node]
        found = {id(group): group for reader in readers for group in self._groups[reader]}
        groups = list(found.values())
        if len(groups) > 1 and not self._is_repeated(node):
            return []
        sides = [self._side(node, group) for group in groups]
        if any(side is None for side in sides):
            return []
        for group, side in zip(groups, sides, strict=True):
            self._add(group, node, prologue=bool(side))
        return groups

    def _side(self, node: Node, group: _Group) -> bool | None:
        """Whether a node would be on the prologue side of a group; None if it may not join it."""
        readers = [reader for reader in self._users[node] if reader in group.members]
        prologue = any(group.members[r] or r is group.anchor for r in readers)
        full = len(group.members) >= self._options.max_ops
        if full or not self._may_fuse(group.root) or not self._allowed(node, group, prologue):
            return None
        return prologue

    def _is_repeated(self, node: Node) -> bool:
        """Whether reading what a node is computed from takes no longer than reading its result.

        Of its operands one is as large as the result, and in memory for other readers anyway.
        """
        if type(node.op) not in REPEATED:
            return False
        size = math.prod(node.type.static_shape)
        large = [n for n in node.inputs if SMALL * math.prod(n.type.static_shape) > size]
        return len(large) == 1 and large[0].type == node.type and len(self._users[large[0]]) > 1

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
