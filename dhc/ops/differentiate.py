"""Reverse-mode differentiation of graphs, from the gradients that operators give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dhc.ir.graph import Node, topological
from dhc.ops.base import Operator
from dhc.ops.elementwise import Add
from dhc.ops.scan import Scan

Observer = Callable[[Node, Node], None]
"""Is told of a node, and of a gradient that was made because of it."""
Gradients = tuple[Node | None, ...]


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
) -> Gradients:
    """Returns the gradient for each input of what depends on it.

    Args:
        output: A function of the inputs.
        upstream: The gradient for the output, of its type.
        inputs: What to differentiate with respect to.
        observe: Sees every gradient that is made, with the node whose rule made it.

    Returns:
        Nodes of the inputs' types, of narrow ones f32; None for an input that does not matter.

    Raises:
        NoGradientError: if an operator on the way has no gradient.
    """
    return pull_back_all([(output, upstream)], inputs, observe)


def pull_back_all(
    results: Sequence[tuple[Node, Node]], inputs: Sequence[Node], observe: Observer | None = None
) -> Gradients:
    """The same for several outputs, each with the gradient for it."""
    order = list(topological(output for output, _ in results))
    wanted = set(inputs)
    for node in order:
        if any(source in wanted for source in node.inputs):
            wanted.add(node)
    found: dict[Node, Node] = {}
    for output, upstream in results:
        if output in wanted:
            _add(found, output, upstream)
    for nodes in reversed(_together(order)):
        above = {node: found[node] for node in nodes if node in found and node not in inputs}
        if above:
            _spread(above, found, wanted, observe)
    return tuple(found.get(node) for node in inputs)


def _together(order: Sequence[Node]) -> list[tuple[Node, ...]]:
    """Nodes one by one; but the results of one loop together, in the place of the first.

    All of them have the same inputs, and what reads them comes later, so that is early enough.
    """
    groups: dict[object, list[Node]] = {}
    for node in order:
        key = (node.op.loop, node.inputs) if isinstance(node.op, Scan) else node
        groups.setdefault(key, []).append(node)
    return [tuple(group) for group in groups.values()]


def _spread(
    above: Mapping[Node, Node], found: dict[Node, Node], wanted: set[Node], observe: Observer | None
) -> None:
    """Adds the share of nodes with the same inputs to the gradients of these."""
    node = next(iter(above))
    for source, share in zip(node.inputs, _shares(above), strict=True):
        if share is None or source not in wanted:
            continue
        _add(found, source, share)
        if observe is not None:
            observe(node, found[source])


def _add(found: dict[Node, Node], node: Node, share: Node) -> None:
    found[node] = Add()(found[node], share) if node in found else share


def _shares(above: Mapping[Node, Node]) -> Gradients:
    from dhc.ops.scan_grad import scan_gradients

    node, upstream = next(iter(above.items()))
    assert isinstance(node.op, Operator)
    try:
        if isinstance(node.op, Scan):
            results = [(each.op, up) for each, up in above.items() if isinstance(each.op, Scan)]
            return scan_gradients(results, node.inputs)
        return node.op.grad(upstream, node, *node.inputs)
    except NoGradientError:
        raise
    except NotImplementedError as problem:
        raise NoGradientError(node, str(problem)) from problem
