"""Metrics of class predictions. Each sample's row is its class and the predicted one."""

from __future__ import annotations

from typing import Literal

import numpy as np

from dhc.metrics.base import Array, Metric, Rows, metric, ratio, require, require_finite

Average = Literal["macro", "micro"]


def class_pairs(name: str, prediction: Array, truth: Array) -> tuple[Array, Array, int]:
    """Returns true and predicted class of each sample, and how many classes there are.

    Args:
        name: Of the metric, for messages.
        prediction: Scores [N, C], or probabilities of class 1 as [N] or [N, 1].
        truth: Class numbers [N] or [N, 1], or one-hot [N, C].
    """
    require_finite(name, prediction)
    require(prediction.ndim in (1, 2), f"'{name}' needs scores [N, C], not {prediction.shape}.")
    binary = prediction.ndim == 1 or prediction.shape[1] == 1
    chosen = prediction.reshape(-1) >= 0.5 if binary else prediction.argmax(1)
    classes = 2 if binary else prediction.shape[1]
    if truth.ndim == 2 and truth.shape[1] > 1:
        require(truth.shape == prediction.shape, f"'{name}' has a truth {truth.shape}.")
        truth = truth.argmax(1)
    truth = truth.reshape(-1)
    require(
        len(truth) == len(chosen), f"'{name}' has {len(chosen)} predictions, {len(truth)} truths."
    )
    fits = bool(np.all((truth >= 0) & (truth < classes) & (truth == np.floor(truth))))
    require(fits, f"'{name}' has truths that are no class from 0 to {classes - 1}.")
    return truth.astype(np.int64), chosen.astype(np.int64), classes


def confusion_matrix(rows: Rows) -> Rows:
    """Returns counts [true class, predicted class] from rows (true, predicted, classes)."""
    classes = int(rows[0, 2]) if len(rows) else 0
    flat = rows[:, 0].astype(np.int64) * classes + rows[:, 1].astype(np.int64)
    counts = np.bincount(flat, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.float64)


class _Classes(Metric):
    """The base: rows are (true class, predicted class, number of classes)."""

    def rows(self, prediction: Array, truth: Array) -> Rows:
        own, chosen, classes = class_pairs(self.name, prediction, truth)
        return np.stack([own, chosen, np.full(len(own), classes)], 1).astype(np.float64)


@metric("accuracy")
class Accuracy(_Classes):
    """The share of samples whose class is right."""

    def value(self, rows: Rows) -> float:
        return float(np.mean(rows[:, 0] == rows[:, 1])) if len(rows) else float("nan")


class _PerClass(_Classes):
    """The base of metrics that each class has."""

    def per_class(self, counts: Rows) -> Rows:
        """Returns the metric of each class; NaN where a class does not determine it."""
        raise NotImplementedError

    def value(self, rows: Rows) -> float:
        found = self.per_class(confusion_matrix(rows))
        known = found[~np.isnan(found)]
        return float(known.mean()) if len(known) else float("nan")

    def components(self, rows: Rows) -> dict[str, float]:
        found = self.per_class(confusion_matrix(rows))
        return {str(number): float(value) for number, value in enumerate(found)}


@metric("balanced_accuracy")
class BalancedAccuracy(_PerClass):
    """The mean over classes of the share that is found; classes without samples do not count."""

    def per_class(self, counts: Rows) -> Rows:
        return ratio(np.diag(counts), counts.sum(1))


@metric("precision")
class Precision(_PerClass):
    """The share of the samples given to a class that belong to it, averaged over classes.

    A class that nothing was given to counts as 0, if it has samples.
    """

    def per_class(self, counts: Rows) -> Rows:
        return _zero_where_empty(np.diag(counts), counts.sum(0), counts.sum(1))


@metric("recall")
class Recall(_PerClass):
    """The share of the samples of a class that are given to it, averaged over classes."""

    def per_class(self, counts: Rows) -> Rows:
        return ratio(np.diag(counts), counts.sum(1))


@metric("f1")
class F1(_PerClass):
    """The harmonic mean of precision and recall, averaged over classes."""

    def per_class(self, counts: Rows) -> Rows:
        return ratio(2 * np.diag(counts), counts.sum(0) + counts.sum(1))


def _zero_where_empty(part: Array, whole: Array, samples: Array) -> Rows:
    found = ratio(part, whole)
    return np.where((whole == 0) & (samples > 0), 0.0, found)


class _Binary(_Classes):
    """The base of metrics of two classes, of which 1 is the finding."""

    def counts(self, rows: Rows) -> Rows:
        found = confusion_matrix(rows)
        require(found.shape in ((0, 0), (2, 2)), f"'{self.name}' is for two classes.")
        return found if found.size else np.zeros((2, 2))


@metric("sensitivity")
class Sensitivity(_Binary):
    """The share of findings that are found."""

    def value(self, rows: Rows) -> float:
        found = self.counts(rows)
        return float(ratio(found[1, 1], found[1].sum()))


@metric("specificity")
class Specificity(_Binary):
    """The share of samples without a finding for which none is given."""

    def value(self, rows: Rows) -> float:
        found = self.counts(rows)
        return float(ratio(found[0, 0], found[0].sum()))


@metric("kappa")
class Kappa(_Classes):
    """Agreement beyond chance (Cohen, 1960), with weights for how far classes are apart."""

    weights: Literal["none", "linear", "quadratic"] = "none"

    def value(self, rows: Rows) -> float:
        counts = confusion_matrix(rows)
        total = counts.sum()
        if not total:
            return float("nan")
        apart = np.abs(np.subtract.outer(np.arange(len(counts)), np.arange(len(counts))))
        cost = {"none": apart > 0, "linear": apart, "quadratic": apart**2}[self.weights]
        expected = np.outer(counts.sum(1), counts.sum(0)) / total
        return float(1 - ratio((cost * counts).sum(), (cost * expected).sum()))


@metric("top_k")
class TopK(Metric):
    """The share of samples whose class is among the `k` with the largest scores."""

    k: int = 5

    def rows(self, prediction: Array, truth: Array) -> Rows:
        own, _, classes = class_pairs(self.name, prediction, truth)
        require(
            prediction.ndim == 2 and 0 < self.k <= classes, f"'{self.name}' needs {self.k} scores."
        )
        rank = (prediction > np.take_along_axis(prediction, own[:, None], 1)).sum(1)
        hit: Rows = (rank < self.k).astype(np.float64)
        return hit[:, None]

    def value(self, rows: Rows) -> float:
        return float(rows.mean()) if len(rows) else float("nan")


@metric("confusion")
class Confusion(_Classes):
    """The table of true and predicted classes; its value is the share on the diagonal."""

    def value(self, rows: Rows) -> float:
        counts = confusion_matrix(rows)
        return float(ratio(np.trace(counts), counts.sum()))

    def components(self, rows: Rows) -> dict[str, float]:
        counts = confusion_matrix(rows)
        return {f"{i} as {j}": float(counts[i, j]) for i, j in np.ndindex(*counts.shape)}
