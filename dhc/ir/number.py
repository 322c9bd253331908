"""Numbers as the types of the language hold them."""

from __future__ import annotations

import math

import numpy as np

from dhc.ir.types import DType

Number = int | float | bool


def canonical(value: Number, dtype: DType) -> Number:
    """Returns the one Python number that stands for a constant of a type.

    Integers must fit their type. A float becomes the shortest decimal that rounds to the same value
    in its type; there is one NaN.

    Raises:
        TypeError: if an integer type cannot hold the number.
    """
    if dtype is DType.BOOL:
        return bool(value)
    if dtype.is_integer:
        if not math.isfinite(value) or value != wrap(int(value), dtype):
            raise TypeError(f"the constant {value} does not fit the type {dtype}")
        return int(value)
    if not math.isfinite(value):
        return math.nan if math.isnan(value) else float(value)
    return float(value) if dtype is DType.F64 else float(str(rounded(value, dtype)))


def rounded(value: Number, dtype: DType) -> np.floating:
    """Returns a number rounded to a float type, half to even; bf16 values as f32."""
    with np.errstate(over="ignore"):
        nearest: np.floating = dtype.numpy.type(value)
    if dtype is DType.BF16 and np.isfinite(nearest):
        bits = int(nearest.view(np.uint32))
        bits += 0x7FFF + (bits >> 16 & 1)
        nearest = np.uint32(bits & 0xFFFF0000).view(np.float32)
    return nearest


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
