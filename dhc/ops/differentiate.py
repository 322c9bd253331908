"""Reverse-mode differentiation of graphs, from the gradients that operators give."""

from __future__ import annotations

from collections.abc import Sequence

from dhc.ir.graph import Node, topological
from dhc.ops.base import Operator
from dhc.ops.elementwise import Add


def pull_back(output: Node, upstream: Node, inputs: Sequence[Node]) -> tuple[Node | None, ...]:
    """Returns the gradient for each input of what depends on it.

    Args:
        output: A function of the inputs.
        upstream: The gradient for the output, of its type.
        inputs: What to differentiate with respect to.

    Returns:
        Nodes of the inputs' types; None for an input that does not matter.

    Raises:
        NotImplementedError: if an operator on the way has no gradient.
    """
    order = list(topological([output]))
    wanted = set(inputs)
    for node in order:
        if any(source in wanted for source in node.inputs):
            wanted.add(node)
    found: dict[Node, Node] = {output: upstream} if output in wanted else {}
    for node in reversed(order):
        if node in found and node not in inputs:
            _spread(node, found, wanted)
    return tuple(found.get(node) for node in inputs)


def _spread(node: Node, found: dict[Node, Node], wanted: set[Node]) -> None:
    """Adds a node's share to the gradients of what it was computed from."""
    assert isinstance(node.op, Operator)
    for source, share in zip(
        node.inputs, node.op.grad(found[node], node, *node.inputs), strict=True
    ):
        if share is not None and source in wanted:
            found[source] = Add()(found[source], share) if source in found else share
