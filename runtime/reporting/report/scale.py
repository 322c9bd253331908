"""Scales of charts: where a value lies, and which values are written beside an axis."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from dhc.runtime.reporting.words import number

WIDE = 50.0  # the ratio of values from which on an axis is logarithmic


@dataclass(frozen=True)
class Scale:
    """Values of an interval on a stretch of a picture.

    Attributes:
        low, high: The values at its ends.
        start, end: The places of its ends.
        logarithmic: Whether equal ratios have equal lengths.
        whole: Whether only whole numbers are written beside it.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False
    whole: bool = False

    def place(self, value: float) -> float:
        """Returns where a value lies."""
        low, high, x = self.low, self.high, value
        if self.logarithmic:
            low, high, x = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (self.end - self.start) * (x - low) / (high - low)

    def ticks(self, count: int = 5) -> list[tuple[float, str]]:
        """Returns round values with their texts, about `count` of them."""
        values = self._decades(count) if self.logarithmic else self._steps(count)
        return [(value, number(value, 3)) for value in values]

    def _steps(self, count: int) -> list[float]:
        step = _round_step((self.high - self.low) / count)
        step = math.ceil(step) if self.whole else step
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(k * step, 12) for k in range(first, last + 1)]

    def _decades(self, count: int) -> list[float]:
        first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
        every = max(1, (last - first) // count + 1)
        return [10.0**k for k in range(first, last + 1) if (k - first) % every == 0]


def scale_of(values: Iterable[float], start: float, end: float, fixed: bool = False) -> Scale:
    """Returns a scale for values.

    Args:
        values: Those that must lie on it; what is no number is left out.
        start: Where it begins.
        end: Where it ends.
        fixed: Whether it is linear, of whole numbers, and ends exactly where the values end.
    """
    known = [float(value) for value in values if math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if not fixed and low > 0 and high / low > WIDE:
        return Scale(10 ** math.floor(math.log10(low)), high * 1.15, start, end, logarithmic=True)
    if high - low < 1e-12 * max(abs(high), 1e-300) or high == low:
        margin = abs(high) / 2 or 0.5
        low, high = low - margin, high + margin
    if fixed:
        return Scale(low, high, start, end, whole=True)
    margin = 0.04 * (high - low)
    return Scale(low - margin, high + margin, start, end)


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= least * (1 - 1e-9))
