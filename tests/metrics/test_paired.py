"""Two models on the same samples: the interval of their difference."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.errors import ArgumentError
from dhc.metrics import METRICS
from dhc.metrics.bootstrap import Bootstrap, interval
from dhc.metrics.paired import difference

MAE = METRICS["mae"]()


def _rows(errors: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return MAE.rows(errors[:, None], np.zeros((len(errors), 1)))


def test_what_is_hard_for_both_does_not_widen_the_interval() -> None:
    random = np.random.default_rng(0)
    hard = random.exponential(1, 300)
    first, second = _rows(hard), _rows(hard + 0.05 + random.normal(0, 0.01, 300))
    found = difference(MAE, second, first)
    alone = interval(MAE, first)
    assert 0.045 < found.low < found.value < found.high < 0.055
    assert alone.high - alone.low > 10 * (found.high - found.low)


def test_a_model_does_not_differ_from_itself() -> None:
    rows = _rows(np.random.default_rng(1).normal(size=50))
    found = difference(MAE, rows, rows, how=Bootstrap(draws=50))
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_groups_are_drawn_whole() -> None:
    errors = np.repeat(np.random.default_rng(2).normal(size=20), 30)
    groups = [f"p{k // 30}" for k in range(600)]
    rows, other = _rows(errors), _rows(np.zeros(600))
    alone, grouped = difference(MAE, rows, other), difference(MAE, rows, other, groups)
    assert grouped.high - grouped.low > 3 * (alone.high - alone.low)


def test_both_need_the_same_samples() -> None:
    with pytest.raises(ArgumentError, match="same samples"):
        difference(MAE, _rows(np.zeros(3)), _rows(np.zeros(4)))
