"""Intervals: what they are made of, that they cover, and that they stay the same."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.metrics import Bootstrap, interval
from dhc.metrics.classification import Accuracy
from dhc.metrics.ranking import Auc
from dhc.metrics.regression import MeanAbsoluteError

RANDOM = np.random.default_rng(6)


def rows_of(values: np.ndarray) -> np.ndarray:
    return MeanAbsoluteError().rows(values, np.zeros(len(values)))


def test_interval_of_a_mean_is_about_that_of_the_normal_distribution() -> None:
    values = RANDOM.uniform(size=400)
    found = interval(MeanAbsoluteError(), rows_of(values), how=Bootstrap(0.9, 2000))
    half = 1.645 * values.std() / np.sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert found.level == 0.9


def test_patients_are_drawn_whole() -> None:
    """Ten equal samples of each patient say no more than one of each."""
    values = RANDOM.uniform(size=30)
    patients = [f"p{k}" for k in range(30) for _ in range(10)]
    many = interval(MeanAbsoluteError(), rows_of(np.repeat(values, 10)), patients)
    once = interval(MeanAbsoluteError(), rows_of(values), [f"p{k}" for k in range(30)])
    alone = interval(MeanAbsoluteError(), rows_of(np.repeat(values, 10)))
    assert (many.low, many.high) == pytest.approx((once.low, once.high))
    assert alone.high - alone.low < 0.5 * (many.high - many.low)


def test_patients_may_have_any_number_of_samples_in_any_order() -> None:
    values = np.array([0.0, 1.0, 0.0, 0.0])
    # Draws of two patients: a quarter has 0, a quarter has 1, and half has both, which is 1/4.
    for level, ends in ((0.4, (0.25, 0.25)), (0.6, (0.0, 1.0))):
        how = Bootstrap(level)
        found = interval(MeanAbsoluteError(), rows_of(values), ["a", "b", "a", "a"], how)
        assert (found.low, found.high) == ends


def test_the_ends_are_pinned() -> None:
    """Bits of Philox, not numpy's distributions, decide; these numbers must never change."""
    values = np.arange(20.0) ** 2
    found = interval(MeanAbsoluteError(), rows_of(values), seed=5)
    again = interval(MeanAbsoluteError(), rows_of(values), seed=5)
    other = interval(MeanAbsoluteError(), rows_of(values), seed=6)
    assert found == again != other
    assert (found.low, found.high) == (78.1, 176.95)


def test_no_interval_where_there_is_nothing_to_draw() -> None:
    rows = rows_of(np.arange(4.0))
    for found in (
        interval(MeanAbsoluteError(), rows, ["only"] * 4),
        interval(MeanAbsoluteError(), rows[:1]),
        interval(MeanAbsoluteError(), rows, how=Bootstrap(draws=0)),
    ):
        assert np.isfinite(found.value)
        assert np.isnan([found.low, found.high]).all()
    assert np.isnan(interval(Accuracy(), np.zeros((0, 3))).value)


def test_draws_that_determine_nothing_do_not_count() -> None:
    """With one finding among six, a third of the draws has none."""
    rows = Auc().rows(np.arange(6.0), np.array([0, 0, 0, 1, 0, 0]))
    found = interval(Auc(), rows)
    assert 0 <= found.low <= found.value <= found.high <= 1
    single = Auc().rows(np.arange(6.0), np.zeros(6))
    assert np.isnan(interval(Auc(), single).low)


def test_intervals_have_a_level_and_a_number_of_draws() -> None:
    with pytest.raises(ValueError, match="a level between 0 and 1, not 95"):
        Bootstrap(level=95)
    with pytest.raises(ValueError, match="cannot be negative"):
        Bootstrap(draws=-1)
