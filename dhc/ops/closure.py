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
        body: Its inputs are the bound ones, then one for each capture, called "0", "1", ...; so are
            its outputs. Bodies that do the same are the same.
        captures: Values of the surroundings, in the order of the inputs.
    """

    body: Graph
    captures: tuple[Node, ...]


def placeholder(name: str, type: Tensor) -> Node:
    """Returns an input that is like no other, to build a body with; closing gives it its name."""
    return Input(f"{name}@{next(_numbers)}", type)()


def close(bound: Sequence[Node], outputs: Sequence[Node]) -> Closure:
    """Returns a piece of a graph as a graph of its own, in which nothing has a name.

    Args:
        bound: Its placeholders.
        outputs: Its results, in terms of the placeholders and of anything outside. What does not
            depend on the placeholders is computed outside.
    """
    order = list(topological(outputs))
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
    closed = tuple((str(i), use(node)) for i, node in enumerate(outputs))
    inputs = tuple(made[node] for node in (*bound, *captures))
    return Closure(Graph("body", inputs, closed), tuple(captures))
