"""Moves the scaling of pixels to floats from before a resampling to after it.

An interpolation is a weighted sum, so dividing the result is dividing every pixel; and the result
of a resize is mostly smaller than the picture. The stored integers then go straight into the
resampling, and the factor into a normalisation that follows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from dhc.ir.graph import Graph, Literal_, Node, literal
from dhc.ir.rewrite import rebuild, transform
from dhc.ir.types import DType
from dhc.ops.elementwise import Cast, Mul
from dhc.ops.intensity import Normalize, ToFloat
from dhc.ops.warp import AffineWarp
from dhc.passes.manager import Pass


@dataclass(frozen=True)
class SinkScaling(Pass):
    """warp(to_float(x)) => warp(cast(x)) * (1 / 255), and normalize(x * c) => normalize(x)."""

    name: ClassVar[str] = "sink_scaling"
    optional: ClassVar[bool] = True

    def __call__(self, graph: Graph) -> Graph:
        return transform(graph, _step)


def _step(node: Node, inputs: tuple[Node, ...]) -> Node:
    node = rebuild(node, inputs)
    match node.op:
        case AffineWarp() as warp if isinstance(node.inputs[0].op, ToFloat):
            scaled, matrix = node.inputs
            (x,) = scaled.inputs
            if x.type.dtype.is_integer and scaled.type.dtype is DType.F32:
                largest = float(2**x.type.dtype.bits - 1)
                raw = replace(warp, fill=warp.fill * largest)(Cast(DType.F32)(x), matrix)
                return Mul()(raw, literal(1 / largest, DType.F32))
        case Normalize() as normalize if isinstance(node.inputs[0].op, Mul):
            return _absorbed(normalize, node.inputs[0]) or node
    return node


def _absorbed(normalize: Normalize, product: Node) -> Node | None:
    """(x * c - mean) / std is (x - mean / c) / (std / c)."""
    x, factor = product.inputs
    if not isinstance(factor.op, Literal_) or factor.op.value <= 0 or x.type != product.type:
        return None
    c = factor.op.value
    mean = tuple(each / c for each in normalize.mean)
    return replace(normalize, mean=mean, std=tuple(each / c for each in normalize.std))(x)
