"""Metrics of pictures. Each sample's row is one number, and the value is the mean over samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dhc.metrics.base import Array, Metric, Rows, metric, require, require_finite
from dhc.metrics.regression import pairs

WINDOW, SIGMA = 11, 1.5  # elements of the window, and its standard deviation
K1, K2 = 0.01, 0.03


@dataclass(frozen=True)
class _Pictures(Metric):
    """The base of metrics that know the range of values.

    Attributes:
        peak: The largest value that a picture can have, where the least is 0.
    """

    peak: float = 1.0

    def __post_init__(self) -> None:
        if not self.peak > 0:
            raise ValueError("'peak' must be positive.")


@metric("psnr")
class Psnr(_Pictures):
    """The peak signal over the root mean squared error, in decibels, as a mean over samples.

    It is infinite where a picture is exactly right.
    """

    def rows(self, prediction: Array, truth: Array) -> Rows:
        x, y = pairs(self.name, prediction, truth)
        mean: Rows = np.square(x - y).mean(1)
        return mean[:, None]

    def value(self, rows: Rows) -> float:
        if not len(rows):
            return float("nan")
        with np.errstate(divide="ignore"):
            return float(np.mean(10 * np.log10(self.peak**2 / rows[:, 0])))


@metric("ssim")
class Ssim(_Pictures):
    """Structural similarity (Wang et al., 2004) of [N, C, ...], as a mean over places and channels.

    The window is a Gaussian of 11 elements along each axis with a standard deviation of 1.5; only
    places where it lies inside the picture count.
    """

    def rows(self, prediction: Array, truth: Array) -> Rows:
        require_finite(self.name, prediction)
        fits = prediction.shape == truth.shape and prediction.ndim >= 3
        shapes = f"predictions {prediction.shape} and truths {truth.shape}"
        require(fits, f"'{self.name}' needs pictures [N, C, ...], not {shapes}.")
        large = all(size >= WINDOW for size in prediction.shape[2:])
        require(large, f"'{self.name}' needs at least {WINDOW} elements along each axis.")
        own = [self._similarity(x, y) for x, y in zip(prediction, truth, strict=True)]
        return np.array(own, np.float64).reshape(-1, 1)

    def _similarity(self, prediction: Array, truth: Array) -> float:
        x, y = prediction.astype(np.float64), truth.astype(np.float64)
        mean_x, mean_y = blurred(x), blurred(y)
        xx, yy, xy = (blurred(product) for product in (x * x, y * y, x * y))
        c1, c2 = (K1 * self.peak) ** 2, (K2 * self.peak) ** 2
        light = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
        spread = xx - mean_x**2 + yy - mean_y**2
        return float(np.mean(light * (2 * (xy - mean_x * mean_y) + c2) / (spread + c2)))

    def value(self, rows: Rows) -> float:
        return float(rows.mean()) if len(rows) else float("nan")


def blurred(picture: Rows) -> Rows:
    """Returns [C, ...] under the window, where it lies inside along every axis but the first."""
    places = np.arange(WINDOW) - (WINDOW - 1) / 2
    weights = np.exp(-(places**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    for axis in range(1, picture.ndim):
        windows = np.lib.stride_tricks.sliding_window_view(picture, WINDOW, axis)
        picture = windows @ weights
    return picture
