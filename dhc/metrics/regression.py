"""Metrics of numbers. Rows hold sums over the elements of a sample."""

from __future__ import annotations

import numpy as np

from dhc.metrics.base import Array, Metric, Rows, metric, ratio, require, require_finite


def pairs(name: str, prediction: Array, truth: Array) -> tuple[Rows, Rows]:
    """Returns prediction and truth with the elements of each sample in a row, [N, elements].

    Raises:
        ArgumentError: if they are not of the same size, or if there are no elements.
    """
    require_finite(name, prediction)
    shapes = f"'{name}' has predictions {prediction.shape} and truths {truth.shape}."
    require(prediction.ndim > 0 and truth.ndim > 0, shapes)
    # A trailing or channel axis of one may be missing on one side; others must agree.
    own, other = ([s for s in a.shape[1:] if s != 1] for a in (prediction, truth))
    require(len(prediction) == len(truth) and own == other, shapes)
    shape = (len(prediction), int(np.prod(own, dtype=np.int64)))
    return prediction.reshape(shape).astype(np.float64), truth.reshape(shape).astype(np.float64)


class _Errors(Metric):
    """The base: a sum of errors, and how many there are."""

    def errors(self, prediction: Rows, truth: Rows) -> Rows:
        """Returns the error of each element."""
        raise NotImplementedError

    def rows(self, prediction: Array, truth: Array) -> Rows:
        x, y = pairs(self.name, prediction, truth)
        each = self.errors(x, y)
        return np.stack([each.sum(1), np.full(len(each), each.shape[1])], 1).astype(np.float64)

    def value(self, rows: Rows) -> float:
        total, count = rows.sum(0) if len(rows) else (0.0, 0.0)
        return float(ratio(total, count))


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
        x, y = pairs(self.name, prediction, truth)
        return np.stack([np.abs(x - y).sum(1), np.abs(y).sum(1)], 1)

    def value(self, rows: Rows) -> float:
        return float(ratio(*rows.sum(0))) if len(rows) else float("nan")
