"""Intervals of metrics by drawing samples again, whole patients at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dhc.metrics.base import Metric, Rows


@dataclass(frozen=True)
class Interval:
    """A value with its interval; NaN where too few draws determine it."""

    value: float
    low: float
    high: float
    level: float = 0.95


def interval(
    metric: Metric,
    rows: Rows,
    groups: Sequence[str] | None = None,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """Returns a metric with its percentile interval (Efron, 1979).

    Args:
        metric: What to compute.
        rows: Of all samples.
        groups: For each sample what it belongs to; groups are drawn whole. Samples if not given.
        level: The share of draws inside the interval.
        draws: How many.
        seed: Decides the draws.
    """
    names = np.arange(len(rows)) if groups is None else np.unique(groups, return_inverse=True)[1]
    order = np.argsort(names, kind="stable")
    edges = np.flatnonzero(np.diff(names[order])) + 1
    members = np.split(order, edges) if len(rows) else []
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(draws if members else 0):
        drawn = generator.integers(0, len(members), len(members))
        chosen = drawn if groups is None else np.concatenate([members[k] for k in drawn])
        found.append(metric.value(rows[chosen]))
    known = np.array([value for value in found if not np.isnan(value)])
    if len(known) < draws / 2 or not len(known):
        return Interval(metric.value(rows), float("nan"), float("nan"), level)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(metric.value(rows), float(low), float(high), level)
