"""Powers of whole numbers, and powers as ONNX has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from dhc.ir.graph import Node
from dhc.ir.scalar import Scalar, cast, lift, select
from dhc.ir.types import DType
from dhc.ops.base import Elements, Elementwise, op
from dhc.ops.elementwise import Cast, Pow
from dhc.ops.foreign import Call, reads
from dhc.ops.sample import Sample, sample


@op("integer_pow")
class IntegerPow(Elementwise):
    """The integer a to the power of the integer b; it wraps as products do.

    Where b is negative it is the whole part of the result: 1 or -1 for such bases, else 0.
    """

    elements: ClassVar[Elements] = "integer"

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        square, left = cast(a, DType.U64), cast(b, DType.U64)
        product = lift(1, DType.U64)
        for _ in range(b.dtype.bits):
            product = select((left & 1).differs(0), product * square, product)
            square, left = square * square, left >> 1
        result = cast(product, a.dtype)
        if not b.dtype.is_signed:
            return result
        unit = a.equals(1) | a.equals(-1) if a.dtype.is_signed else a.equals(1)
        return select((b >= 0) | unit, result, 0)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            sample(cls(), "i32[3, 4]", "i32[3, 1]", ranges=((-5, 5), (-2, 7))),
            sample(cls(), "u8[3, 4]", "u8[4]", ranges=((0, 9), (0, 9))),
        ]


@reads("Pow")
def _read_pow(call: Call) -> Node:
    """The result has the type of the base, whatever the exponent is."""
    base, exponent = call.tensors
    of_base, of_exponent = base.type.dtype, exponent.type.dtype
    if of_base.is_float:
        return Pow()(base, _as(of_base, exponent))
    if of_exponent.is_float:  # f64 has all digits that a whole power of i32 needs
        return _as(of_base, Pow()(_as(DType.F64, base), _as(DType.F64, exponent)))
    common = of_base if of_base.bits >= of_exponent.bits else of_exponent
    return _as(of_base, IntegerPow()(_as(common, base), _as(common, exponent)))


def _as(dtype: DType, x: Node) -> Node:
    return x if x.type.dtype is dtype else Cast(dtype)(x)
