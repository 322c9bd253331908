"""Metrics of class predictions. Each sample's row is its class and the predicted one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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

Average = Literal["macro", "micro", "binary"]


def class_pairs(
    name: str, prediction: Array, truth: Array, threshold: float = 0.5
) -> tuple[Array, Array, int]:
    """Returns true and predicted class of each sample, and how many classes there are.

    Args:
        name: Of the metric, for messages.
        prediction: Scores [N, C], or probabilities of class 1 as [N] or [N, 1].
        truth: Class numbers [N] or [N, 1], or one-hot [N, C].
        threshold: From where on a probability means class 1.
    """
    require_finite(name, prediction)
    require(prediction.ndim in (1, 2), f"'{name}' needs scores [N, C], not {prediction.shape}.")
    binary = prediction.ndim == 1 or prediction.shape[1] == 1
    if binary:
        require_probabilities(name, prediction, threshold)
    chosen = prediction.reshape(-1) >= threshold if binary else prediction.argmax(1)
    classes = 2 if binary else prediction.shape[1]
    if truth.ndim == 2 and truth.shape[1] > 1:
        require(truth.shape == prediction.shape, f"'{name}' has a truth {truth.shape}.")
        truth = truth.argmax(1)
    truth = truth.reshape(-1)
    counts = f"'{name}' has {len(chosen)} predictions, {len(truth)} truths."
    require(len(truth) == len(chosen), counts)
    fits = bool(np.all((truth >= 0) & (truth < classes) & (truth == np.floor(truth))))
    require(fits, f"'{name}' has truths that are no class from 0 to {classes - 1}.")
    return truth.astype(np.int64), chosen.astype(np.int64), classes


def confusion_matrix(rows: Rows) -> Rows:
    """Returns counts [true class, predicted class] from rows (true, predicted, classes)."""
    classes = int(rows[0, 2]) if len(rows) else 0
    flat = rows[:, 0].astype(np.int64) * classes + rows[:, 1].astype(np.int64)
    counts = np.bincount(flat, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.float64)


@dataclass(frozen=True)
class _Classes(Metric):
    """The base: rows are (true class, predicted class, number of classes).

    Attributes:
        threshold: From where on one probability means class 1; with several scores the largest
            one decides.
    """

    threshold: float = 0.5

    def rows(self, prediction: Array, truth: Array) -> Rows:
        own, chosen, classes = class_pairs(self.name, prediction, truth, self.threshold)
        return np.stack([own, chosen, np.full(len(own), classes)], 1).astype(np.float64)


@metric("accuracy")
class Accuracy(_Classes):
    """The share of samples whose class is right."""

    def value(self, rows: Rows) -> float:
        return float(np.mean(rows[:, 0] == rows[:, 1])) if len(rows) else float("nan")


@metric("confusion")
class Confusion(_Classes):
    """The table of true and predicted classes; its value is the share on the diagonal."""

    def value(self, rows: Rows) -> float:
        counts = confusion_matrix(rows)
        return float(ratio(np.trace(counts), counts.sum()))

    def components(self, rows: Rows) -> dict[str, float]:
        counts = confusion_matrix(rows)
        return {f"{i} as {j}": float(counts[i, j]) for i, j in np.ndindex(*counts.shape)}


@metric("balanced_accuracy")
class BalancedAccuracy(_Classes):
    """The mean over classes of the share that is found; classes without samples do not count."""

    def value(self, rows: Rows) -> float:
        return mean_of_known(self._found(rows))

    def components(self, rows: Rows) -> dict[str, float]:
        return _by_number(self._found(rows))

    def _found(self, rows: Rows) -> Rows:
        counts = confusion_matrix(rows)
        return ratio(np.diag(counts), counts.sum(1))


# ---- precision, recall and what is made of them ------------------------------------------------


@dataclass(frozen=True)
class _PerClass(_Classes):
    """The base of metrics that each class has, in terms of right, given and true samples.

    A class that neither has samples nor is given to any does not count; one with a whole of 0 that
    does has 0.

    Attributes:
        average: `macro` is the mean over classes, `micro` counts all classes together, `binary` is
            class 1 of two.
    """

    average: Average = "macro"

    def of_counts(self, right: Rows, given: Rows, true: Rows) -> tuple[Rows, Rows]:
        """Returns the part, and the whole that it is a share of, for each class."""
        raise NotImplementedError

    def value(self, rows: Rows) -> float:
        counts = confusion_matrix(rows)
        if self.average == "micro":
            part, whole = self.of_counts(np.diag(counts), counts.sum(0), counts.sum(1))
            return float(ratio(part.sum(), whole.sum()))
        found = self._per_class(rows)
        if self.average == "macro":
            return mean_of_known(found)
        require(len(found) in (0, 2), f"'{self.name}' with average=binary is for two classes.")
        return float(found[1]) if len(found) else float("nan")

    def components(self, rows: Rows) -> dict[str, float]:
        return _by_number(self._per_class(rows))

    def _per_class(self, rows: Rows) -> Rows:
        counts = confusion_matrix(rows)
        given, true = counts.sum(0), counts.sum(1)
        found = ratio(*self.of_counts(np.diag(counts), given, true))
        return np.where(np.isnan(found) & (given + true > 0), 0.0, found)


@metric("precision")
class Precision(_PerClass):
    """The share of the samples given to a class that belong to it."""

    def of_counts(self, right: Rows, given: Rows, true: Rows) -> tuple[Rows, Rows]:
        return right, given


@metric("recall")
class Recall(_PerClass):
    """The share of the samples of a class that are given to it."""

    def of_counts(self, right: Rows, given: Rows, true: Rows) -> tuple[Rows, Rows]:
        return right, true


@metric("f1")
class F1(_PerClass):
    """The harmonic mean of precision and recall."""

    def of_counts(self, right: Rows, given: Rows, true: Rows) -> tuple[Rows, Rows]:
        return 2 * right, given + true


def _by_number(found: Rows) -> dict[str, float]:
    return {str(number): float(value) for number, value in enumerate(found)}


# ---- two classes -------------------------------------------------------------------------------


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


# ---- others ------------------------------------------------------------------------------------


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
    """The share of samples whose class is among the `k` with the largest scores.

    Of equal scores, those of the classes with smaller numbers count as larger.
    """

    k: int = 5

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError("'k' must be at least 1.")

    def rows(self, prediction: Array, truth: Array) -> Rows:
        enough = prediction.ndim == 2 and self.k <= prediction.shape[1] > 1
        require(enough, f"'{self.name}' needs {self.k} scores, not {prediction.shape}.")
        own, _, classes = class_pairs(self.name, prediction, truth)
        score = np.take_along_axis(prediction, own[:, None], 1)
        earlier = np.arange(classes) < own[:, None]
        rank = ((prediction > score) | ((prediction == score) & earlier)).sum(1)
        hit: Rows = (rank < self.k).astype(np.float64)
        return hit[:, None]

    def value(self, rows: Rows) -> float:
        return float(rows.mean()) if len(rows) else float("nan")
