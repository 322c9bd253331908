"""Reverse-mode differentiation of graphs, from the gradients that operators give."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dhc.ir.graph import Node, topological
from dhc.ops.base import Operator
from dhc.ops.elementwise import Add

Observer = Callable[[Node, Node], None]
"""Is told of a node, and of a gradient that was made because of it."""


class NoGradientError(NotImplementedError):
    """An operator between the output and what matters has no gradient.

    Attributes:
        node: Where it stands.
    """

    def __init__(self, node: Node, text: str) -> None:
        super().__init__(text)
        self.node = node


def pull_back(
    output: Node, upstream: Node, inputs: Sequence[Node], observe: Observer | None = None
) -> tuple[Node | None, ...]:
    """Returns the gradient for each input of what depends on it.

    Args:
        output: A function of the inputs.
        upstream: The gradient for the output, of its type.
        inputs: What to differentiate with respect to.
        observe: Sees every gradient that is made, with the node whose rule made it.

    Returns:
        Nodes of the inputs' types; None for an input that does not matter.

    Raises:
        NoGradientError: if an operator on the way has no gradient.
    """
    order = list(topological([output]))
    wanted = set(inputs)
    for node in order:
        if any(source in wanted for source in node.inputs):
            wanted.add(node)
    found: dict[Node, Node] = {output: upstream} if output in wanted else {}
    for node in reversed(order):
        if node in found and node not in inputs:
            _spread(node, found, wanted, observe)
    return tuple(found.get(node) for node in inputs)


def _spread(
    node: Node, found: dict[Node, Node], wanted: set[Node], observe: Observer | None
) -> None:
    """Adds a node's share to the gradients of what it was computed from."""
    for source, share in zip(node.inputs, _shares(node, found[node]), strict=True):
        if share is None or source not in wanted:
            continue
        found[source] = Add()(found[source], share) if source in found else share
        if observe is not None:
            observe(node, found[source])


def _shares(node: Node, upstream: Node) -> tuple[Node | None, ...]:
    assert isinstance(node.op, Operator)
    try:
        return node.op.grad(upstream, node, *node.inputs)
    except NoGradientError:
        raise
    except NotImplementedError as problem:
        raise NoGradientError(node, str(problem)) from problem
