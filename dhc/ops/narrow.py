"""Rounding to narrower floats that are kept in wide ones."""

from __future__ import annotations

from collections.abc import Sequence

from dhc.ir.graph import Node, literal
from dhc.ir.scalar import Bitcast, Scalar, cast, select
from dhc.ir.types import DType
from dhc.ops.base import Elementwise, op
from dhc.ops.elementwise import Mul
from dhc.ops.sample import Sample, sample


@op("round_bf16")
class RoundBf16(Elementwise):
    """The nearest number with the eight significant bits of bf16, half to even.

    It keeps its element type. Being flat between its steps, it has no gradient but 0; passes put it
    in after differentiation.
    """

    def scalar(self, x: Scalar) -> Scalar:
        bits = Bitcast(cast(x, DType.F32), DType.U32)
        nearest = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
        rounded = Bitcast(nearest, DType.F32)
        return select(x.equals(x), cast(rounded, x.dtype), x)

    def grad(self, upstream: Node, output: Node, *inputs: Node) -> tuple[Node | None, ...]:
        return (Mul()(upstream, literal(0.0, upstream.type.dtype)),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[3, 5]")]
