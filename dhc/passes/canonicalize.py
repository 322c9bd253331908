"""Removes what does nothing and brings the rest into one form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dhc.ir.graph import Graph, Node
from dhc.ops.shape import Permute, Reshape
from dhc.passes.manager import Pass
from dhc.passes.rules import RuleSet

_set = RuleSet()


@dataclass(frozen=True)
class Canonicalize(Pass):
    """Identities vanish; chains of reshapes and of permutations become one."""

    name: ClassVar[str] = "canonicalize"

    def __call__(self, graph: Graph) -> Graph:
        return _set.apply(graph)


@_set.rule(Reshape)
def merge_reshapes(node: Node) -> Node | None:
    """reshape(reshape(x)) => reshape(x), and reshape to the same shape => x."""
    (x,) = node.inputs
    if x.type.shape == node.type.shape:
        return x
    return node.op(x.inputs[0]) if isinstance(x.op, Reshape) else None


@_set.rule(Permute)
def merge_permutations(node: Node) -> Node | None:
    """permute(permute(x)) => permute(x), and the identity => x."""
    (x,) = node.inputs
    match node.op:
        case Permute(order) if order == tuple(range(len(order))):
            return x
        case Permute(outer) if isinstance(x.op, Permute):
            return Permute(tuple(x.op.order[axis] for axis in outer))(x.inputs[0])
    return None
