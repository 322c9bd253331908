"""Gradients of a graph's value for parameters, with the layers that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Graph, Node, Origin, literal
from dhc.ops.differentiate import NoGradientError, pull_back


@dataclass(frozen=True)
class Gradients:
    """What differentiation made.

    Attributes:
        values: One node for each thing asked for; None where it does not matter.
        origins: Which layers the new nodes belong to.
    """

    values: tuple[Node | None, ...]
    origins: dict[Node, tuple[Origin, ...]]


def differentiate(graph: Graph, objective: Node, wanted: Sequence[Node]) -> Gradients:
    """Returns the gradients of a scalar.

    Args:
        graph: Where its nodes came from; only its origins are read.
        objective: A float of rank 0.
        wanted: What to differentiate with respect to.

    Raises:
        DhcError: if an operator on the way has no gradient.
    """
    origins: dict[Node, tuple[Origin, ...]] = {}

    def observe(node: Node, made: Node) -> None:
        _name(made, graph.origins.get(node, ()), graph, origins)

    one = literal(1.0, objective.type.dtype)
    try:
        values = pull_back(objective, one, wanted, observe)
    except NoGradientError as problem:
        text = f"'{problem.node.op.name}' cannot be trained through: {problem}."
        span = graph.origin(problem.node).span
        raise DhcError(Diagnostic("no-gradient", text, span)) from problem
    return Gradients(values, origins)


def _name(
    made: Node,
    found: tuple[Origin, ...],
    graph: Graph,
    origins: dict[Node, tuple[Origin, ...]],
) -> None:
    """Says of a new node, and of the new ones behind it, which layer they belong to."""
    stack = [made] if found else []
    while stack:
        node = stack.pop()
        if node in origins or node in graph.origins or not node.inputs:
            continue
        origins[node] = found
        stack.extend(node.inputs)
