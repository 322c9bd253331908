"""Expands composite operators that the backend does not take whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Graph, Node, Op, topological
from dhc.ir.rewrite import rebuild, transform
from dhc.ops.base import Composite
from dhc.ops.scan import Scan
from dhc.passes.manager import Pass

MAX_NODES = 200_000  # of all steps of one loop


@dataclass(frozen=True)
class Legalise(Pass):
    """Replaces composites by their expansions, until none is left but the claimed ones.

    Attributes:
        claimed: Operator classes that the backend has its own kernels for.
    """

    name: ClassVar[str] = "legalise"
    claimed: frozenset[type[Op]] = frozenset()

    def requires(self, graph: Graph) -> None:
        """Refuses loops that would make a program of a size which no compiler gets through.

        Raises:
            DhcError: naming the loop, with the number of its steps.
        """
        if Scan in self.claimed:
            return
        for node in topological(graph.roots):
            if isinstance(node.op, Scan) and _unrolled(node.op) > MAX_NODES:
                text = f"This loop has {node.op.length} steps, too many for one program."
                hint = "cut the sequences into parts, or use the target 'reference', which loops"
                span = graph.origin(node).span
                raise DhcError(Diagnostic("limit", text, span, hints=(hint,)))

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


def _unrolled(scan: Scan) -> int:
    """How many operators all steps of a loop have, those of loops inside of it included."""
    inner = (node.op for node in topological(scan.body.roots))
    step = sum(_unrolled(op) if isinstance(op, Scan) else 1 for op in inner)
    return step * len(scan.steps())


def _nodes(graph: Graph) -> list[Node]:
    return list(topological(graph.roots))
