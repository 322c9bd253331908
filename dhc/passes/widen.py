"""The graph that computes in float64 what another computes in narrower floats."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from dhc.ir.graph import Array, Graph, Node
from dhc.ir.rewrite import transform
from dhc.ir.types import DType, Tensor
from dhc.ops.elementwise import Cast

NARROW = (DType.F32, DType.F16)
_NUMPY = tuple(dtype.numpy for dtype in NARROW)


def widen(graph: Graph) -> Graph:
    """Returns the graph with float64 in place of float32 and float16, in inputs and parameters too.

    What always makes float32, such as random numbers, is converted.
    """
    return transform(graph, _widen_node)


def widen_array(array: Array) -> Array:
    """Returns the values that a widened graph takes in place of these."""
    return array.astype(np.float64) if array.dtype in _NUMPY else array


def _widen_node(node: Node, inputs: tuple[Node, ...]) -> Node:
    """The node in float64: literals, and attributes that are types, would stay narrow otherwise."""
    attributes = {field.name: getattr(node.op, field.name) for field in fields(node.op)}
    widened = {name: _widen_type(value) for name, value in attributes.items()}
    wide: Node = replace(node.op, **widened)(*inputs)
    return Cast(DType.F64)(wide) if wide.type.dtype in NARROW else wide


def _widen_type(attribute: object) -> object:
    match attribute:
        case Graph():
            return widen(attribute)
        case DType() if attribute in NARROW:
            return DType.F64
        case Tensor(dtype, shape) if dtype in NARROW:
            return Tensor(DType.F64, shape)
    return attribute
