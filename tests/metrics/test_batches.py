"""Every metric is exact over a data set, whatever its batches were."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhc.ir.graph import Array
from dhc.metrics import METRICS, join_rows

SAMPLES = 11
Data = tuple[Array, Array]


def _classes() -> Data:
    random = np.random.default_rng(0)
    return random.dirichlet(np.ones(6), SAMPLES), random.integers(0, 6, SAMPLES)


def _finding() -> Data:
    random = np.random.default_rng(0)
    return random.uniform(size=SAMPLES), random.integers(0, 2, SAMPLES)


def _pictures() -> Data:
    random = np.random.default_rng(0)
    scores, truth = random.uniform(size=(2, SAMPLES, 1, 12, 13))
    return np.where(scores > 0.7, scores, 0.0), np.where(truth > 0.8, 1.0, 0.0)


def _words() -> Data:
    random = np.random.default_rng(0)
    found: Array = random.integers(-1, 4, (2, SAMPLES, 12))
    found[:, :, 0] = 1
    return found[0], found[1]


DATA: dict[str, Callable[[], Data]] = {
    "bleu": _words, "sensitivity": _finding, "specificity": _finding,
    **dict.fromkeys(
        ("dice", "iou", "volume_difference", "hausdorff", "froc", "mae", "mse", "relative_error",
         "pearson", "icc", "bland_altman", "psnr", "ssim"), _pictures,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(METRICS))
@given(cuts=st.sets(st.integers(1, SAMPLES - 1)))
@settings(max_examples=12, deadline=None)
def test_any_batches_give_the_same_value(name: str, cuts: set[int]) -> None:
    metric = METRICS[name]()
    prediction, truth = DATA.get(name, _classes)()
    whole = metric.rows(prediction, truth)
    edges = [0, *sorted(cuts), SAMPLES]
    parts = [metric.rows(prediction[a:b], truth[a:b]) for a, b in itertools.pairwise(edges)]
    joined = join_rows(parts)
    assert len(joined) == SAMPLES
    assert np.isfinite(metric.value(whole))
    np.testing.assert_array_equal(metric.value(joined), metric.value(whole))
    exact = pytest.approx(metric.components(whole), rel=0, abs=0, nan_ok=True)
    assert metric.components(joined) == exact


@pytest.mark.parametrize("name", sorted(METRICS))
def test_counts_stand_for_repeated_samples(name: str) -> None:
    """What intervals are made of."""
    metric = METRICS[name]()
    rows = metric.rows(*DATA.get(name, _classes)())
    counts = np.random.default_rng(1).integers(0, 3, SAMPLES)
    expected = metric.value(np.repeat(rows, counts, axis=0))
    assert metric.counted(rows)(counts) == pytest.approx(expected, rel=1e-12)


def test_lists_of_any_length_are_joined() -> None:
    joined = join_rows([np.ones((1, 2, 3)), np.zeros((2, 2, 1)), np.zeros((0, 2, 0))])
    assert joined.shape == (3, 2, 3)
    np.testing.assert_array_equal(joined[0], 1)
    np.testing.assert_array_equal(joined[1:, :, 0], 0)
    assert np.isnan(joined[1:, :, 1:]).all()
