"""Narrow element types: how their bits are laid out, and what converts to and from them.

Arithmetic happens in wider types. A narrow float is the nearest number, half to even, of an f32 or
f64 (integers become f32 first); integers of 4 and 2 bits wrap. The layouts are those of the OCP
specifications for 8-bit and microscaling formats, and of ONNX for the types ending in "uz".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from dhc.ir.number import type_range
from dhc.ir.scalar import (
    Bitcast,
    Scalar,
    Var,
    cast,
    clamp,
    lift,
    minimum,
    round_half_even,
    select,
)
from dhc.ir.types import DType


@dataclass(frozen=True)
class Format:
    """How a narrow float with a sign is laid out: sign, exponent, mantissa.

    Attributes:
        mantissa: How many bits it has.
        bias: What is subtracted from the exponent.
        largest: The bits of the largest finite number.
        infinity: The bits of infinity, if there is one.
        nan: The bits that stand for NaN; what has none makes it minus zero, which ONNX leaves open.
        signed_zero: Whether there is a minus zero; where not, its bits are those of NaN.
    """

    mantissa: int
    bias: int
    largest: int
    nan: int
    infinity: int | None = None
    signed_zero: bool = True
    has_nan: bool = True


FORMATS: Mapping[DType, Format] = {
    DType.BF16: Format(7, 127, 0x7F7F, 0x7FC0, infinity=0x7F80),
    DType.F8E4M3FN: Format(3, 7, 0x7E, 0x7F),
    DType.F8E4M3FNUZ: Format(3, 8, 0x7F, 0x80, signed_zero=False),
    DType.F8E5M2: Format(2, 15, 0x7B, 0x7E, infinity=0x7C),
    DType.F8E5M2FNUZ: Format(2, 16, 0x7F, 0x80, signed_zero=False),
    DType.F4E2M1: Format(1, 1, 0x7, 0x8, has_nan=False),
}
"""Floats with a sign; f8e8m0 is an exponent alone, and stands for a power of two."""

_WORDS: Mapping[DType, tuple[DType, int, int]] = {  # bits as an integer, mantissa, bias
    DType.F32: (DType.U32, 23, 127),
    DType.F64: (DType.U64, 52, 1023),
}
_NO_NUMBER = 0xFF  # the bits of NaN in f8e8m0


@cache
def conversion(source: DType, to: DType, saturate: bool) -> tuple[Var, Scalar]:
    """Returns what converts a variable, both as they are stored."""
    value = Var("value", source.stored)
    return value, converted(value, source, to, saturate)


def converted(value: Scalar, source: DType, to: DType, saturate: bool = False) -> Scalar:
    """Returns a conversion between types of which one is narrow, both as they are stored.

    Args:
        value: What to convert; bits if its type is narrow.
        source: Its type.
        to: The type of the result, whose bits are returned if it is narrow.
        saturate: Whether what lies beyond the largest number becomes it, and not infinity or NaN.
    """
    wide = widened(value, source) if source.is_narrow else value
    return narrowed(wide, to, saturate) if to.is_narrow else cast(wide, to, saturate)


# ---- to wider types --------------------------------------------------------------------------


def widened(bits: Scalar, source: DType) -> Scalar:
    """Returns the number that bits stand for: f32, i8 or u8; it is exact."""
    if source.is_integer:
        return _widened_integer(bits, source)
    whole = cast(bits, DType.U32)
    if source is DType.F8E8M0:
        return _power(whole)
    if source is DType.BF16:
        return Bitcast(whole << 16, DType.F32)
    return _widened_float(whole & ((1 << source.bits) - 1), FORMATS[source], source.bits)


def _widened_integer(bits: Scalar, source: DType) -> Scalar:
    """The low bits, of which the highest one may be a sign."""
    if not source.is_signed:
        return bits & ((1 << source.bits) - 1)
    sign = 1 << (source.bits - 1)
    return ((cast(bits, DType.I8) & (2 * sign - 1)) ^ sign) - sign


def _widened_float(whole: Scalar, form: Format, width: int) -> Scalar:
    sign = 1 << (width - 1)
    size = whole & (sign - 1)
    least = cast(size, DType.F32) * math.ldexp(1, 1 - form.bias - form.mantissa)
    exponent = (127 - form.bias) << 23
    normal = Bitcast((size << (23 - form.mantissa)) + exponent, DType.F32)
    value = select(size < (1 << form.mantissa), least, normal)
    if form.infinity is not None:
        value = select(size.equals(form.infinity), math.inf, value)
        value = select(size > form.infinity, math.nan, value)
    elif form.signed_zero and form.has_nan:
        value = select(size > form.largest, math.nan, value)
    value = select(whole >= sign, -value, value)
    return value if form.signed_zero else select(whole.equals(form.nan), math.nan, value)


def _power(exponent: Scalar) -> Scalar:
    """Two to the exponent; the least one is a subnormal f32."""
    bits = select(exponent.equals(0), 1 << 22, exponent << 23)
    value = Bitcast(bits, DType.F32)
    return select(exponent.equals(_NO_NUMBER), math.nan, value)


# ---- to narrow types -------------------------------------------------------------------------


def narrowed(x: Scalar, to: DType, saturate: bool = False) -> Scalar:
    """Returns the bits of the number of a narrow type that is nearest to a number."""
    if to.is_integer:
        return _narrowed_integer(x, to, saturate)
    wide = x if x.dtype in _WORDS else cast(x, DType.F32)
    if to is DType.F8E8M0:
        return _exponent(cast(wide, DType.F32), saturate)
    return cast(_narrowed_float(wide, to, FORMATS[to], saturate), to.stored)


def _narrowed_integer(x: Scalar, to: DType, saturate: bool) -> Scalar:
    """The low bits; floats are cut toward zero."""
    if saturate and x.dtype is not DType.BOOL:
        byte = cast(x, DType.I8 if to.is_signed else DType.U8, True)
        x = clamp(byte, *type_range(to))
    elif x.dtype.is_float:
        x = cast(x, DType.I32)
    return cast(x, DType.U8) & ((1 << to.bits) - 1)


def _narrowed_float(x: Scalar, to: DType, form: Format, saturate: bool) -> Scalar:
    """The bits in an integer as wide as the number."""
    word, mantissa, bias = _WORDS[x.dtype]
    if form.bias == bias:
        most = math.ldexp(2 - math.ldexp(1, -form.mantissa), bias)
        return _shortened(clamp(x, -most, most) if saturate else x, form, word, mantissa)
    sign = 1 << (word.bits - 1)
    bits = Bitcast(x, word)
    size = bits & (sign - 1)
    result = _rounded(size, mantissa - form.mantissa) - ((bias - form.bias) << form.mantissa)
    least = (1 - form.bias + bias) << mantissa
    result = select(size < least, _subnormal(x, form, word), result)
    infinity = form.nan if form.infinity is None else form.infinity
    beyond = form.largest if saturate or not form.has_nan else infinity
    result = select(result > form.largest, beyond, result)
    infinite = ((1 << (word.bits - 1 - mantissa)) - 1) << mantissa
    result = select(size > infinite, form.nan, result)
    signed = result | ((bits >> (word.bits - 1)) << (to.bits - 1))
    return signed if form.signed_zero else select(result.equals(0), 0, signed)


def _shortened(x: Scalar, form: Format, word: DType, mantissa: int) -> Scalar:
    """The same for a type with the same exponents, where rounding leads from end to infinity."""
    bits, places = Bitcast(x, word), mantissa - form.mantissa
    sign = (bits >> (word.bits - 1)) << (word.bits - 1 - places)
    return select(x.equals(x), _rounded(bits, places), sign | form.nan)


def _rounded(bits: Scalar, places: int) -> Scalar:
    """Bits without the last places, half to even."""
    return (bits + ((1 << (places - 1)) - 1) + ((bits >> places) & 1)) >> places


def _subnormal(x: Scalar, form: Format, word: DType) -> Scalar:
    """How often the least number goes into one that is below the normal ones."""
    small = minimum(abs(x), math.ldexp(1, 1 - form.bias))
    return cast(round_half_even(small * math.ldexp(1, form.bias - 1 + form.mantissa)), word, True)


def _exponent(x: Scalar, saturate: bool) -> Scalar:
    """The exponent of the nearest power of two, the upper one of two that are as near.

    Zero is the least power if `saturate`; numbers below zero are NaN.
    """
    bits = Bitcast(x, DType.U32)
    size = bits & 0x7FFFFFFF
    low = select(size >= 0x600000, lift(1, DType.U32), 0)
    result = select(size < 0x800000, low, (size + 0x400000) >> 23)
    if saturate:
        result = select(size > 0x7F800000, _NO_NUMBER, minimum(result, 0xFE))
    else:
        result = select(size.equals(0), _NO_NUMBER, minimum(result, 0xFF))
    return cast(select(bits > 0x80000000, _NO_NUMBER, result), DType.U8)
