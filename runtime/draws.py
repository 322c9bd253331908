"""Random numbers for weights, from raw bits of a counter.

numpy promises those bits for ever, and nothing of its distributions; so these are made here, with
operations that IEEE 754 rounds in one way only. A seed means the same weights everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
TRUNCATED = 2.0  # deviations, as TensorFlow and PyTorch cut them
SPARE = 1.5  # draws for each number that is wanted; a fifth of them is thrown away
LN2 = 0.6931471805599453


class Draws:
    """A stream of numbers.

    Args:
        name: Decides all of them.
    """

    def __init__(self, name: str) -> None:
        digest = hashlib.sha256(name.encode()).digest()
        self._bits = np.random.Philox(key=int.from_bytes(digest[:16], "little"))

    def uniform(self, count: int) -> Doubles:
        """Numbers of at least 0 and below 1."""
        raw = self._bits.random_raw(count) >> np.uint64(11)
        return raw.astype(np.float64) * 2.0**-53

    def normal(self, count: int) -> Doubles:
        """Normal numbers of deviation 1, by the polar method (Marsaglia and Bray, 1964)."""
        return _filled(count, self._normal_pairs)

    def truncated_normal(self, count: int) -> Doubles:
        """The same without those farther than `TRUNCATED` from 0."""

        def draw(size: int) -> Doubles:
            found = self._normal_pairs(size)
            return found[np.abs(found) <= TRUNCATED]

        return _filled(count, draw)

    def _normal_pairs(self, size: int) -> Doubles:
        pairs = 2 * self.uniform(2 * size).reshape(-1, 2) - 1
        square = pairs[:, 0] * pairs[:, 0] + pairs[:, 1] * pairs[:, 1]
        inside = (square > 0) & (square < 1)
        pairs, square = pairs[inside], square[inside]
        return (pairs * np.sqrt(-2 * _log(square) / square)[:, None]).reshape(-1)


def orthogonal(square: Doubles) -> Doubles:
    """Returns orthonormal rows, or columns where there are more rows than columns.

    They are uniformly distributed if the elements given are normal (Mezzadri, math-ph/0609050).
    """
    rows, columns = square.shape
    q, r = np.linalg.qr(square.T if rows < columns else square)
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return q.T if rows < columns else q


def _filled(count: int, draw: Callable[[int], Doubles]) -> Doubles:
    """The first numbers of as many draws as are needed."""
    found: list[Doubles] = []
    missing = count
    while missing > 0:
        found.append(draw(int(missing * SPARE) // 2 + 8))
        missing -= found[-1].size
    return np.concatenate(found or [np.empty(0)])[:count]


def _log(x: Doubles) -> Doubles:
    """The natural logarithm of positive numbers: exponent, and a series of the mantissa.

    Its error is below 1e-15 of 1; numpy's own differs between processors in the last bit.
    """
    mantissa, exponent = np.frexp(x)
    small = mantissa < 0.7071067811865476
    mantissa, exponent = np.where(small, 2 * mantissa, mantissa), exponent - small
    s = (mantissa - 1) / (mantissa + 1)
    square = s * s
    series = np.zeros_like(s)
    for power in range(21, 0, -2):
        series = series * square + 1.0 / power
    result: Doubles = exponent * LN2 + 2 * s * series
    return result
