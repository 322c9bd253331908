"""Polynomials for functions of f32 values, in primitive operations and without branches.

Each builds an expression from an expression. The coefficients are minimax fits over the reduced
ranges, rounded to f32 one after another, so that later ones make up for the rounding of earlier
ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from dhc.ir.number import Number
from dhc.ir.scalar import Bitcast, Const, Scalar, cast, fma, select
from dhc.ir.types import DType

LN2 = (0.6931472, -1.9046542e-09)  # high and low part
_LOG2_E = 1.442695
_TWO_OVER_PI = 0.63661975
_HALF_PI = (1.5707964, -4.371139e-08, -1.7151245e-15)

# Adding this rounds to an integer, which is then found in the low bits of the sum.
_TO_INTEGER = 12582912.0
_TO_INTEGER_BITS = 0x4B400000
_SIGN = 0x80000000
_FRACTION = 0x007FFFFF
_HALF_SQRT_2 = 0x3F3504F3  # bits of 0.70710677
_ONE = 0x3F800000
_SMALLEST_NORMAL = 2.0**-126

_EXP = (0.49999994, 0.16666521, 0.04166828, 0.0083686905, 0.0013819513)
_LOG = (
    0.33333313, -0.2500001, 0.20002072, -0.16667989, 0.14220358, -0.12406234, 0.11883549,
    -0.11670099, 0.067492716,
)  # fmt: skip
_TANH = (-0.3333328, 0.13331406, -0.053736515, 0.020628167, -0.005692296)
_ERF = (
    0.12837917, -0.3761263, 0.11283626, -0.02685574, 0.0051924605, -0.0008050804, 8.002775e-05,
)  # fmt: skip
_LOG_ERFC = (
    0.00017055082, -1.1294951, -0.6333867, -0.10823663, 0.02509156, -0.0041605844, 0.0004323245,
    -2.0912497e-05,
)  # fmt: skip
_SIN = (-0.16666667, 0.0083333785, -0.00019852535, 2.825794e-06)
_COS = (0.041666646, -0.0013887294, 2.4429415e-05)


def exponential(x: Scalar, low: Scalar | None = None) -> Scalar:
    """Returns exp(x), or exp(x + low) where `low` is a correction far smaller than x."""
    bounded = at_least(at_most(x, 89.0), -104.0)  # beyond, the result is infinity or 0
    result, shifted = _exponential_of_rest(bounded, low)
    exponent = Bitcast(shifted, DType.I32) - _TO_INTEGER_BITS
    half = exponent >> 1  # in two steps, so that subnormal results are rounded once
    return result * _power_of_two(half) * _power_of_two(exponent - half)


def _moderate_exponential(x: Scalar) -> Scalar:
    """Returns exp(x) for -80 < x < 80."""
    result, shifted = _exponential_of_rest(x, None)
    return result * Bitcast((Bitcast(shifted, DType.U32) << 23) + _ONE, DType.F32)


def _exponential_of_rest(x: Scalar, low: Scalar | None) -> tuple[Scalar, Scalar]:
    """Returns exp(x - n * ln 2) and n + `_TO_INTEGER` for the integer n nearest to x / ln 2."""
    shifted = fma(x, _LOG2_E, _TO_INTEGER)
    n = shifted - _TO_INTEGER
    rest = fma(n, -LN2[1], fma(n, -LN2[0], x))
    if low is not None:
        rest = rest + low
    return fma(horner(_EXP, rest), rest * rest, rest) + 1.0, shifted


def _power_of_two(exponent: Scalar) -> Scalar:
    return Bitcast(Bitcast(exponent + 127, DType.U32) << 23, DType.F32)


def logarithm(x: Scalar) -> Scalar:
    exponent, mantissa = split_exponent(x)
    f = mantissa - 1.0
    square = f * f
    tail = fma(exponent, LN2[1], square * f * horner(_LOG, f))
    result = fma(exponent, LN2[0], f + fma(square, -0.5, tail))
    special = select(x.equals(0.0), _number(-math.inf), _number(math.nan))
    return select(x > 0.0, select(x < math.inf, result, x), special)


def split_exponent(x: Scalar) -> tuple[Scalar, Scalar]:
    """Returns (e, m) with x = m * 2**e and m in [sqrt(1/2), sqrt(2)), for positive finite x."""
    subnormal = x < _SMALLEST_NORMAL
    scaled = select(subnormal, x * 2.0**23, x)
    moved = Bitcast(scaled, DType.U32) - _HALF_SQRT_2
    exponent = cast(Bitcast(moved, DType.I32) >> 23, DType.F32)
    mantissa = Bitcast((moved & _FRACTION) + _HALF_SQRT_2, DType.F32)
    return exponent - select(subnormal, _number(23.0), 0.0), mantissa


def hyperbolic_tangent(x: Scalar) -> Scalar:
    size = abs(x)
    square = x * x
    near_zero = fma(size * square, horner(_TANH, square), size)
    doubled = at_most(size, 10.0) * 2.0
    far = 1.0 - 2.0 / (_moderate_exponential(doubled) + 1.0)
    return with_sign_of(select(size < 0.625, near_zero, far), x)


def error_function(x: Scalar) -> Scalar:
    size = abs(x)
    near_zero = fma(size, horner(_ERF, x * x), size)
    far = 1.0 - _moderate_exponential(horner(_LOG_ERFC, at_most(size, 4.0)))
    return with_sign_of(select(size < 0.92, near_zero, far), x)


def sine(x: Scalar) -> Scalar:
    sign = Bitcast(x, DType.U32) & _SIGN
    return Bitcast(Bitcast(_trigonometric(abs(x), 0), DType.U32) ^ sign, DType.F32)


def cosine(x: Scalar) -> Scalar:
    return _trigonometric(abs(x), 1)


def _trigonometric(x: Scalar, quarter_turns: int) -> Scalar:
    """Returns sin(x + quarter_turns * pi / 2) for x >= 0.

    The error stays within 2 units in the last place while x < 1e5 and grows with x from there; the
    result always lies between -1 and 1.
    """
    shifted = fma(x, _TWO_OVER_PI, _TO_INTEGER)
    n = shifted - _TO_INTEGER
    rest = x
    for part in _HALF_PI:
        rest = fma(n, -part, rest)
    rest = at_least(at_most(rest, 0.8), -0.8)
    square = rest * rest
    odd = fma(rest * square, horner(_SIN, square), rest)
    even = fma(square * square, horner(_COS, square), fma(square, -0.5, 1.0))
    quadrant = Bitcast(shifted, DType.U32) + quarter_turns
    magnitude = select((quadrant & 1).equals(0), odd, even)
    return Bitcast(Bitcast(magnitude, DType.U32) ^ ((quadrant & 2) << 30), DType.F32)


# ---- parts -----------------------------------------------------------------------------------


def horner(coefficients: Sequence[float], x: Scalar) -> Scalar:
    """Returns the polynomial with the given coefficients, that of x**0 first."""
    result: Scalar = _number(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = fma(result, x, coefficient)
    return result


def at_most(x: Scalar, high: float) -> Scalar:
    """Returns the smaller of x and a constant; NaN stays NaN. One instruction on most machines."""
    return select(x > high, high, x)


def at_least(x: Scalar, low: float) -> Scalar:
    return select(x < low, low, x)


def with_sign_of(magnitude: Scalar, x: Scalar) -> Scalar:
    """Returns a value that is not negative, with the sign bit of x."""
    sign = Bitcast(x, DType.U32) & _SIGN
    return Bitcast(Bitcast(magnitude, DType.U32) | sign, DType.F32)


def _number(value: Number) -> Const:
    return Const(float(value), DType.F32)
