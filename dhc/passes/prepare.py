"""Splits off what depends on parameters alone: the prepare graph, run once per set of weights."""

from __future__ import annotations

from dataclasses import replace

from dhc.ir.graph import Constant, Graph, Input, Literal_, Node, Param, topological
from dhc.ir.rewrite import rebuild, transform

PREFIX = "prepared."


def split_prepare(graph: Graph) -> tuple[Graph, Graph]:
    """Returns (prepare, main): main reads the results of prepare as parameters.

    A parameter that main uses as it is stays itself and does not pass through prepare.
    """
    constant = _constant_nodes(graph)
    frontier = _frontier(graph, constant)
    paths = {node: f"{PREFIX}{number}" for number, node in enumerate(frontier)}

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node in paths:
            return Param(paths[node], node.type)()
        return rebuild(node, inputs)

    main = transform(graph, step)
    outputs = tuple((path, node) for node, path in paths.items())
    prepare = replace(graph, name=f"{graph.name}_prepare", inputs=(), outputs=outputs, updates=())
    return prepare, main


def depends_on_state(graph: Graph) -> set[Node]:
    """Returns the nodes that are computed from a parameter which the graph updates."""
    updated = {path for path, _ in graph.updates}
    found: set[Node] = set()
    for node in topological(graph.roots):
        state = isinstance(node.op, Param) and node.op.path in updated
        if state or any(source in found for source in node.inputs):
            found.add(node)
    return found


def _constant_nodes(graph: Graph) -> set[Node]:
    """Nodes that are computed from constants, literals and parameters that stay as they are."""
    found: set[Node] = set()
    changing = depends_on_state(graph)
    for node in topological(graph.roots):
        leaf = isinstance(node.op, (Param, Constant, Literal_)) and node not in changing
        inner = bool(node.inputs) and all(source in found for source in node.inputs)
        if leaf or (inner and not isinstance(node.op, Input)):
            found.add(node)
    return found


def _frontier(graph: Graph, constant: set[Node]) -> list[Node]:
    """Computed constant nodes that something else needs, in order."""
    needed = {s for n in topological(graph.roots) if n not in constant for s in n.inputs}
    needed |= set(graph.roots)
    return [n for n in topological(graph.roots) if n in needed and n in constant and n.inputs]
