"""Numbers as the types of the language hold them."""

from __future__ import annotations

import math

import numpy as np

from dhc.ir.types import DType

Number = int | float | bool


def canonical(value: Number, dtype: DType) -> Number:
    """Returns the one Python number that stands for a constant of a type.

    Integers must fit their type. A float becomes the shortest decimal that rounds to the same value
    in its type, or of a narrow one the number itself; there is one NaN.

    Raises:
        TypeError: if an integer type cannot hold the number.
    """
    if dtype is DType.BOOL:
        return bool(value)
    if dtype.is_integer:
        if not math.isfinite(value) or value != wrap(int(value), dtype):
            raise TypeError(f"the constant {value} does not fit the type {dtype}")
        return int(value)
    if dtype.is_narrow:
        value = float(rounded(value, dtype))
    if math.isnan(value):
        return math.nan
    if dtype.is_narrow or dtype is DType.F64 or math.isinf(value):
        return float(value)
    return float(str(rounded(value, dtype)))


def rounded(value: Number, dtype: DType) -> np.floating:
    """Returns a number rounded to a float type, half to even; narrow ones as f32."""
    with np.errstate(over="ignore"):
        if not dtype.is_narrow:
            nearest: np.floating = dtype.numpy.type(value)
            return nearest
    from dhc.ir.evaluate import convert

    narrow = convert(np.asarray(value, np.float64), dtype)
    return np.float32(convert(narrow, DType.F32))


def wrap(value: int, dtype: DType) -> int:
    """Returns the integer modulo 2**bits, in the range of the type."""
    modulus = 1 << dtype.bits
    value %= modulus
    return value - modulus if dtype.is_signed and value >= modulus // 2 else value


def type_range(dtype: DType) -> tuple[int, int]:
    """Returns the smallest and the largest value of an integer type; 0 and 1 for bool."""
    if dtype is DType.BOOL:
        return (0, 1)
    half = 1 << (dtype.bits - 1)
    return (-half, half - 1) if dtype.is_signed else (0, 2 * half - 1)
