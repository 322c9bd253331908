"""Programs from outside: nobody knows who has written their text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from dhc.ir.graph import Array, Constant, Graph, topological
from dhc.ir.text import parse_graph
from dhc.ir.types import from_bits
from dhc.ir.verify import InternalError, verify_graph
from dhc.ops.region import Region


def read_foreign(text: str, path: str | Path, constants: Mapping[str, Array]) -> Graph:
    """Reads the text of a program and checks all that can be checked of it.

    Raises:
        DhcError: if the text is not that of a graph.
        InternalError: if the graph could not have come from a front end.
    """
    graph = parse_graph(text, str(path))
    known = dict(constants)
    for node in topological(graph.roots):
        if isinstance(node.op, Constant) and node.op.digest in known:
            known[node.op.digest] = from_bits(constants[node.op.digest], node.type.dtype)
    graph = replace(graph, constants=known)
    _check_operators(graph)
    verify_graph(graph)
    return graph


def _check_operators(graph: Graph) -> None:
    """Accepts what front ends make; what passes make has promises that nobody can check here."""
    for node in topological((*graph.inputs, *graph.roots)):
        if isinstance(node.op, Region) or type(node.op).__module__.startswith("dhc.backends."):
            raise InternalError(f"the operator '{node.op.name}' cannot stand in a program")
        for field in fields(node.op):
            value = getattr(node.op, field.name)
            if isinstance(value, Graph):
                _check_operators(value)
