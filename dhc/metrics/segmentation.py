"""Metrics of masks. Each sample's row has true positives, predicted and true elements by class."""

from __future__ import annotations

import numpy as np

from dhc.metrics.base import Array, Metric, Rows, metric, ratio, require, require_finite


class _Overlap(Metric):
    """The base: counts of elements of each class.

    Predictions are probabilities [N, C, ...]: with one channel what is at least `threshold` is the
    finding; with several the class with the largest one counts. Masks are of the same shape, or
    class numbers [N, ...]. With several classes, class 0 is the background and does not count.

    Attributes:
        threshold: For one channel.
        per_sample: Whether the mean over samples is taken, not the count over the whole set. A
            sample in which a class neither is nor is found has 1.
    """

    threshold: float = 0.5
    per_sample: bool = False

    def rows(self, prediction: Array, truth: Array) -> Rows:
        require_finite(self.name, prediction)
        require(prediction.ndim >= 3, f"'{self.name}' needs masks [N, C, ...].")
        found, own = self._masks(prediction, truth)
        axes = tuple(range(2, found.ndim))
        counts = [(found & own).sum(axes), found.sum(axes), own.sum(axes)]
        return np.stack(counts, -1).astype(np.float64)

    def _masks(self, prediction: Array, truth: Array) -> tuple[Array, Array]:
        classes = prediction.shape[1]
        flat = (len(prediction), *prediction.shape[2:])
        if classes == 1:
            fits = truth.shape in (prediction.shape, flat)
            require(fits, f"'{self.name}' has a mask {truth.shape} for {prediction.shape}.")
            return prediction >= self.threshold, truth.reshape(prediction.shape) >= 0.5
        if truth.shape == prediction.shape:
            truth = truth.argmax(1)
        require(truth.shape == flat, f"'{self.name}' has a mask {truth.shape}.")
        fits = bool(np.all((truth >= 0) & (truth < classes)))
        require(fits, f"'{self.name}' has elements of no class from 0 to {classes - 1}.")
        numbers = np.arange(1, classes).reshape(-1, *[1] * (truth.ndim - 1))
        return prediction.argmax(1)[:, None] == numbers, truth[:, None] == numbers

    def of_counts(self, both: Rows, found: Rows, own: Rows) -> Rows:
        """Returns the metric from counts; NaN where both masks are empty."""
        raise NotImplementedError

    def _per_class(self, rows: Rows) -> Rows:
        if not self.per_sample:
            return self.of_counts(*np.moveaxis(rows.sum(0), -1, 0))
        each = self.of_counts(*np.moveaxis(rows, -1, 0))
        return np.asarray(np.nan_to_num(each, nan=1.0).mean(0), np.float64)

    def value(self, rows: Rows) -> float:
        if not len(rows):
            return float("nan")
        found = self._per_class(rows)
        known = found[~np.isnan(found)]
        return float(known.mean()) if len(known) else float("nan")

    def components(self, rows: Rows) -> dict[str, float]:
        first = 0 if rows.shape[1] == 1 else 1
        return {str(first + k): float(v) for k, v in enumerate(self._per_class(rows))}


@metric("dice")
class Dice(_Overlap):
    """Twice the overlap over the sum of both areas (Dice, 1945)."""

    def of_counts(self, both: Rows, found: Rows, own: Rows) -> Rows:
        return ratio(2 * both, found + own)


@metric("iou")
class Iou(_Overlap):
    """The overlap over the area of both together (Jaccard, 1912)."""

    def of_counts(self, both: Rows, found: Rows, own: Rows) -> Rows:
        return ratio(both, found + own - both)


@metric("volume_difference", better="lower")
class VolumeDifference(_Overlap):
    """How far the predicted area is from the true one, as a share of it."""

    def of_counts(self, both: Rows, found: Rows, own: Rows) -> Rows:
        return ratio(np.abs(found - own), own)
