"""Differences of a metric between two models on the same samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dhc.metrics.base import Metric, Rows, require
from dhc.metrics.bootstrap import Bootstrap, Interval, draw_counts, percentiles


def difference(
    metric: Metric,
    first: Rows,
    second: Rows,
    groups: Sequence[str] | None = None,
    how: Bootstrap | None = None,
    seed: int = 0,
) -> Interval:
    """Returns the metric of the first rows less that of the second, with its interval.

    Both are drawn together, so what makes a sample hard for both does not widen the interval.

    Args:
        metric: What to compute.
        first: Rows of one model.
        second: Rows of the other, on the same samples in the same order.
        groups: For each sample what it belongs to; groups are drawn whole. Samples if not given.
        how: The level, and how many draws.
        seed: Decides the draws.

    Raises:
        ArgumentError: if the rows are not of as many samples.
    """
    require(len(first) == len(second), "A difference needs two models on the same samples.")
    how = how or Bootstrap()
    one, other = metric.counted(first), metric.counted(second)
    whole = np.ones(len(first), np.int64)
    found = [one(own) - other(own) for own in draw_counts(len(first), groups, how.draws, seed)]
    return percentiles(one(whole) - other(whole), np.array(found), how)
