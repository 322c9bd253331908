"""Comparisons, which give bool elements, and logic on bool elements."""

from __future__ import annotations

import functools
import math
from typing import ClassVar

from dhc.ir.graph import Node, literal
from dhc.ir.scalar import Scalar
from dhc.ir.types import DType, Tensor
from dhc.ops.base import Elements, Elementwise, Onnx, op
from dhc.ops.foreign import Call, reads
from dhc.ops.outward import Outward, Term
from dhc.ops.outward_formula import write_formula


class Comparison(Elementwise):
    """The base of comparisons: two tensors of one element type."""

    elements: ClassVar[Elements] = "any"

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        if inputs[0].dtype is DType.BOOL:
            return write_formula(out, self, *inputs)  # ONNX has no order of them
        return super().to_onnx(out, result, *inputs)


class Logic(Elementwise):
    """The base of operators on bool elements."""

    elements: ClassVar[Elements] = "bool"


@op("equal", onnx=Onnx("Equal", since=13))
class Equal(Comparison):
    """Whether a and b are the same number."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a.equals(b)


@op("not_equal")
class NotEqual(Comparison):
    """Whether a and b are different numbers."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a.differs(b)


@op("less", onnx=Onnx("Less", since=13))
class Less(Comparison):
    """a < b."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a < b


@op("less_equal", onnx=Onnx("LessOrEqual", since=16))
class LessEqual(Comparison):
    """a <= b."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a <= b


@op("greater", onnx=Onnx("Greater", since=13))
class Greater(Comparison):
    """a > b."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a > b


@op("greater_equal", onnx=Onnx("GreaterOrEqual", since=16))
class GreaterEqual(Comparison):
    """a >= b."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a >= b


@op("logical_and", onnx=Onnx("And", since=7))
class And(Logic):
    """Whether both hold."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a & b


@op("logical_or", onnx=Onnx("Or", since=7))
class Or(Logic):
    """Whether one or both hold."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a | b


@op("logical_xor", onnx=Onnx("Xor", since=7))
class Xor(Logic):
    """Whether exactly one holds."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a ^ b


@op("logical_not", onnx=Onnx("Not", since=1))
class Not(Logic):
    """Whether x does not hold."""

    def scalar(self, x: Scalar) -> Scalar:
        return ~x


@reads("IsNaN")
def _read_is_nan(call: Call) -> Node:
    x = call.tensor(0)
    return NotEqual()(x, x)


@reads("IsInf")
def _read_is_inf(call: Call) -> Node:
    x = call.tensor(0)
    signs = [s for s in ("positive", "negative") if call.get(f"detect_{s}", 1)]
    ends = [literal(math.inf if s == "positive" else -math.inf, x.type.dtype) for s in signs]
    found = [Equal()(x, end) for end in ends] or [NotEqual()(x, x)]
    return functools.reduce(Or(), found) if signs else And()(found[0], Not()(found[0]))
