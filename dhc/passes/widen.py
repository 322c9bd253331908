"""The graph that computes in float64 what another computes in float32."""

from __future__ import annotations

from dataclasses import fields, replace

from dhc.ir.graph import Graph, Node
from dhc.ir.rewrite import transform
from dhc.ir.types import DType, Tensor
from dhc.ops.elementwise import Cast


def widen(graph: Graph) -> Graph:
    """Returns the graph with float64 in place of float32, in inputs and parameters too.

    What always makes float32, such as random numbers, is converted.
    """
    return transform(graph, _widen_node)


def _widen_node(node: Node, inputs: tuple[Node, ...]) -> Node:
    """The node in float64: literals, and attributes that are types, would stay narrow otherwise."""
    attributes = {field.name: getattr(node.op, field.name) for field in fields(node.op)}
    widened = {name: _widen_type(value) for name, value in attributes.items()}
    wide: Node = replace(node.op, **widened)(*inputs)
    return Cast(DType.F64)(wide) if wide.type.dtype is DType.F32 else wide


def _widen_type(attribute: object) -> object:
    match attribute:
        case Graph():
            return widen(attribute)
        case DType.F32:
            return DType.F64
        case Tensor(DType.F32, shape):
            return Tensor(DType.F64, shape)
    return attribute
