"""Draws: their distributions, and that they follow from raw bits alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dhc.ir.graph import Distribution, Initializer, Param
from dhc.ir.types import DType, Tensor
from dhc.runtime.draws import Draws, _log, orthogonal
from dhc.runtime.parameters import initial_values

COUNT = 200_000
UNIFORM = [0.7546464938977104, 0.477285166521889]
NORMAL = [1.6315317980391622, -0.1455349827890789]
FANS = {"fan_in": 30, "fan_out": 20}
VARIANCES: dict[Distribution, float] = {
    "glorot_uniform": 2 / 50,
    "glorot_normal": 2 / 50,
    "he_uniform": 2 / 30,
    "he_normal": 2 / 30,
    "lecun_uniform": 1 / 30,
    "lecun_normal": 1 / 30,
    "truncated_normal": 0.3**2 * 0.773741,  # of a normal cut at two deviations
}


def _drawn(kind: Distribution, shape: tuple[int, ...], value: float = 0.0) -> np.ndarray:
    start = Initializer(kind, value, **FANS)
    return initial_values([Param("w", Tensor(DType.F64, shape), start)], 4)["w"].astype(np.float64)


@pytest.mark.parametrize("kind", VARIANCES)
def test_mean_and_variance(kind: Distribution) -> None:
    values = _drawn(kind, (400, 500), 0.3)
    deviation = math.sqrt(VARIANCES[kind])
    assert abs(values.mean()) < 5 * deviation / math.sqrt(COUNT)
    assert values.var() == pytest.approx(VARIANCES[kind], rel=0.015)
    if kind.endswith("uniform"):
        assert np.abs(values).max() <= math.sqrt(3) * deviation
    elif kind == "truncated_normal":
        assert 0.59 < np.abs(values).max() <= 0.6
    else:
        assert np.abs(values).max() > 4 * deviation


def test_normal_numbers_are_distributed_normally() -> None:
    """The largest distance from the distribution function (Kolmogorov and Smirnov)."""
    values = np.sort(Draws("a").normal(COUNT))
    expected = np.array([0.5 * (1 + math.erf(x / math.sqrt(2))) for x in values[::20]])
    distance = np.abs(expected - np.arange(0, COUNT, 20) / COUNT).max()
    assert distance < 1.6 / math.sqrt(COUNT)


def test_neighbours_are_independent() -> None:
    values = Draws("b").normal(COUNT)
    for lag in (1, 2, 3):
        assert abs(np.mean(values[lag:] * values[:-lag])) < 5 / math.sqrt(COUNT)


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (12, 12), (8, 4, 3, 3), (64, 2, 3, 3)])
def test_orthogonal_weights(shape: tuple[int, ...]) -> None:
    """Units are orthogonal and of the norm asked for; columns, where there are too many units."""
    matrix = _drawn("orthogonal", shape, 1.5).reshape(shape[0], -1)
    product = matrix @ matrix.T if shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, 2.25 * np.eye(len(product)), atol=1e-12)


def test_orthogonal_matrices_turn_either_way() -> None:
    """Without the signs of the decomposition, the diagonal would be mostly negative."""
    diagonals = [
        np.diagonal(orthogonal(Draws(str(k)).normal(16).reshape(4, 4))) for k in range(200)
    ]
    assert abs(np.mean(np.sign(diagonals))) < 0.15


def test_constants() -> None:
    assert np.all(_drawn("constant", (3, 4), 0.25) == 0.25)


def test_draws_are_those_that_were_always_drawn() -> None:
    assert Draws("0:a").uniform(2).tolist() == UNIFORM
    assert Draws("0:a").normal(2).tolist() == NORMAL


def test_the_logarithm() -> None:
    x = np.concatenate([Draws("c").uniform(5000) + 1e-300, 2.0 ** -np.arange(200.0)])
    x = np.concatenate([x, 1 - 2.0 ** -np.arange(1, 53)])
    exact = np.log(x)
    assert np.all(np.abs(_log(x) - exact) <= 1e-15 * np.maximum(np.abs(exact), 1e-15))
