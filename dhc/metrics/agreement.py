"""Metrics of how well two measurements of the same things agree, over all elements.

A sample's row is how many elements it has, the means of prediction and truth, and the sums of
squared distances from them and of their product. Such rows merge without loss of digits, however
far from 0 the values lie (Chan, Golub and LeVeque, 1979).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from dhc.metrics.base import Array, Metric, Rows, metric, ratio
from dhc.metrics.regression import pairs


@dataclass(frozen=True)
class Moments:
    """What is known of all elements: their number, both means, and sums around the means."""

    count: float
    x: float
    y: float
    xx: float
    yy: float
    xy: float

    @property
    def difference(self) -> float:
        """The sum of squared distances of differences x - y from their mean."""
        return max(self.xx + self.yy - 2 * self.xy, 0.0)


class _Agreement(Metric):
    """The base: a number that follows from moments."""

    def rows(self, prediction: Array, truth: Array) -> Rows:
        x, y = pairs(self.name, prediction, truth)
        means = x.mean(1), y.mean(1)
        dx, dy = x - means[0][:, None], y - means[1][:, None]
        sums = ((dx * dx).sum(1), (dy * dy).sum(1), (dx * dy).sum(1))
        return np.stack([np.full(len(x), float(x.shape[1])), *means, *sums], 1)

    def value(self, rows: Rows) -> float:
        return self.of_moments(merged(rows)) if len(rows) else float("nan")

    def of_moments(self, found: Moments) -> float:
        """Returns the metric; NaN where too few elements, or equal ones, do not determine it."""
        raise NotImplementedError


def merged(rows: Rows) -> Moments:
    """Returns the moments of all samples together; there is at least one."""
    count, x, y, xx, yy, xy = rows.T
    total = count.sum()
    mean_x, mean_y = (count @ x) / total, (count @ y) / total
    dx, dy = x - mean_x, y - mean_y
    around = (xx.sum() + count @ (dx * dx), yy.sum() + count @ (dy * dy))
    return Moments(total, mean_x, mean_y, *around, xy.sum() + count @ (dx * dy))


@metric("pearson")
class Pearson(_Agreement):
    """The correlation of predictions and truths."""

    def of_moments(self, found: Moments) -> float:
        return float(ratio(found.xy, np.sqrt(found.xx) * np.sqrt(found.yy)))


@metric("icc")
class Icc(_Agreement):
    """The intraclass correlation of prediction and truth as two raters (Shrout and Fleiss, 1979).

    Attributes:
        form: `1,1` has other raters for each element, `2,1` takes the raters as drawn from many, so
            that an offset between them counts, `3,1` takes them as they are, so that it does not;
            with `k` it is the reliability of the mean of both.
    """

    form: Literal["1,1", "2,1", "3,1", "1,k", "2,k", "3,k"] = "2,1"

    def of_moments(self, found: Moments) -> float:
        """From the mean squares of an analysis of variance with two raters.

        Between elements the sum of squares is that of x + y, halved; within them that of x - y,
        halved, of which the raters' means make a part.
        """
        n = found.count
        if n < 2:
            return float("nan")
        between = (found.xx + found.yy + 2 * found.xy) / 2 / (n - 1)
        residual = found.difference / 2 / (n - 1)
        raters = n * (found.x - found.y) ** 2 / 2
        within = (found.difference / 2 + raters) / n
        error = within if self.form[0] == "1" else residual
        single = self.form[2] == "1"
        offset = (raters - residual) / n if self.form[0] == "2" else 0.0
        whole = between + (error + 2 * offset if single else offset)
        return float(ratio(between - error, whole))


@metric("bland_altman", better="lower")
class BlandAltman(_Agreement):
    """How far a difference between prediction and truth is likely to be (Bland and Altman, 1986).

    The limits of agreement are the mean difference and 1.96 of its standard deviations on each
    side; the value is the limit that is farther from 0. The components are mean and limits.
    """

    def of_moments(self, found: Moments) -> float:
        return max(abs(limit) for limit in self._limits(found)[1:])

    def components(self, rows: Rows) -> dict[str, float]:
        found = self._limits(merged(rows)) if len(rows) else (float("nan"),) * 3
        return dict(zip(("mean", "lower limit", "upper limit"), found, strict=True))

    def _limits(self, found: Moments) -> tuple[float, float, float]:
        mean = found.x - found.y
        width = 1.96 * float(np.sqrt(ratio(found.difference, max(found.count - 1, 0))))
        return mean, mean - width, mean + width
