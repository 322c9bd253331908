"""Tensors that no layer makes: weights that training may change, and numbers that it may not."""

from __future__ import annotations

from typing import Literal

from dhc.ir.graph import Initializer, Node, literal
from dhc.ir.number import canonical
from dhc.ir.types import DType
from dhc.ops.base import LayerContext, layer


@layer("parameter")
def parameter(
    context: LayerContext,
    shape: tuple[int, ...],
    dtype: DType = DType.F32,
    start: float = 0.0,
    trainable: bool = True,
) -> Node:
    """A tensor of weights; all its elements start as `start`. Its path is the layer's own.

    Only floats that something computes with are trained.
    """
    own = trainable and dtype.is_float and not dtype.is_narrow
    return context.param("", shape, Initializer(value=start), trainable=own, dtype=dtype)


@layer("number")
def number(
    context: LayerContext,
    value: int | float | Literal["minus_zero"],
    dtype: DType = DType.F32,
) -> Node:
    """One number as a tensor of rank 0."""
    return literal(canonical(-0.0 if value == "minus_zero" else value, dtype), dtype)
