"""Weights that no layer makes: a tensor of its own that training may change."""

from __future__ import annotations

from dhc.ir.graph import Initializer, Node
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
    """A tensor of weights; all its elements start as `start`. Its path is the layer's own."""
    own = trainable and dtype.is_float
    return context.param("", shape, Initializer(value=start), trainable=own, dtype=dtype)
