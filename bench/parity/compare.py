"""Whether two ways of training give the same quality: paired intervals over several seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dhc.metrics.base import Array, Counts, Metric, Rows
from dhc.metrics.bootstrap import Interval, interval
from dhc.metrics.paired import difference


@dataclass(frozen=True)
class OverSeeds(Metric):
    """The mean over seeds of a metric; rows are [samples, seeds, ...].

    Attributes:
        inner: The metric.
        component: One number of several, such as that of a class; the value if empty.
    """

    inner: Metric
    component: str = ""

    def rows(self, prediction: Array, truth: Array) -> Rows:
        raise NotImplementedError("rows of several runs are put together by `stacked`")

    def value(self, rows: Rows) -> float:
        return self.counted(rows)(np.ones(len(rows), np.int64))

    def counted(self, rows: Rows) -> Callable[[Counts], float]:
        if self.component:
            return lambda counts: self._components(np.repeat(rows, counts, axis=0))
        each = [self.inner.counted(rows[:, seed]) for seed in range(rows.shape[1])]
        return lambda counts: float(np.mean([measure(counts) for measure in each]))

    def _components(self, rows: Rows) -> float:
        seeds = range(rows.shape[1])
        return float(np.mean([self.inner.components(rows[:, s])[self.component] for s in seeds]))


def stacked(runs: Sequence[Rows]) -> Rows:
    """Returns the rows of runs with several seeds as [samples, seeds, ...]."""
    return np.stack(runs, axis=1)


def compare(
    metric: Metric,
    component: str,
    ours: Sequence[Rows],
    theirs: Sequence[Rows],
    groups: Sequence[str] | None,
) -> tuple[Interval, Interval, Interval]:
    """Returns our metric, theirs, and ours less theirs, each a mean over seeds."""
    whole = OverSeeds(metric, component)
    one, other = stacked(ours), stacked(theirs)
    return (
        interval(whole, one, groups),
        interval(whole, other, groups),
        difference(whole, one, other, groups),
    )
