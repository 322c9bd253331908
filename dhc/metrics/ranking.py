"""Metrics of scores that do not depend on a threshold. Rows are the scores, then the truths."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from dhc.metrics.base import Array, Metric, Rows, metric, ratio, require, require_finite


class _Ranking(Metric):
    """The base: a score and a truth, 0 or 1, for each sample and class.

    Predictions are [N], [N, 1] or [N, C]; the truth is of the same shape, or class numbers [N] for
    [N, C], each class against the rest. The value is the mean over classes that have both.
    """

    def rows(self, prediction: Array, truth: Array) -> Rows:
        require_finite(self.name, prediction)
        scores = prediction.reshape(len(prediction), -1).astype(np.float64)
        wanted = truth.reshape(len(truth), -1)
        require(len(scores) == len(wanted), f"'{self.name}' has {len(wanted)} truths.")
        if wanted.shape[1] == 1 and scores.shape[1] > 1:
            fits = bool(np.all((wanted >= 0) & (wanted < scores.shape[1])))
            require(fits, f"'{self.name}' has truths that are no class.")
            wanted = wanted == np.arange(scores.shape[1])
        require(wanted.shape == scores.shape, f"'{self.name}' has a truth {truth.shape}.")
        require(
            bool(np.all((wanted == 0) | (wanted == 1))), f"'{self.name}' has truths not 0 or 1."
        )
        if scores.shape[1] == 2 and truth.reshape(len(truth), -1).shape[1] == 1:
            scores, wanted = scores[:, 1:], wanted[:, 1:]  # one of two classes says it all
        return np.concatenate([scores, wanted.astype(np.float64)], 1)

    def of_class(self, scores: Rows, truth: Rows) -> float:
        """Returns the metric of one class; NaN where it has only one kind of truth."""
        raise NotImplementedError

    def value(self, rows: Rows) -> float:
        found = np.array(list(self.components(rows).values()))
        known = found[~np.isnan(found)]
        return float(known.mean()) if len(known) else float("nan")

    def components(self, rows: Rows) -> dict[str, float]:
        classes = rows.shape[1] // 2
        return {str(c): self.of_class(rows[:, c], rows[:, classes + c]) for c in range(classes)}


@metric("auc")
class Auc(_Ranking):
    """The area under the ROC curve: how often a finding scores above none; ties count half.

    (Hanley and McNeil, 1982.)
    """

    def of_class(self, scores: Rows, truth: Rows) -> float:
        positive = int(truth.sum())
        negative = len(truth) - positive
        if not positive or not negative:
            return float("nan")
        _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
        ends = np.cumsum(counts)
        ranks = (ends - (counts - 1) / 2)[place]
        total = float(ranks[truth == 1].sum()) - positive * (positive + 1) / 2
        return total / (positive * negative)


@metric("average_precision")
class AveragePrecision(_Ranking):
    """The area under the curve of precision over recall, as the sum of its steps."""

    curve: ClassVar[str] = "precision over recall"

    def of_class(self, scores: Rows, truth: Rows) -> float:
        positive = truth.sum()
        if not positive:
            return float("nan")
        order = np.argsort(-scores, kind="stable")
        last = np.append(np.diff(scores[order]) != 0, True)
        hits = np.cumsum(truth[order])[last]
        precision = ratio(hits, np.flatnonzero(last) + 1)
        recall = hits / positive
        return float(np.sum(np.diff(recall, prepend=0.0) * precision))
