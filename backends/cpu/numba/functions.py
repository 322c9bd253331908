"""What printed numba functions call and numba does not have, or has with another meaning.

Float minimum and maximum propagate NaN; division and remainder round toward minus infinity, and of
integers by zero give zero. Integers come back as 64 bits; printed text converts them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

_compiled = njit(error_model="numpy")


@intrinsic
def fma(_context: Any, left: Any, right: Any, addend: Any) -> Any:
    """`left * right + addend`, rounded once."""
    if not isinstance(left, types.Float) or not left == right == addend:
        return None

    def generate(_context: Any, builder: Any, _signature: Any, operands: Any) -> Any:
        return builder.fma(*operands)

    return left(left, right, addend), generate


@intrinsic
def same_bits(_context: Any, value: Any, wanted: Any) -> Any:
    """The bits of a number seen as another type of the same width: `same_bits(x, i32)`."""
    if value.bitwidth != wanted.dtype.bitwidth:
        return None

    def generate(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        return builder.bitcast(operands[0], context.get_value_type(signature.return_type))

    return wanted.dtype(value, wanted), generate


@_compiled
def minimum(a: Any, b: Any) -> Any:
    return a if a <= b or a != a else b


@_compiled
def maximum(a: Any, b: Any) -> Any:
    return a if a >= b or a != a else b


# ---- division ----------------------------------------------------------------------------------


@_compiled
def floordiv(a: Any, b: Any) -> Any:
    """Of all integers but u64."""
    dividend, divisor = np.int64(a), np.int64(b)
    if divisor == 0:
        return np.int64(0)
    return -dividend if divisor == -1 else dividend // divisor


@_compiled
def mod(a: Any, b: Any) -> Any:
    """Of all integers but u64."""
    dividend, divisor = np.int64(a), np.int64(b)
    return np.int64(0) if divisor == 0 or divisor == -1 else dividend % divisor


@_compiled
def floordiv_u64(a: Any, b: Any) -> Any:
    return np.uint64(0) if b == 0 else a // b


@_compiled
def mod_u64(a: Any, b: Any) -> Any:
    return np.uint64(0) if b == 0 else a % b


@_compiled
def floordiv_float(a: Any, b: Any) -> Any:
    if b == 0:
        return a / b
    rest = np.fmod(a, b)
    quotient = (a - rest) / b
    if rest != 0 and (rest < 0) != (b < 0):
        quotient -= type(quotient)(1)
    if quotient == 0:
        return np.copysign(quotient, a / b)
    whole = np.floor(quotient)
    return whole + type(whole)(1) if quotient - whole > type(whole)(0.5) else whole


@_compiled
def mod_float(a: Any, b: Any) -> Any:
    rest = np.fmod(a, b)
    if rest == 0:
        return np.copysign(rest, b)
    return rest + b if (rest < 0) != (b < 0) else rest


@_compiled
def power(base: Any, exponent: Any) -> Any:
    """Of integers, modulo 2**64."""
    factor, rest, result = np.uint64(base), np.uint64(exponent), np.uint64(1)
    while rest:
        if rest & np.uint64(1):
            result *= factor
        factor *= factor
        rest >>= np.uint64(1)
    return result


# ---- conversions that clamp --------------------------------------------------------------------


def _saturating(convert: Any) -> Callable[[Any], Any]:
    """Returns the conversion to an integer type; NaN becomes 0."""
    low, high = int(np.iinfo(convert).min), int(np.iinfo(convert).max)

    @_compiled
    def saturate(x: Any) -> Any:
        if x != x:
            return convert(0)
        if x <= low:
            return convert(low)
        return convert(high) if x >= high else convert(x)

    saturated: Callable[[Any], Any] = saturate
    return saturated


saturate_i8, saturate_u8 = _saturating(np.int8), _saturating(np.uint8)
saturate_i16, saturate_u16 = _saturating(np.int16), _saturating(np.uint16)
saturate_i32, saturate_u32 = _saturating(np.int32), _saturating(np.uint32)
saturate_i64, saturate_u64 = _saturating(np.int64), _saturating(np.uint64)
