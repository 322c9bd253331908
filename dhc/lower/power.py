"""Powers of f32 values: exp(y * log(x)) with the logarithm held in two floats.

A plain `exp(y * log(x))` multiplies the rounding error of the logarithm by y, up to 100 units in
the last place; the second float takes that error up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dhc.ir.scalar import Bitcast, Const, Scalar, floor, fma, lift, select, sqrt
from dhc.ir.types import DType
from dhc.lower.polynomials import LN2, exponential, horner, split_exponent

_THIRDS = (0.6666667, -1.9868216e-08)  # 2/3, high and low part
_ARCTANGENT = (0.40000153, 0.28547087, 0.23419772)


@dataclass(frozen=True)
class _Pair:
    """The unevaluated sum of two floats; `low` is far smaller than `high`."""

    high: Scalar
    low: Scalar

    def __mul__(self, other: _Pair) -> _Pair:
        high = self.high * other.high
        cross = fma(self.high, other.low, self.low * other.high)
        return _Pair(high, fma(self.high, other.high, -high) + cross)


def power(x: Scalar, y: Scalar) -> Scalar:
    """Returns x**y with the special cases of IEEE 754; sqrt(x) where y is the constant 0.5."""
    if isinstance(y, Const):
        simple = _constant_power(x, float(y.value))
        if simple is not None:
            return simple
    size = abs(x)
    result = _positive_power(size, y)
    result = select(size.equals(1.0) | y.equals(0.0), 1.0, result)
    result = _with_signs(x, y, result)
    return select(x.equals(1.0) | y.equals(0.0), 1.0, result)


def _constant_power(x: Scalar, exponent: float) -> Scalar | None:
    match exponent:
        case 0.0:
            return lift(1.0, x.dtype)
        case 0.5:
            return sqrt(x)
        case -0.5:
            return 1.0 / sqrt(x)
        case 1.0:
            return x
        case 2.0:
            return x * x
        case 3.0:
            return x * x * x
        case 4.0:
            return (x * x) * (x * x)
        case -1.0:
            return 1.0 / x
        case -2.0:
            return (1.0 / x) * (1.0 / x)
    return None


def _positive_power(x: Scalar, y: Scalar) -> Scalar:
    """Returns x**y for x >= 0, where neither x is 1 nor y is 0."""
    log = _logarithm(x)
    high = y * log.high
    low = fma(y, log.low, fma(y, log.high, -high))
    return exponential(high, select(abs(high) < 128.0, low, 0.0))


def _logarithm(x: Scalar) -> _Pair:
    """Returns log(x) for x >= 0, as 2 artanh((m - 1) / (m + 1)) + e * log(2)."""
    exponent, mantissa = split_exponent(x)
    m = mantissa - 1.0
    reciprocal = 1.0 / (m + 2.0)
    high = m * reciprocal
    left_over = fma(high, -m, fma(high, -2.0, m))
    q = _Pair(high, reciprocal * left_over)
    square = q * q
    slope = square.high * horner(_ARCTANGENT, square.high)
    factor = slope + _THIRDS[0]
    series = _Pair(factor, (_THIRDS[0] - factor + slope) + _THIRDS[1])
    tail = q * square * series
    doubled = _Pair(q.high * 2.0, q.low * 2.0)
    mantissa_log = _add(doubled, tail)
    scale = _Pair(exponent * LN2[0], fma(exponent, LN2[0], -(exponent * LN2[0])))
    total = _add(scale, _Pair(mantissa_log.high, fma(exponent, LN2[1], mantissa_log.low)))
    outside = select(x > 0.0, x, -math.inf)  # infinity and NaN stay, 0 gives minus infinity
    finite = (x > 0.0) & (x < math.inf)
    special = select(x.differs(x), x, outside)
    return _Pair(select(finite, total.high, special), select(finite, total.low, 0.0))


def _add(left: _Pair, right: _Pair) -> _Pair:
    """Adds two pairs, of which the left one is larger or 0."""
    high = left.high + right.high
    return _Pair(high, (left.high - high + right.high) + (left.low + right.low))


def _with_signs(x: Scalar, y: Scalar, size: Scalar) -> Scalar:
    """Returns |x|**y with the sign that x**y has; NaN for finite x < 0 unless y is an integer."""
    whole = floor(y).equals(y)
    half = y * 0.5
    odd = whole & floor(half).differs(half)
    negative = Bitcast(x, DType.I32) < 0
    signed = select(negative & odd, -size, size)
    undefined = (x < 0.0) & (x > -math.inf) & ~whole
    return select(undefined, math.nan, signed)
