"""Intervals of metrics by drawing samples again, whole patients at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dhc.metrics.base import Counts, Metric, Rows


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are found.

    Attributes:
        level: The share of draws inside an interval.
        draws: How many; none for no intervals.

    Raises:
        ValueError: if there are no such intervals.
    """

    level: float = 0.95
    draws: int = 1000

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"An interval has a level between 0 and 1, not {self.level:g}.")
        if self.draws < 0:
            raise ValueError("The number of draws cannot be negative.")


INTERVALS: dict[str, type[Bootstrap]] = {"bootstrap": Bootstrap}


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
    how: Bootstrap | None = None,
    seed: int = 0,
) -> Interval:
    """Returns a metric with its percentile interval (Efron, 1979).

    Args:
        metric: What to compute.
        rows: Of all samples.
        groups: For each sample what it belongs to; groups are drawn whole. Samples if not given.
        how: The level, and how many draws.
        seed: Decides the draws.

    Returns:
        The ends are values of draws. There are none if the draws are, if there is only one group,
        or if half of the draws do not determine the metric.
    """
    how = how or Bootstrap()
    measure = metric.counted(rows)
    value = measure(np.ones(len(rows), np.int64))
    found = [measure(counts) for counts in draw_counts(len(rows), groups, how.draws, seed)]
    return percentiles(value, np.array(found), how)


def percentiles(value: float, found: Rows, how: Bootstrap) -> Interval:
    """Returns a value with the interval of what draws found; NaN where they do not determine it."""
    known = found[~np.isnan(found)]
    if not len(known) or len(known) < how.draws / 2:
        return Interval(value, float("nan"), float("nan"), how.level)
    ends = [(1 - how.level) / 2, (1 + how.level) / 2]
    low, high = np.quantile(known, ends, method="inverted_cdf")
    return Interval(value, float(low), float(high), how.level)


def draw_counts(
    samples: int, groups: Sequence[str] | None, draws: int, seed: int
) -> Iterator[Counts]:
    """Yields how often each sample is drawn.

    The draws are raw bits, because numpy promises those to stay the same in all its versions.
    """
    member = np.arange(samples)
    if groups is not None:
        member = np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(member.max()) + 1 if samples else 0
    digest = hashlib.sha256(f"bootstrap {seed}".encode()).digest()
    philox = np.random.Philox(key=int.from_bytes(digest[:16], "little"))
    for _ in range(draws if count > 1 else 0):
        bits = philox.random_raw(count) >> np.uint64(32)
        drawn = (bits * np.uint64(count) >> np.uint64(32)).astype(np.int64)
        yield np.bincount(drawn, minlength=count)[member]
