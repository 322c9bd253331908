"""Arithmetic and functions of matching elements; tensors broadcast against each other."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from dhc.ir import scalar as terms
from dhc.ir.graph import Node
from dhc.ir.scalar import (
    Const,
    Scalar,
    Var,
    cast,
    ceil,
    cos,
    erf,
    exp,
    floor,
    fma,
    log,
    maximum,
    minimum,
    power,
    round_half_even,
    select,
    sin,
    sqrt,
    walk,
)
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Array,
    Elements,
    Elementwise,
    Onnx,
    TypeRuleError,
    broadcast_shapes,
    op,
    require_same_dtype,
)
from dhc.ops.foreign import Call, Known, reads
from dhc.ops.outward import Outward, Term
from dhc.ops.outward_formula import write_formula
from dhc.ops.sample import Sample, sample


class Arithmetic(Elementwise):
    """The base of operators that take integers as well as floats."""

    elements: ClassVar[Elements] = "number"


# ---- two or more tensors ---------------------------------------------------------------------


@op("add", onnx=Onnx("Add", since=14))
class Add(Arithmetic):
    """a + b."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a + b


@op("sub", onnx=Onnx("Sub", since=14))
class Sub(Arithmetic):
    """a - b."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a - b


@op("mul", onnx=Onnx("Mul", since=14))
class Mul(Arithmetic):
    """a * b, element by element."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a * b


@op("div", onnx=Onnx("Div", since=14))
class Div(Arithmetic):
    """a / b; integers round toward minus infinity."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a // b if a.dtype.is_integer else a / b

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        if not result.dtype.is_integer:
            return super().to_onnx(out, result, *inputs)
        return write_formula(out, self, *inputs)  # ONNX rounds toward zero

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return _positive_divisors(cls())


@op("mod", onnx=Onnx("Mod", since=13))
class Mod(Arithmetic):
    """What is left of a after division by b; it has the sign of b."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return _rest(a, b) if a.dtype.is_float else a % b

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        if not result.dtype.is_float:
            return super().to_onnx(out, result, *inputs)
        return write_formula(out, self, *inputs)  # ONNX has the sign of a

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return _positive_divisors(cls())


def _rest(a: Scalar, b: Scalar) -> Scalar:
    """The rest of floats: exact while the quotient is, and the limit for infinite divisors."""
    rest = fma(-floor(a / b), b, a)
    rest = select((rest < 0) & (b > 0) | (rest > 0) & (b < 0), rest + b, rest)
    limit = select((a < 0) & (b > 0) | (a > 0) & (b < 0), b, a)
    return select(abs(b).equals(math.inf) & (abs(a) < math.inf), limit, rest)


def _positive_divisors(operator: Elementwise) -> list[Sample]:
    return [
        sample(operator, f"{dtype}[3, 4]", f"{dtype}[4]", ranges=((-9, 9), (1, 4)))
        for dtype in ("f32", "i32")
    ]


