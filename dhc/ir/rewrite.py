"""Rewriting of graphs: one bottom-up mechanism that carries origins along."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from dhc.ir.graph import Graph, Input, Node, Origin, topological
from dhc.ir.size import Size

Transform = Callable[[Node, tuple[Node, ...]], Node]
"""Takes an old node and its inputs, already transformed; returns the node to use instead."""


def transform(graph: Graph, step: Transform) -> Graph:
    """Rebuilds a graph bottom-up through `step`.

    Nodes that `step` makes get the origins of the node they stand for.
    """
    done: dict[Node, Node] = {}
    origins: dict[Node, tuple[Origin, ...]] = {}
    for node in topological((*graph.inputs, *graph.roots)):
        new = step(node, tuple(done[source] for source in node.inputs))
        done[node] = new
        _carry(origins, graph.origins.get(node, ()), new)
    return replace(
        graph,
        inputs=tuple(done[node] for node in graph.inputs),
        outputs=tuple((name, done[node]) for name, node in graph.outputs),
        updates=tuple((name, done[node]) for name, node in graph.updates),
        origins=origins,
    )


def _carry(origins: dict[Node, tuple[Origin, ...]], found: tuple[Origin, ...], root: Node) -> None:
    """Gives `found` to a new node and to those behind it that have no origin yet."""
    if not found:
        return
    stack = [root]
    while stack:
        node = stack.pop()
        known = origins.get(node, ())
        if node is root:
            origins[node] = known + tuple(o for o in found if o not in known)
        elif known or not node.inputs:
            continue
        else:
            origins[node] = found
        stack.extend(node.inputs)


def rebuild(node: Node, inputs: tuple[Node, ...]) -> Node:
    """Returns the node applied to other inputs: itself where they are the same."""
    return node if inputs == node.inputs else node.op(*inputs)


def specialise(graph: Graph, bindings: Mapping[str, Size]) -> Graph:
    """Binds size symbols, and infers every type anew."""

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        return node.op.substitute(bindings)(*inputs)

    return transform(graph, step)


def bind_input_types(graph: Graph, types: Mapping[str, Input]) -> Graph:
    """Replaces inputs by others of the same name, and infers every type anew."""

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        if isinstance(node.op, Input):
            return types.get(node.op.label, node.op)()
        return node.op(*inputs)

    return transform(graph, step)
