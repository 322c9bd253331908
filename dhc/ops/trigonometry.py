"""Angles and hyperbolic functions, beside sine and cosine.

The inverse functions are series of odd powers, used only where they are short: arguments are first
moved near zero by exact identities. What would cancel for small arguments is never subtracted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from dhc.ir.graph import Node
from dhc.ir.scalar import Scalar, Var, cast, cos, exp, fma, lift, log, select, sin, sqrt
from dhc.ir.types import DType
from dhc.ops.base import Elementwise, Onnx, op
from dhc.ops.elementwise import Map
from dhc.ops.sample import Sample, sample

_SIXTEENTH, _EIGHTH, _THREE_SIXTEENTHS = (math.tan(k * math.pi / 16) for k in (1, 2, 3))
_LARGE = 2.0**28  # where 1 + x * x is x * x, also in f64
_NARROW = (DType.F16, DType.BF16)


class Curve(Elementwise):
    """The base of functions whose derivative is shorter than that of their expression."""

    def of(self, x: Scalar) -> Scalar:
        """Returns the function of an f32 or f64 value."""
        raise NotImplementedError

    def derivative(self, x: Scalar) -> Scalar:
        """Returns the derivative where the argument is x."""
        raise NotImplementedError

    def scalar(self, x: Scalar) -> Scalar:
        if x.dtype in _NARROW:
            return cast(self.of(cast(x, DType.F32)), x.dtype)
        return self.of(x)

    def grad(self, upstream: Node, output: Node, *inputs: Node) -> tuple[Node | None, ...]:
        (x,) = inputs
        argument, above = (Var(f"x{k}", x.type.dtype) for k in range(2))
        return (Map(above * self.derivative(argument))(x, upstream),)


@op("tan", onnx=Onnx("Tan", since=7))
class Tan(Curve):
    """The tangent of an angle in radians."""

    def of(self, x: Scalar) -> Scalar:
        return sin(x) / cos(x)

    def derivative(self, x: Scalar) -> Scalar:
        return 1 / (cos(x) * cos(x))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[3, 4]", ranges=((-1.4, 1.4),))]


@op("sinh", onnx=Onnx("Sinh", since=9))
class Sinh(Curve):
    """The hyperbolic sine: half of exp(x) - exp(-x)."""

    def of(self, x: Scalar) -> Scalar:
        root = exp(x * 0.5)  # its square would overflow before the result does
        far = 0.5 * root * root - 0.5 / root / root
        factorials = [1 / math.factorial(2 * k + 1) for k in range(_terms(x, 5, 9))]
        return select(abs(x) < 1, _odd(x, factorials), far)

    def derivative(self, x: Scalar) -> Scalar:
        return _hyperbolic_cosine(x)


@op("cosh", onnx=Onnx("Cosh", since=9))
class Cosh(Curve):
    """The hyperbolic cosine: half of exp(x) + exp(-x)."""

    def of(self, x: Scalar) -> Scalar:
        return _hyperbolic_cosine(x)

    def derivative(self, x: Scalar) -> Scalar:
        return Sinh().of(x)


@op("atan", onnx=Onnx("Atan", since=7))
class Atan(Curve):
    """The angle in radians, from -pi/2 to pi/2, whose tangent is x."""

    def of(self, x: Scalar) -> Scalar:
        return _arctangent(x)

    def derivative(self, x: Scalar) -> Scalar:
        return 1 / fma(x, x, 1)


@op("asin", onnx=Onnx("Asin", since=7))
class Asin(Curve):
    """The angle in radians, from -pi/2 to pi/2, whose sine is x; NaN outside -1 .. 1."""

    def of(self, x: Scalar) -> Scalar:
        return _arctangent(x / sqrt((1 - x) * (1 + x)))

    def derivative(self, x: Scalar) -> Scalar:
        return 1 / sqrt((1 - x) * (1 + x))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[3, 4]", ranges=((-0.98, 0.98),))]


@op("acos", onnx=Onnx("Acos", since=7))
class Acos(Curve):
    """The angle in radians, from 0 to pi, whose cosine is x; NaN outside -1 .. 1."""

    def of(self, x: Scalar) -> Scalar:
        return 2 * _arctangent(sqrt((1 - x) / (1 + x)))

    def derivative(self, x: Scalar) -> Scalar:
        return -1 / sqrt((1 - x) * (1 + x))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[3, 4]", ranges=((-0.98, 0.98),))]


@op("asinh", onnx=Onnx("Asinh", since=9))
class Asinh(Curve):
    """The number whose hyperbolic sine is x."""

    def of(self, x: Scalar) -> Scalar:
        size = abs(x)
        beyond = size + size * size / (1 + sqrt(fma(size, size, 1)))
        near = _logarithm_of_one_and(beyond)
        found = select(size < _LARGE, near, log(size) + math.log(2))
        return select(x < 0, -found, found)

    def derivative(self, x: Scalar) -> Scalar:
        return 1 / sqrt(fma(x, x, 1))


@op("acosh", onnx=Onnx("Acosh", since=9))
class Acosh(Curve):
    """The number from 0 on whose hyperbolic cosine is x; NaN where x is below 1."""

    def of(self, x: Scalar) -> Scalar:
        above = x - 1
        near = _logarithm_of_one_and(above + sqrt(above) * sqrt(above + 2))
        return select(x > _LARGE, log(x) + math.log(2), near)

    def derivative(self, x: Scalar) -> Scalar:
        return 1 / sqrt((x - 1) * (x + 1))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[3, 4]", ranges=((1.05, 9),))]


@op("atanh", onnx=Onnx("Atanh", since=9))
class Atanh(Curve):
    """The number whose hyperbolic tangent is x; NaN outside -1 .. 1."""

    def of(self, x: Scalar) -> Scalar:
        return select(abs(x) < 0.2, _half_logarithm(x), 0.5 * log((1 + x) / (1 - x)))

    def derivative(self, x: Scalar) -> Scalar:
        return 1 / ((1 - x) * (1 + x))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[3, 4]", ranges=((-0.98, 0.98),))]


# ---- what they share -------------------------------------------------------------------------


def _terms(x: Scalar, few: int, many: int) -> int:
    return many if x.dtype is DType.F64 else few


def _odd(x: Scalar, coefficients: Sequence[float]) -> Scalar:
    """The sum of c0 * x, c1 * x^3, c2 * x^5 and so on, where c0 is 1."""
    square = x * x
    total = lift(coefficients[-1], x.dtype)
    for each in reversed(coefficients[1:-1]):
        total = fma(total, square, each)
    return fma(x * square, total, x)


def _hyperbolic_cosine(x: Scalar) -> Scalar:
    root = exp(x * 0.5)
    return 0.5 * root * root + 0.5 / root / root


def _half_logarithm(x: Scalar) -> Scalar:
    """log((1 + x) / (1 - x)) / 2 for |x| < 0.2."""
    return _odd(x, [1 / (2 * k + 1) for k in range(_terms(x, 5, 12))])


def _logarithm_of_one_and(x: Scalar) -> Scalar:
    """log(1 + x) where x is not negative, and small x keep all their digits."""
    return select(x < 0.4, 2 * _half_logarithm(x / (x + 2)), log(1 + x))


def _arctangent(x: Scalar) -> Scalar:
    """The series of arctan for up to tan(pi/16), by turning by 0, pi/8, pi/4 and to 1 / x."""
    size = abs(x)
    slope = select(size > 1, 1 / size, size)
    low, middle = slope < _SIXTEENTH, slope < _THREE_SIXTEENTHS
    zero = lift(0.0, x.dtype)
    center = select(low, zero, select(middle, lift(_EIGHTH, x.dtype), 1.0))
    angle = select(low, zero, select(middle, lift(math.pi / 8, x.dtype), math.pi / 4))
    turned = (slope - center) / fma(slope, center, 1)
    series = [(-1) ** k / (2 * k + 1) for k in range(_terms(x, 5, 12))]
    part = angle + _odd(turned, series)
    found = select(size > 1, math.pi / 2 - part, part)
    return select(x < 0, -found, found)
