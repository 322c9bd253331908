"""Closing a piece of a graph: what it reads from outside becomes explicit inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from dhc.ir.graph import Graph, Input, Literal_, Node, topological
from dhc.ir.rewrite import rebuild
from dhc.ir.types import Tensor

_numbers: Iterator[int] = count()


@dataclass(frozen=True)
class Closure:
    """A closed graph, and the outer values that it reads besides its bound inputs.

    Attributes:
        body: Its inputs are the bound ones, then one for each capture, called "0", "1", ...
        captures: Values of the surroundings, in the order of the inputs.
    """

    body: Graph
    captures: tuple[Node, ...]


def placeholder(name: str, type: Tensor) -> Node:
    """Returns an input that is like no other, to build a body with; closing gives it its name."""
    return Input(f"{name}@{next(_numbers)}", type)()


def close(name: str, bound: Sequence[Node], outputs: Sequence[tuple[str, Node]]) -> Closure:
    """Returns a piece of a graph as a graph of its own.

    Args:
        name: What to call it.
        bound: Its placeholders.
        outputs: Its results, in terms of the placeholders and of anything outside. What does not
            depend on the placeholders is computed outside.
    """
    order = list(topological(node for _, node in outputs))
    inside = set(bound)
    for node in order:
        if any(source in inside for source in node.inputs):
            inside.add(node)
    made = {node: Input(str(i), node.type)() for i, node in enumerate(bound)}
    captures: list[Node] = []

    def use(node: Node) -> Node:
        if isinstance(node.op, Literal_):
            return node
        if node not in made:
            made[node] = Input(str(len(bound) + len(captures)), node.type)()
            captures.append(node)
        return made[node]

    for node in order:
        if node in inside and node not in made:
            made[node] = rebuild(node, tuple(use(source) for source in node.inputs))
    closed = tuple((label, use(node)) for label, node in outputs)
    inputs = tuple(made[node] for node in (*bound, *captures))
    return Closure(Graph(name, inputs, closed), tuple(captures))
