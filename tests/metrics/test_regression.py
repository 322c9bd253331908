"""Metrics of numbers and pictures, held to scikit-learn, scipy and formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import pearsonr
from sklearn.metrics import mean_absolute_error, mean_squared_error

from dhc.errors import ArgumentError
from dhc.ir.graph import Array
from dhc.metrics import Metric
from dhc.metrics.agreement import BlandAltman, Icc, Pearson
from dhc.metrics.images import Psnr, Ssim
from dhc.metrics.regression import MeanAbsoluteError, MeanSquaredError, RelativeError

RANDOM = np.random.default_rng(3)
TRUTH = RANDOM.normal(2, 1, (15, 3))
PREDICTION = 0.8 * TRUTH + RANDOM.normal(0.3, 0.4, (15, 3))


def value(metric: Metric, prediction: Array, truth: Array) -> float:
    return metric.value(metric.rows(prediction, truth))


def test_errors() -> None:
    found = value(MeanAbsoluteError(), PREDICTION, TRUTH)
    assert found == pytest.approx(mean_absolute_error(TRUTH, PREDICTION))
    found = value(MeanSquaredError(), PREDICTION, TRUTH)
    assert found == pytest.approx(mean_squared_error(TRUTH, PREDICTION))
    expected = np.abs(PREDICTION - TRUTH).sum() / np.abs(TRUTH).sum()
    assert value(RelativeError(), PREDICTION, TRUTH) == pytest.approx(expected)


def test_axes_of_one_may_be_missing() -> None:
    found = value(MeanAbsoluteError(), PREDICTION[:, :1], TRUTH[:, 0])
    assert found == pytest.approx(mean_absolute_error(TRUTH[:, 0], PREDICTION[:, 0]))
    with pytest.raises(ArgumentError, match=r"predictions \(15, 3\) and truths \(15, 1, 2\)"):
        value(MeanAbsoluteError(), PREDICTION, TRUTH[:, None, :2])
    with pytest.raises(ArgumentError, match="predictions"):  # as many elements, but others
        value(MeanAbsoluteError(), np.zeros((2, 3, 4)), np.zeros((2, 4, 3)))


# ---- agreement ---------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1e7])
def test_correlation_far_from_0_too(offset: float) -> None:
    prediction, truth = PREDICTION + offset, TRUTH + offset
    expected = pearsonr(PREDICTION.ravel(), TRUTH.ravel()).statistic
    assert value(Pearson(), prediction, truth) == pytest.approx(expected, rel=1e-7)
    assert np.isnan(value(Pearson(), np.ones((4, 1)), TRUTH[:4, :1]))


def mean_squares(x: Array, y: Array) -> tuple[float, float, float, float]:
    """Between subjects, within subjects, between raters, residual: two-way, one cell each."""
    table = np.stack([x.ravel(), y.ravel()], 1)
    n, k = table.shape
    grand = table.mean()
    total = ((table - grand) ** 2).sum()
    subjects = k * ((table.mean(1) - grand) ** 2).sum()
    raters = n * ((table.mean(0) - grand) ** 2).sum()
    residual = total - subjects - raters
    within = (total - subjects) / (n * (k - 1))
    return subjects / (n - 1), within, raters / (k - 1), residual / ((n - 1) * (k - 1))


def test_intraclass_correlation_by_analysis_of_variance() -> None:
    n = TRUTH.size
    between, within, raters, residual = mean_squares(PREDICTION, TRUTH)
    expected = {
        "1,1": (between - within) / (between + within),
        "2,1": (between - residual) / (between + residual + 2 * (raters - residual) / n),
        "3,1": (between - residual) / (between + residual),
        "1,k": (between - within) / between,
        "2,k": (between - residual) / (between + (raters - residual) / n),
        "3,k": (between - residual) / between,
    }
    found = {form: value(Icc(form), PREDICTION, TRUTH) for form in expected}  # type: ignore[arg-type]
    assert found == pytest.approx(expected)


def test_an_offset_counts_only_where_it_should() -> None:
    assert value(Icc("3,1"), TRUTH + 5, TRUTH) == pytest.approx(1)
    assert value(Icc("2,1"), TRUTH + 5, TRUTH) < 0.2
    assert value(Icc(), TRUTH, TRUTH) == pytest.approx(1)


def test_limits_of_agreement() -> None:
    difference = (PREDICTION - TRUTH).ravel()
    width = 1.96 * difference.std(ddof=1)
    mean = difference.mean()
    metric = BlandAltman()
    rows = metric.rows(PREDICTION, TRUTH)
    expected = {"mean": mean, "lower limit": mean - width, "upper limit": mean + width}
    assert metric.components(rows) == pytest.approx(expected)
    assert metric.value(rows) == pytest.approx(max(abs(mean - width), abs(mean + width)))


# ---- pictures ----------------------------------------------------------------------------------

PICTURES = RANDOM.uniform(size=(3, 2, 17, 20))
NOISY = np.clip(PICTURES + RANDOM.normal(0, 0.1, PICTURES.shape), 0, 1)


def test_peak_signal_to_noise() -> None:
    errors = ((NOISY - PICTURES) ** 2).reshape(3, -1).mean(1)
    expected = np.mean(10 * np.log10(1 / errors))
    assert value(Psnr(), NOISY, PICTURES) == pytest.approx(expected)
    assert value(Psnr(255.0), 255 * NOISY, 255 * PICTURES) == pytest.approx(expected)
    assert value(Psnr(), PICTURES, PICTURES) == np.inf


def similarity(x: Array, y: Array, peak: float) -> float:
    """The published formula for one channel, with scipy's filter."""

    def mean(z: Array) -> Array:
        inner = tuple(slice(5, -5) for _ in z.shape)
        return np.asarray(gaussian_filter(z, 1.5, radius=5)[inner])

    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mx, my = mean(x), mean(y)
    vx, vy, xy = mean((x) ** 2) - mx**2, mean(y**2) - my**2, mean(x * y) - mx * my
    top = (2 * mx * my + c1) * (2 * xy + c2)
    return float(np.mean(top / ((mx**2 + my**2 + c1) * (vx + vy + c2))))


@pytest.mark.parametrize("peak", [1.0, 4.0])
def test_structural_similarity(peak: float) -> None:
    expected = np.mean([similarity(NOISY[n, c], PICTURES[n, c], peak) for n, c in np.ndindex(3, 2)])
    assert value(Ssim(peak), NOISY, PICTURES) == pytest.approx(expected, rel=1e-9)
    assert value(Ssim(peak), PICTURES, PICTURES) == pytest.approx(1)


def test_structural_similarity_of_volumes() -> None:
    x, y = RANDOM.uniform(size=(2, 1, 1, 12, 13, 14))
    found = value(Ssim(), x, y)
    assert found == pytest.approx(similarity(x[0, 0], y[0, 0], 1.0), rel=1e-9)


def test_pictures_smaller_than_the_window_are_refused() -> None:
    with pytest.raises(ArgumentError, match="at least 11 elements"):
        Ssim().rows(NOISY[..., :10], PICTURES[..., :10])
    with pytest.raises(ArgumentError, match="needs pictures"):
        Ssim().rows(NOISY, PICTURES[:2])
    with pytest.raises(ValueError, match="'peak' must be positive"):
        Ssim(0.0)
