"""Counts in graphs: sizes that nodes find when the program runs, and who finds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from dhc.ir.graph import Graph, Input, Node, Op, Param, topological
from dhc.ir.size import Count, Expr, Shape, counts, symbols


def counts_in(shape: Shape) -> frozenset[Count]:
    """Returns all counts in a shape."""
    return frozenset().union(*map(counts, shape))


def said_counts(op: Op) -> frozenset[Count]:
    """Returns the counts in the attributes of an operator."""
    return frozenset().union(*(_counts_of(getattr(op, each.name)) for each in fields(op)))


def _counts_of(value: object) -> frozenset[Count]:
    if isinstance(value, Expr):
        return counts(value)
    if isinstance(value, tuple):
        return frozenset().union(*map(_counts_of, value))
    return frozenset()


def found_by(op: Op) -> frozenset[Count]:
    """Returns the counts that an operator finds."""
    return _counts_of(getattr(op, "size", 0)) if op.finds else frozenset()


def is_counted(graph: Graph) -> bool:
    """Whether some size of a graph is only found when it runs."""
    return any(found_by(node.op) for node in topological(graph.roots))


def count_problems(graph: Graph) -> Iterator[str]:
    """Yields what is wrong with the counts of a graph, one sentence each.

    Each count has one node that finds it, which everything that is said with it must read.
    """
    finders: dict[str, Node] = {}
    known: dict[Node, frozenset[Count]] = {}
    for node in topological((*graph.inputs, *graph.roots)):
        found = found_by(node.op)
        for each in found:
            if finders.setdefault(each.name, node) is not node:
                yield f"Two nodes find the size '{each.name}'."
        known[node] = found.union(*(known[source] for source in node.inputs))
        said = counts_in(node.type.shape) | said_counts(node.op)
        if isinstance(node.op, Input | Param) and said:
            yield f"'{node.type}' is not known before the program runs."
        for each in sorted(said - known[node], key=str):
            yield f"'{node.op.name}' has the size '{each}' and reads nothing that depends on it."
        if any(_finds_inside(getattr(node.op, f.name)) for f in fields(node.op)):
            yield f"'{node.op.name}' has a graph in which sizes are found."
    given = {name for n in graph.inputs for size in n.type.shape for name in symbols(size)}
    yield from (f"The size '{name}' is given and found." for name in sorted(given & set(finders)))


def _finds_inside(value: object) -> bool:
    if not isinstance(value, Graph):
        return False
    nodes = topological((*value.inputs, *value.roots))
    return any(n.op.finds or counts_in(n.type.shape) or said_counts(n.op) for n in nodes)
