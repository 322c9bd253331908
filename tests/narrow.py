"""Values at which tests of narrow element types decide."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dhc.ir.graph import Array
from dhc.ir.types import DType

NARROW = tuple(dtype for dtype in DType if dtype.is_narrow)


def every(dtype: DType) -> Array:
    """Returns all patterns of bits that a type has."""
    return np.arange(1 << dtype.bits).astype(dtype.stored.numpy).view(dtype.numpy)


def finite(dtype: DType) -> NDArray[np.float64]:
    """Returns all numbers of a type in their order, one zero among them."""
    with np.errstate(invalid="ignore"):
        numbers = every(dtype).astype(np.float64)
    return np.unique(numbers[np.isfinite(numbers)])


def beside(dtype: DType) -> NDArray[np.float32]:
    """Returns its numbers, the middles between them, and their neighbours in f32; and any bits."""
    numbers = finite(dtype)
    middles = (numbers[1:] + numbers[:-1]) / 2
    beyond = np.array([1.0, 1.0625, 1.25, 2.0]) * numbers[-1]
    with np.errstate(over="ignore"):
        exact = np.concatenate([numbers, middles, beyond, -beyond]).astype(np.float32)
        sides = [np.nextafter(exact, np.float32(end)) for end in (-np.inf, np.inf)]
    ends = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3.4e38], np.float32)
    bits = np.random.Philox(key=5).random_raw(5000).astype(np.uint32).view(np.float32)
    return np.concatenate([exact, *sides, ends, bits])


def halves() -> NDArray[np.float16]:
    """Returns all patterns of bits of f16."""
    return np.arange(1 << 16).astype(np.uint16).view(np.float16)


def bits_of(array: Array) -> Array:
    """Returns the bits of narrow elements."""
    return array.view(np.uint16 if array.itemsize == 2 else np.uint8)


def same_bits(found: Array, expected: Array) -> None:
    """Asserts that two arrays of a narrow type are equal, NaN and the sign of zero included."""
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(bits_of(np.asarray(found)), bits_of(np.asarray(expected)))
