"""Whether two ways of training give the same quality: paired intervals over several seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.parity.ours import Trained
from dhc.ir.graph import Array
from dhc.metrics.base import Counts, Metric, Rows
from dhc.metrics.bootstrap import Interval, interval
from dhc.metrics.paired import difference


@dataclass(frozen=True)
class Judged:
    """What is compared.

    Attributes:
        metric: The metric.
        component: One number of several, such as that of a class; the value if empty.
    """

    metric: Metric
    component: str = ""

    def value(self, rows: Rows) -> float:
        """Returns the number for the rows of some samples."""
        own = self.metric
        return own.components(rows)[self.component] if self.component else own.value(rows)


@dataclass(frozen=True)
class OverSeeds(Metric):
    """The mean over seeds of a metric; rows are [samples, seeds, ...]."""

    judged: Judged

    def rows(self, prediction: Array, truth: Array) -> Rows:
        raise NotImplementedError("rows of several runs are put together by `stacked`")

    def value(self, rows: Rows) -> float:
        return self.counted(rows)(np.ones(len(rows), np.int64))

    def counted(self, rows: Rows) -> Callable[[Counts], float]:
        seeds = range(rows.shape[1])
        if not self.judged.component:
            each = [self.judged.metric.counted(rows[:, seed]) for seed in seeds]
            return lambda counts: float(np.mean([measure(counts) for measure in each]))

        def of_component(counts: Counts) -> float:
            drawn = np.repeat(rows, counts, axis=0)
            return float(np.mean([self.judged.value(drawn[:, seed]) for seed in seeds]))

        return of_component


def compare(
    judged: Judged, runs: Mapping[str, Sequence[Trained]], groups: Sequence[str] | None
) -> dict[str, Interval]:
    """Returns what `dhc` and `torch` are worth as a mean over seeds, and the `difference`.

    `together` is what one prediction is worth that is the mean of those of all seeds of dhc.
    """
    whole = OverSeeds(judged)
    ours, theirs = (_stacked(judged.metric, runs[kind]) for kind in ("dhc", "torch"))
    together = judged.metric.rows(_together(runs["dhc"]), runs["dhc"][0].truths)[:, None]
    return {
        "dhc": interval(whole, ours, groups),
        "torch": interval(whole, theirs, groups),
        "difference": difference(whole, ours, theirs, groups),
        "together": interval(whole, together, groups),
    }


def _stacked(metric: Metric, runs: Sequence[Trained]) -> Rows:
    """The rows of runs with several seeds as [samples, seeds, ...]."""
    return np.stack([metric.rows(run.predictions, run.truths) for run in runs], axis=1)


def _together(runs: Sequence[Trained]) -> Array:
    """The mean of probabilities: of masks as they are, of classes as logits again."""
    each = np.stack([run.predictions for run in runs]).astype(np.float64)
    if each.ndim > 3:
        return np.asarray(each.mean(0), np.float32)
    shifted = np.exp(each - each.max(-1, keepdims=True))
    mean = (shifted / shifted.sum(-1, keepdims=True)).mean(0)
    return np.asarray(np.log(np.maximum(mean, 1e-30)), np.float32)
