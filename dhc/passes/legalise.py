"""Expands composite operators that the backend does not take whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dhc.ir.graph import Graph, Node, Op
from dhc.ir.rewrite import rebuild, transform
from dhc.ops.base import Composite
from dhc.passes.manager import Pass


@dataclass(frozen=True)
class Legalise(Pass):
    """Replaces composites by their expansions, until none is left but the claimed ones.

    Attributes:
        claimed: Operator classes that the backend has its own kernels for.
    """

    name: ClassVar[str] = "legalise"
    claimed: frozenset[type[Op]] = frozenset()

    def __call__(self, graph: Graph) -> Graph:
        while any(self._expands(node) for node in _nodes(graph)):
            graph = transform(graph, self._step)
        return graph

    def _expands(self, node: Node) -> bool:
        return isinstance(node.op, Composite) and type(node.op) not in self.claimed

    def _step(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        if isinstance(node.op, Composite) and self._expands(node):
            return node.op.expand(*inputs)
        return rebuild(node, inputs)


def _nodes(graph: Graph) -> list[Node]:
    from dhc.ir.graph import topological

    return list(topological(graph.roots))
