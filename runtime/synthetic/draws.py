"""Random numbers that are the same on every machine and with every version of numpy.

Only the raw bits of Philox are taken from numpy, because those alone are promised to stay; the
distributions are made from them here.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]
Mask = NDArray[np.bool_]
Shape = int | tuple[int, ...]


class Draws:
    """A stream of random numbers.

    Args:
        path: What the stream is for, such as `"lung_nodules", seed, "patient", 3`. Streams of
            different paths are independent.
    """

    def __init__(self, *path: str | int) -> None:
        digest = hashlib.sha256("/".join(map(str, path)).encode()).digest()
        self._bits = np.random.Philox(key=int.from_bytes(digest[:16], "little"))

    def uniform(self, low: float, high: float, shape: Shape) -> Field:
        """Returns numbers in [low, high), all equally likely."""
        count = math.prod(shape) if isinstance(shape, tuple) else shape
        fractions = (self._bits.random_raw(count) >> np.uint64(11)) * 2.0**-53
        return np.asarray(low + (high - low) * fractions, np.float64).reshape(shape)

    def normal(self, shape: Shape) -> Field:
        """Returns standard normal numbers (Box and Muller, 1958)."""
        count = math.prod(shape) if isinstance(shape, tuple) else shape
        half = (count + 1) // 2
        radius = np.sqrt(-2 * np.log(1 - self.uniform(0, 1, half)))
        angle = self.uniform(0, 2 * math.pi, half)
        both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
        return both[:count].reshape(shape)

    def number(self, low: float, high: float) -> float:
        """Returns one number in [low, high)."""
        return float(self.uniform(low, high, 1)[0])

    def integer(self, low: int, high: int) -> int:
        """Returns a whole number from `low` to `high`, both included."""
        return low + int(self.number(0, high - low + 1))

    def chance(self, probability: float) -> bool:
        """Returns True with a probability."""
        return self.number(0, 1) < probability

    def choice(self, weights: tuple[float, ...]) -> int:
        """Returns a position in `weights`, each with its share of their sum."""
        point = self.number(0, math.fsum(weights))
        for position, weight in enumerate(weights):
            point -= weight
            if point < 0:
                return position
        return len(weights) - 1

    def order(self, count: int) -> list[int]:
        """Returns the numbers from 0 to `count - 1` in random order."""
        return [int(k) for k in np.argsort(self.uniform(0, 1, count), kind="stable")]
