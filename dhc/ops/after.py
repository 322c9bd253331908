"""Order that data alone do not say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from dhc.ir.scalar import Scalar
from dhc.ir.types import Tensor
from dhc.ops.base import Array, Index, Operand, OperatorKind, Structured, op
from dhc.ops.outward import Outward, Term
from dhc.ops.sample import Sample, sample


@op("after")
class After(Structured):
    """A value as it is, but not before another one has been computed.

    Values that are computed from it are others than those computed from the value itself, so they
    can be computed a second time: see `dhc.passes.recompute`.
    """

    kind: ClassVar[OperatorKind] = "movement"
    inlines_producers: ClassVar[bool] = True

    def infer(self, x: Tensor, other: Tensor) -> Tensor:
        return x

    def element(self, out: Tensor, index: Index, x: Operand, other: Operand) -> Scalar:
        return x[index]

    def numpy(self, x: Array, other: Array) -> Array:
        return x

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return inputs[0]

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[2, 3]", "f32[4]"), sample(cls(), "u32[3]", "f32[2, 2]")]
