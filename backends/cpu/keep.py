"""Weights that training keeps in the packed form in which convolutions read them.

A step that changes its weights would have to pack them anew, and to unpack their gradients. But
what an optimizer does, it does element by element; so weights and moments can lie packed in memory,
and only who looks at them from outside unpacks them. The pass below says so in the graph, whose
meaning stays: a kept parameter is read as `cpu_keep(w)`, its new value is `cpu_kept(x)`. Neither of
the two is a step of the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from dhc.backends.cpu.packing import Pack
from dhc.backends.cpu.weight_grad import Unpack
from dhc.ir.graph import Graph, Node, Param, users
from dhc.ir.rewrite import rebuild, transform
from dhc.ir.types import Tensor
from dhc.lower.state import is_elementwise
from dhc.ops.base import op
from dhc.passes.manager import Pass


@op("cpu_keep")
class Keep(Pack):
    """The packed form of a parameter that is kept in this form."""


@op("cpu_kept")
class Kept(Unpack):
    """The new value of a kept parameter."""


@dataclass(frozen=True)
class PackedParam(Param):
    """A parameter as the planner sees it: packed; others know it by its `logical` type."""

    name: ClassVar[str] = "packed_param"
    logical: Tensor = field(kw_only=True)


def as_packed(graph: Graph) -> Graph:
    """Returns the graph with kept parameters, and their new values, of packed types."""

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        if isinstance(node.op, Keep):
            (param,) = node.inputs
            assert isinstance(param.op, Param)
            return PackedParam(param.op.path, node.type, logical=param.type)()
        return rebuild(node, inputs)

    packed = transform(graph, step)
    updates = tuple(
        (path, node.inputs[0] if isinstance(node.op, Kept) else node)
        for path, node in packed.updates
    )
    return replace(packed, updates=updates)


@dataclass(frozen=True)
class KeepPacked(Pass):
    """Keeps weights, and what optimizers remember of them, in the form that convolutions read."""

    name: ClassVar[str] = "keep_packed"
    optional: ClassVar[bool] = True

    def __call__(self, graph: Graph) -> Graph:
        families = [family for family in _families(graph) if family.block]
        blocks = {node: family.block for family in families for node in family.nodes}
        kept = {path: family.block for family in families for path in family.paths}
        if not kept:
            return graph

        def step(node: Node, inputs: tuple[Node, ...]) -> Node:
            if isinstance(node.op, Param) and node.op.path in kept:
                return _unpacked(Keep(kept[node.op.path])(node), node)
            if node in blocks:
                return _unpacked(node.op(*(_packed(each, blocks[node]) for each in inputs)), node)
            if type(node.op) is Pack:
                return _packed(inputs[0], node.op.block)
            return rebuild(node, inputs)

        changed = transform(graph, step)
        updates = tuple(
            (path, _finished(node, kept[path]) if path in kept else node)
            for path, node in changed.updates
        )
        return replace(changed, updates=updates)


def _unpacked(packed: Node, like: Node) -> Node:
    return Unpack(like.type.static_shape[0])(packed)


def _finished(node: Node, block: int) -> Node:
    return Kept(node.type.static_shape[0])(_packed(node, block))


def _packed(node: Node, block: int) -> Node:
    """Packs weights, unless they have just been unpacked; a number without axes stays as it is."""
    if not node.type.shape:
        return node
    if type(node.op) is Unpack and node.inputs[0].type.static_shape[-1] == block:
        return node.inputs[0]
    return Pack(block)(node)


# ---- which parameters go together ------------------------------------------------------------


@dataclass(eq=False)
class _Family:
    """Parameters whose new values are computed from each other, element by element.

    Attributes:
        paths: Which parameters.
        nodes: The elementwise operators between them.
        block: Output channels of a block; 0 where nothing in the family is packed.
    """

    paths: set[str]
    nodes: set[Node]
    block: int = 0


def _families(graph: Graph) -> list[_Family]:
    updated = {path for path, _ in graph.updates}
    packers = _packers(graph)
    found: dict[str, _Family] = {}
    for path, node in graph.updates:
        members, leaves = _elementwise_part(node)
        own = {leaf.op.path for leaf in leaves if isinstance(leaf.op, Param)} & updated
        family = _Family({path} | own, members, _block(leaves, packers))
        for other in _distinct(found[path] for path in family.paths if path in found):
            family.paths |= other.paths
            family.nodes |= other.nodes
            family.block = other.block or family.block
        found |= dict.fromkeys(family.paths, family)
    return _distinct(found.values())


def _distinct(families: Iterable[_Family]) -> list[_Family]:
    return list({id(family): family for family in families}.values())


def _packers(graph: Graph) -> Mapping[str, int]:
    """The block in which a convolution reads a parameter, by path."""
    return {
        source.op.path: reader.op.block
        for source, readers in users(graph.roots).items()
        for reader in readers
        if isinstance(source.op, Param) and isinstance(reader.op, Pack)
    }


def _block(leaves: Iterable[Node], packers: Mapping[str, int]) -> int:
    """The block of a parameter's reader, or else of its gradient."""
    read = [packers.get(leaf.op.path, 0) for leaf in leaves if isinstance(leaf.op, Param)]
    given = [leaf.inputs[0].type.static_shape[-1] for leaf in leaves if type(leaf.op) is Unpack]
    return max(read, default=0) or max(given, default=0)


def _elementwise_part(root: Node) -> tuple[set[Node], set[Node]]:
    """The operators from a value upstream that keep every element in its place, and what they read.

    Numbers without axes may take part in them; they are no leaves.
    """
    members: set[Node] = set()
    leaves: set[Node] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node in members or node in leaves:
            continue
        if _keeps_places(node, root.type):
            members.add(node)
            stack.extend(source for source in node.inputs if source.type.shape)
        else:
            leaves.add(node)
    return members, leaves


def _keeps_places(node: Node, type: Tensor) -> bool:
    shapes = {source.type.shape for source in node.inputs}
    return is_elementwise(node) and node.type.shape == type.shape and shapes <= {type.shape, ()}
