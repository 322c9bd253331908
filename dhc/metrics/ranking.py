"""Metrics of scores that do not depend on a threshold. Rows are the scores, then the truths."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dhc.metrics.base import (
    Array,
    Counts,
    Metric,
    Rows,
    mean_of_known,
    metric,
    ratio,
    require,
    require_finite,
)

Measure = Callable[[Counts], float]
NEAR_ONE = 1e-3  # how far the sum of shares may be from 1


def probabilities(scores: Rows) -> Rows:
    """Returns scores [N, C] of classes that exclude each other as shares of 1.

    Rows that are shares already stay as they are; others, such as logits, become their softmax.
    The score of one class alone would not rank samples: it says nothing without the others.
    """
    shares = (scores.min(1) >= 0) & (np.abs(scores.sum(1) - 1) < NEAR_ONE)
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return np.where(shares[:, None], scores, powers / powers.sum(1, keepdims=True))


class _Ranking(Metric):
    """The base: a score and a truth, 0 or 1, for each sample and class.

    Predictions are [N], [N, 1] or [N, C]; the truth is of the same shape, or class numbers [N] for
    [N, C], each class against the rest; scores of classes that exclude each other are ranked as
    `probabilities`. The value is the mean over classes that have both.
    """

    def rows(self, prediction: Array, truth: Array) -> Rows:
        require_finite(self.name, prediction)
        scores = prediction.reshape(len(prediction), -1).astype(np.float64)
        wanted = truth.reshape(len(truth), -1)
        require(len(scores) == len(wanted), f"'{self.name}' has {len(wanted)} truths.")
        by_number = wanted.shape[1] == 1 and scores.shape[1] > 1
        if by_number:
            numbers = np.arange(scores.shape[1])
            fits = bool(np.all(np.isin(wanted, numbers)))
            require(fits, f"'{self.name}' has truths that are no class.")
            scores, wanted = probabilities(scores), wanted == numbers
        require(wanted.shape == scores.shape, f"'{self.name}' has a truth {truth.shape}.")
        zero_or_one = bool(np.all((wanted == 0) | (wanted == 1)))
        require(zero_or_one, f"'{self.name}' has truths not 0 or 1.")
        if by_number and scores.shape[1] == 2:
            scores, wanted = scores[:, 1:], wanted[:, 1:]  # one of two classes says it all
        return np.concatenate([scores, wanted.astype(np.float64)], 1)

    def of_class(self, scores: Rows, truth: Rows) -> Measure:
        """Returns the metric of one class for any counts of samples; there is at least one.

        It is NaN where the samples have only one kind of truth.
        """
        raise NotImplementedError

    def _classes(self, rows: Rows) -> list[Measure]:
        classes = rows.shape[1] // 2 if len(rows) else 0
        return [self.of_class(rows[:, c], rows[:, classes + c]) for c in range(classes)]

    def counted(self, rows: Rows) -> Measure:
        """Sorts once for all draws."""
        classes = self._classes(rows)
        return lambda counts: mean_of_known(np.array([each(counts) for each in classes]))

    def value(self, rows: Rows) -> float:
        return self.counted(rows)(np.ones(len(rows), np.int64))

    def components(self, rows: Rows) -> dict[str, float]:
        once = np.ones(len(rows), np.int64)
        return {str(c): each(once) for c, each in enumerate(self._classes(rows))}


class _Steps:
    """Samples in steps of equal scores, the largest first.

    Args:
        scores, truth: Of each sample; at least one.
    """

    def __init__(self, scores: Rows, truth: Rows) -> None:
        self._order = np.argsort(-scores, kind="stable")
        self._truth = truth[self._order].astype(np.int64)
        changes = np.diff(scores[self._order]) != 0
        self._starts = np.append(0, np.flatnonzero(changes) + 1)

    def counts(self, counts: Counts) -> tuple[Counts, Counts]:
        """Returns the findings of each step, and its other samples."""
        own = counts[self._order]
        both = np.add.reduceat(own, self._starts)
        findings = np.add.reduceat(own * self._truth, self._starts)
        return findings, both - findings


@metric("auc")
class Auc(_Ranking):
    """The area under the ROC curve: how often a finding scores above none; ties count half.

    (Hanley and McNeil, 1982.)
    """

    def of_class(self, scores: Rows, truth: Rows) -> Measure:
        steps = _Steps(scores, truth)

        def measure(counts: Counts) -> float:
            findings, others = steps.counts(counts)
            below = others.sum() - np.cumsum(others)
            wins = float(np.sum(findings * (below + others / 2)))
            return float(ratio(wins, float(findings.sum()) * float(others.sum())))

        return measure


@metric("average_precision")
class AveragePrecision(_Ranking):
    """The area under the curve of precision over recall, as the sum of its steps (PR AUC)."""

    def of_class(self, scores: Rows, truth: Rows) -> Measure:
        steps = _Steps(scores, truth)

        def measure(counts: Counts) -> float:
            findings, others = steps.counts(counts)
            hits = np.cumsum(findings)
            precision = hits / np.maximum(np.cumsum(findings + others), 1)
            return float(ratio(np.sum(findings * precision), findings.sum()))

        return measure