@op("pow", onnx=Onnx("Pow", since=15))
class Pow(Elementwise):
    """A to the power of b."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return power(a, b)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[3, 4]", "f32[3, 1]", ranges=((0.2, 3), (-2, 2)))]


@op("min", onnx=Onnx("Min", since=13))
class Min(Arithmetic):
    """The smallest of any number of elements; NaN where one is NaN."""

    def scalar(self, *inputs: Scalar) -> Scalar:
        return functools.reduce(minimum, inputs)


@op("max", onnx=Onnx("Max", since=13))
class Max(Arithmetic):
    """The largest of any number of elements; NaN where one is NaN."""

    def scalar(self, *inputs: Scalar) -> Scalar:
        return functools.reduce(maximum, inputs)


@op("average", onnx=Onnx("Mean", since=13))
class Average(Elementwise):
    """The mean of any number of elements."""

    def scalar(self, *inputs: Scalar) -> Scalar:
        return functools.reduce(Scalar.__add__, inputs) / len(inputs)


# ---- one tensor ------------------------------------------------------------------------------


@op("neg", onnx=Onnx("Neg", since=13))
class Neg(Arithmetic):
    """-x."""

    def scalar(self, x: Scalar) -> Scalar:
        return -x


@op("abs", onnx=Onnx("Abs", since=13))
class Abs(Arithmetic):
    """x without its sign."""

    def scalar(self, x: Scalar) -> Scalar:
        return abs(x) if x.dtype.is_signed else x


@op("sign", onnx=Onnx("Sign", since=13))
class Sign(Arithmetic):
    """1 where x is positive, -1 where it is negative, else 0."""

    def scalar(self, x: Scalar) -> Scalar:
        below = cast(x < 0, x.dtype)
        return cast(x > 0, x.dtype) - below if x.dtype.is_signed else cast(x > 0, x.dtype)


@op("reciprocal", onnx=Onnx("Reciprocal", since=13))
class Reciprocal(Elementwise):
    """1 / x."""

    def scalar(self, x: Scalar) -> Scalar:
        return 1 / x

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[3, 4]", ranges=((0.2, 3),))]


@op("sqrt", onnx=Onnx("Sqrt", since=13))
class Sqrt(Elementwise):
    """The square root."""

    def scalar(self, x: Scalar) -> Scalar:
        return sqrt(x)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[3, 4]", ranges=((0.1, 9),))]


@op("exp", onnx=Onnx("Exp", since=13))
class Exp(Elementwise):
    """The exponential function."""

    def scalar(self, x: Scalar) -> Scalar:
        return exp(x)

    def slope(self, result: Scalar) -> Scalar:
        return result


@op("log", onnx=Onnx("Log", since=13))
class Log(Elementwise):
    """The natural logarithm."""

    def scalar(self, x: Scalar) -> Scalar:
        return log(x)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[3, 4]", ranges=((0.1, 9),))]


@op("sin", onnx=Onnx("Sin", since=7))
class Sin(Elementwise):
    """The sine of an angle in radians."""

    def scalar(self, x: Scalar) -> Scalar:
        return sin(x)


@op("cos", onnx=Onnx("Cos", since=7))
class Cos(Elementwise):
    """The cosine of an angle in radians."""

    def scalar(self, x: Scalar) -> Scalar:
        return cos(x)


@op("erf", onnx=Onnx("Erf", since=13))
class Erf(Elementwise):
    """The error function."""

    def scalar(self, x: Scalar) -> Scalar:
        return erf(x)


@op("floor", onnx=Onnx("Floor", since=13))
class Floor(Elementwise):
    """The largest whole number that is not greater than x."""

    def scalar(self, x: Scalar) -> Scalar:
        return floor(x)


@op("ceil", onnx=Onnx("Ceil", since=13))
class Ceil(Elementwise):
    """The smallest whole number that is not less than x."""

    def scalar(self, x: Scalar) -> Scalar:
        return ceil(x)


@op("round", onnx=Onnx("Round", since=11))
class Round(Elementwise):
    """The nearest whole number; halves go to the even one."""

    def scalar(self, x: Scalar) -> Scalar:
        return round_half_even(x)


@op("clip", onnx=Onnx("Clip", since=13))
class Clip(Arithmetic):
    """x, but at least `low` and at most `high`."""

    low: float = -math.inf
    high: float = math.inf

    def infer(self, *inputs: Tensor) -> Tensor:
        if self.low > self.high:
            raise TypeRuleError(f"'clip' has no values from {self.low} to {self.high}.")
        finite = [limit for limit in (self.low, self.high) if math.isfinite(limit)]
        whole = all(float(limit).is_integer() for limit in finite)
        if inputs[0].dtype.is_integer and not whole:
            raise TypeRuleError(f"'clip' needs whole limits for {inputs[0]}.")
        return super().infer(*inputs)

    def scalar(self, x: Scalar) -> Scalar:
        if self.low > -math.inf:
            x = maximum(x, self._limit(self.low, x.dtype))
        return minimum(x, self._limit(self.high, x.dtype)) if self.high < math.inf else x

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        """Limits are attributes before version 11, and may be tensors since then."""
        x = call.tensor(0)
        limits = [call.get("min", -math.inf), call.get("max", math.inf)]
        for number in (1, 2):
            if call.has(number) and not isinstance(call.value(number), Known):
                x = (Max if number == 1 else Min)()(x, call.tensor(number))
            elif call.has(number):
                limits[number - 1] = call.number(number)
        low, high = limits
        return cls(min(low, high), high)(x)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        x = inputs[0]
        if not self._is_plain(out, result):
            return write_formula(out, self, x)
        limits = [
            None
            if math.isinf(limit) and x.dtype.is_integer
            else out.number(self._limit(limit, x.dtype), x.dtype)
            for limit in (self.low, self.high)
        ]  # without a limit ONNX takes the largest number, which is less than infinity
        return out.node("Clip", (x, *limits), result)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(-1, 1), "f32[3, 4]"), sample(cls(low=-1), "i32[3, 4]")]

    def _limit(self, value: float, dtype: DType) -> float | int:
        return value if dtype.is_float else int(value)


@op("cast", onnx=Onnx("Cast", since=13))
class Cast(Elementwise):
    """Conversion to another element type; floats to integers truncate toward zero.

    Narrow floats are the nearest, half to even. What lies beyond the largest number becomes
    infinity, NaN where there is none, or that number if `saturate`; so does the end of the range of
    integers.
    """

    to: DType
    saturate: bool = False

    elements: ClassVar[Elements] = "any"
    carries: ClassVar[bool] = True

    def scalar(self, x: Scalar) -> Scalar:
        return cast(x, self.to, self.saturate)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return write_formula(out, self, *inputs)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        wide = ((-300.0, 300.0),)
        saturated = sample(cls(DType.U8, True), "f32[3, 4]", ranges=wide)
        return [saturated, sample(cls(DType.F32), "i32[3, 4]"), sample(cls(DType.I32), "f32[4]")]


# ---- choosing and mapping --------------------------------------------------------------------


@op("where", onnx=Onnx("Where", since=16))
class Where(Elementwise):
    """The element of `then` where the condition holds, else that of `otherwise`."""

    elements: ClassVar[Elements] = "any"
    carries: ClassVar[bool] = True

    def infer(self, *inputs: Tensor) -> Tensor:
        if len(inputs) != 3 or inputs[0].dtype is not DType.BOOL:
            raise TypeRuleError("'where' needs a condition of bool elements, then two tensors.", 0)
        require_same_dtype(self.name, inputs[1:])
        return inputs[1].with_shape(broadcast_shapes(self.name, [t.shape for t in inputs]))

    def scalar(self, condition: Scalar, then: Scalar, otherwise: Scalar) -> Scalar:
        return select(condition, then, otherwise)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        if result.dtype is DType.BOOL:
            return write_formula(out, self, *inputs)
        return super().to_onnx(out, result, *inputs)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "bool[3, 1]", "f32[3, 4]", "f32[4]")]


@op("map")
class Map(Elementwise):
    """Any scalar expression of the inputs, which it calls x0, x1, ...; passes make it."""

    body: Scalar

    elements: ClassVar[Elements] = "any"
    carries: ClassVar[bool] = True

    def infer(self, *inputs: Tensor) -> Tensor:
        return Tensor(self.body.dtype, broadcast_shapes(self.name, [t.shape for t in inputs]))

    def scalar(self, *inputs: Scalar) -> Scalar:
        from dhc.ir.replace import replace_variables

        bindings = {Var(f"x{i}", x.dtype): x for i, x in enumerate(inputs)}
        return replace_variables(self.body, bindings)

    def numpy(self, *inputs: Array) -> Array:
        wide = any(a.dtype == np.float64 for a in inputs)
        operator = Map(_widened(self.body)) if wide else self
        return Elementwise.numpy(operator, *inputs)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        a, b = Var("x0", DType.F32), Var("x1", DType.F32)
        return [sample(cls(a * b + a), "f32[3, 4]", "f32[4]")]


def _widened(body: Scalar) -> Scalar:
    """The same expression in f64, for the reference, where it was in f32."""
    from dhc.ir.replace import map_children

    done: dict[Scalar, Scalar] = {}
    for part in walk(body):
        moved = map_children(part, done)
        if isinstance(moved, Var | Const | terms.Cast) and moved.type is DType.F32:
            moved = replace(moved, type=DType.F64)
        done[part] = moved
    return done[body]


@reads("Sum")
def _read_sum(call: Call) -> Node:
    return functools.reduce(Add(), call.tensors)
