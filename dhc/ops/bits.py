"""The bits of elements: logic, shifts, and the same bits seen as another type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.scalar import Bitcast, Scalar, cast, lift, select
from dhc.ir.types import DType, Tensor
from dhc.ops.base import Array, Elements, Elementwise, Onnx, Operator, TypeRuleError, op
from dhc.ops.foreign import Call
from dhc.ops.outward import Outward, Term
from dhc.ops.outward_formula import write_formula
from dhc.ops.sample import Sample, sample

_DIRECTIONS: dict[str, Literal["left", "right"]] = {"LEFT": "left", "RIGHT": "right"}


class Bits(Elementwise):
    """The base of operators on the bits of integers."""

    elements: ClassVar[Elements] = "integer"


@op("bitwise_and", onnx=Onnx("BitwiseAnd", since=18))
class BitwiseAnd(Bits):
    """The bits that both have."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a & b


@op("bitwise_or", onnx=Onnx("BitwiseOr", since=18))
class BitwiseOr(Bits):
    """The bits that one or both have."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a | b


@op("bitwise_xor", onnx=Onnx("BitwiseXor", since=18))
class BitwiseXor(Bits):
    """The bits that exactly one has."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a ^ b


@op("bitwise_not", onnx=Onnx("BitwiseNot", since=18))
class BitwiseNot(Bits):
    """The bits that x has not."""

    def scalar(self, x: Scalar) -> Scalar:
        return ~x


@op("bit_shift", onnx=Onnx("BitShift", since=11))
class BitShift(Bits):
    """The bits of a, moved by b places; those that leave are lost.

    To the right, the sign of a fills the places; what moves by less than 0 or more than all places
    is lost altogether, whichever the direction.
    """

    direction: Literal["left", "right"]

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        inside = (b >= 0) & (b < a.dtype.bits) if b.dtype.is_signed else b < a.dtype.bits
        places = select(inside, b, 0)
        none = lift(0, a.dtype)
        if self.direction == "left":
            return select(inside, a << places, none)
        return select(inside, a >> places, select(a < 0, -1, none) if a.dtype.is_signed else none)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        return cls(_DIRECTIONS[call.word("direction", "", _DIRECTIONS)])(*call.tensors)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """What ONNX does with signs and with too many places is not said: as its expression."""
        return write_formula(out, self, *inputs)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            sample(cls(direction), f"{dtype}[3, 4]", f"{dtype}[4]", ranges=((low, 99), (low, 40)))
            for direction in _DIRECTIONS.values()
            for dtype, low in (("i32", -99), ("i8", -20), ("u16", 0))
        ]


@op("bitcast", onnx=Onnx("BitCast", since=26))
class BitCast(Elementwise):
    """The same bits seen as elements of another type of the same width."""

    to: DType

    elements: ClassVar[Elements] = "any"
    carries: ClassVar[bool] = True

    def infer(self, *inputs: Tensor) -> Tensor:
        dtype = inputs[0].dtype
        if dtype.bits != self.to.bits or self.to is DType.BOOL:
            raise TypeRuleError(f"'bitcast' cannot see {dtype} as {self.to}.", 0)
        return super().infer(*inputs)

    def scalar(self, x: Scalar) -> Scalar:
        if x.dtype is DType.BOOL:
            return cast(cast(x, DType.U8), self.to)
        return x if x.dtype is self.to else Bitcast(x, self.to)

    def numpy(self, *inputs: Array) -> Array:
        """An f64 array in place of f32 is rounded first: only then do the widths fit."""
        (x,) = inputs
        narrow = x.dtype == np.float64 and self.to.bits == 32
        return super().numpy(x.astype(np.float32) if narrow else x)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """As a node or not at all: nothing else in ONNX sees bits of floats."""
        return Operator.to_onnx(self, out, result, *inputs)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        return cls(call.dtype("to"))(call.tensor(0))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            sample(cls(DType.I32), "f32[3, 4]"),
            sample(cls(DType.F32), "u32[3, 4]", ranges=((1.0e9, 1.1e9),)),
            sample(cls(DType.U8), "i8[3, 4]", ranges=((-99, 99),)),
            sample(cls(DType.U8), "bool[3, 4]"),
        ]
