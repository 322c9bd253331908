"""Finds where a computation first makes a value that is no number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dhc.ir.graph import Array, Graph, Input, Node, Param, topological
from dhc.ops.base import run

FINITE = "every layer computes finite values in float64; only float32 is too narrow for them."


def first_trouble(graph: Graph, values: Mapping[str, Array]) -> str:
    """Says in which layer the first value is infinite or no number, in the order of execution.

    Args:
        graph: What is computed.
        values: Inputs and parameters by name.
    """
    nodes = [n for n in topological(node for _, node in graph.outputs) if n.type.dtype.is_float]
    for node, array in zip(nodes, run(nodes, values, graph.constants), strict=True):
        if bool(np.all(np.isfinite(array))):
            continue
        kind = "no number" if bool(np.any(np.isnan(array))) else "infinite"
        return f"{_place(graph, node)} is {kind} in {_share(array)} of its elements."
    return FINITE


def _place(graph: Graph, node: Node) -> str:
    match node.op:
        case Input(label):
            return f"the data '{label}'"
        case Param(path):
            return f"the parameter '{path}'"
    origin = graph.origin(node)
    where = f" at {origin.span}" if origin.span else ""
    return f"the result of '{node.op.name}' in '{origin.path or graph.name}'{where}"


def _share(array: Array) -> str:
    return f"{np.mean(~np.isfinite(array)):.1%}"
