"""Metrics of masks: how much they overlap, and how far their surfaces are apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dhc.metrics.base import (
    Array,
    Metric,
    Rows,
    mean_of_known,
    metric,
    ratio,
    require,
    require_finite,
    require_probabilities,
)
from dhc.metrics.grid import Mask, bounding_box, distances, surface


@dataclass(frozen=True)
class _Masks(Metric):
    """The base of what compares masks, class by class.

    Predictions are probabilities [N, C, ...]: with one channel what is at least `threshold` is the
    finding; with several the class with the largest one counts. Masks are of the same shape, or
    class numbers [N, ...]. With several classes, class 0 is the background and does not count.

    Attributes:
        threshold: For one channel.
    """

    threshold: float = 0.5

    def masks(self, prediction: Array, truth: Array) -> tuple[Mask, Mask]:
        """Returns predicted and true elements of each class that counts, [N, classes, ...]."""
        require_finite(self.name, prediction)
        require(prediction.ndim >= 3, f"'{self.name}' needs masks [N, C, ...].")
        flat = (len(prediction), *prediction.shape[2:])
        classes = prediction.shape[1]
        if classes == 1:
            require_probabilities(self.name, prediction, self.threshold)
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


def by_class(found: Rows) -> dict[str, float]:
    """Returns numbers by class; one that stands alone is 0, else 0 is the background."""
    first = 0 if len(found) == 1 else 1
    return {str(first + k): float(value) for k, value in enumerate(found)}


# ---- overlap -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Overlap(_Masks):
    """The base: a row has true positives, predicted and true elements of each class.

    Attributes:
        per_sample: Whether the mean over samples is taken, not the count over the whole set. A
            sample in which a class neither is nor is found has the value of a right one.
    """

    per_sample: bool = False

    def rows(self, prediction: Array, truth: Array) -> Rows:
        found, own = self.masks(prediction, truth)
        axes = tuple(range(2, found.ndim))
        counts = [(found & own).sum(axes), found.sum(axes), own.sum(axes)]
        return np.stack(counts, -1).astype(np.float64)

    def of_counts(self, both: Rows, found: Rows, own: Rows) -> Rows:
        """Returns the metric from counts; NaN where both masks are empty."""
        raise NotImplementedError

    def _per_class(self, rows: Rows) -> Rows:
        if not self.per_sample:
            return self.of_counts(*np.moveaxis(rows.sum(0), -1, 0))
        each = self.of_counts(*np.moveaxis(rows, -1, 0))
        right = 1.0 if self.better == "higher" else 0.0
        return np.asarray(np.nan_to_num(each, nan=right, posinf=np.inf).mean(0), np.float64)

    def value(self, rows: Rows) -> float:
        return mean_of_known(self._per_class(rows)) if len(rows) else float("nan")

    def components(self, rows: Rows) -> dict[str, float]:
        return by_class(self._per_class(rows)) if len(rows) else {}


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


# ---- surfaces ----------------------------------------------------------------------------------


@metric("hausdorff", better="lower")
class Hausdorff(_Masks):
    """The distance within which most of each surface lies from the other, as a mean over samples.

    It is the larger one of two percentiles: of the distances of the predicted surface's elements
    from the true surface, and the other way round (Huttenlocher et al., 1993). A surface is what
    has a neighbour across a face that is outside. Where both masks are empty the distance is 0;
    where one is, it is the picture's diagonal, the largest there is. Components are the mean of
    each class, and for how many samples one of the masks was empty.

    Attributes:
        percentile: 100 is the distance of Hausdorff itself.
        spacing: The size of an element along each axis, such as millimetres [D, H, W]; 1 if empty.
    """

    percentile: float = 95.0
    spacing: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.percentile <= 100:
            raise ValueError("'percentile' must lie between 0 and 100.")
        if not all(size > 0 for size in self.spacing):
            raise ValueError("'spacing' must be positive.")

    def rows(self, prediction: Array, truth: Array) -> Rows:
        """Returns, for each sample and class, the distance and whether one mask is empty."""
        found, own = self.masks(prediction, truth)
        axes = found.ndim - 2
        spacing = self.spacing or (1.0,) * axes
        require(len(spacing) == axes, f"'{self.name}' needs a spacing of {axes} numbers.")
        flat = (-1, *found.shape[2:])
        each = zip(found.reshape(flat), own.reshape(flat), strict=True)
        rows = [self._distance(one, other, spacing) for one, other in each]
        return np.array(rows, np.float64).reshape(*found.shape[:2], 2)

    def _distance(self, found: Mask, own: Mask, spacing: tuple[float, ...]) -> tuple[float, bool]:
        if not found.any() or not own.any():
            empty = bool(found.any() or own.any())
            diagonal = np.linalg.norm((np.array(found.shape) - 1) * spacing)
            return float(diagonal) if empty else 0.0, empty
        box = bounding_box(found | own)
        one, other = surface(found)[box], surface(own)[box]
        ways = (distances(other, one, spacing), distances(one, other, spacing))
        return max(float(np.percentile(way, self.percentile)) for way in ways), False

    def value(self, rows: Rows) -> float:
        return float(rows[..., 0].mean()) if rows.size else float("nan")

    def components(self, rows: Rows) -> dict[str, float]:
        if not len(rows):
            return {}
        empty = by_class(rows[..., 1].sum(0))
        means = by_class(rows[..., 0].mean(0))
        return {**means, **{f"{name} empty": count for name, count in empty.items()}}
