"""Metrics of numbers and images. Rows hold sums over the elements of a sample."""

from __future__ import annotations

import numpy as np

from dhc.metrics.base import Array, Metric, Rows, metric, ratio, require, require_finite


class _Errors(Metric):
    """The base: a sum of errors, and how many there are."""

    def errors(self, prediction: Rows, truth: Rows) -> Rows:
        """Returns the error of each element."""
        raise NotImplementedError

    def rows(self, prediction: Array, truth: Array) -> Rows:
        x, y = _pairs(self.name, prediction, truth)
        each = self.errors(x, y)
        return np.stack([each.sum(1), np.full(len(each), each.shape[1])], 1).astype(np.float64)

    def value(self, rows: Rows) -> float:
        total, count = rows.sum(0) if len(rows) else (0.0, 0.0)
        return float(ratio(total, count))


def _pairs(name: str, prediction: Array, truth: Array) -> tuple[Rows, Rows]:
    require_finite(name, prediction)
    fits = prediction.size == truth.size and len(prediction) == len(truth)
    require(fits, f"'{name}' has predictions {prediction.shape} and truths {truth.shape}.")
    shape = (len(prediction), -1)
    return prediction.reshape(shape).astype(np.float64), truth.reshape(shape).astype(np.float64)


@metric("mae", better="lower")
class MeanAbsoluteError(_Errors):
    """The mean distance from the truth."""

    def errors(self, prediction: Rows, truth: Rows) -> Rows:
        return np.abs(prediction - truth)


@metric("mse", better="lower")
class MeanSquaredError(_Errors):
    """The mean squared distance from the truth."""

    def errors(self, prediction: Rows, truth: Rows) -> Rows:
        return np.square(prediction - truth)


@metric("relative_error", better="lower")
class RelativeError(Metric):
    """The sum of distances from the truth over the sum of the truth's sizes."""

    def rows(self, prediction: Array, truth: Array) -> Rows:
        x, y = _pairs(self.name, prediction, truth)
        return np.stack([np.abs(x - y).sum(1), np.abs(y).sum(1)], 1)

    def value(self, rows: Rows) -> float:
        return float(ratio(*rows.sum(0))) if len(rows) else float("nan")


@metric("pearson")
class Pearson(Metric):
    """The correlation of predictions and truths over all elements."""

    def rows(self, prediction: Array, truth: Array) -> Rows:
        x, y = _pairs(self.name, prediction, truth)
        parts = (np.full_like(x, 1.0), x, y, x * x, y * y, x * y)
        return np.stack([part.sum(1) for part in parts], 1)

    def value(self, rows: Rows) -> float:
        n, x, y, xx, yy, xy = rows.sum(0) if len(rows) else np.zeros(6)
        spread = np.sqrt(max(n * xx - x * x, 0.0) * max(n * yy - y * y, 0.0))
        return float(ratio(n * xy - x * y, spread))


@metric("psnr")
class Psnr(Metric):
    """The peak signal over the root mean squared error, in decibels, as a mean over samples."""

    peak: float = 1.0

    def rows(self, prediction: Array, truth: Array) -> Rows:
        x, y = _pairs(self.name, prediction, truth)
        mean: Rows = np.square(x - y).mean(1)
        return mean[:, None]

    def value(self, rows: Rows) -> float:
        if not len(rows):
            return float("nan")
        with np.errstate(divide="ignore"):
            return float(np.mean(10 * np.log10(self.peak**2 / rows[:, 0])))
