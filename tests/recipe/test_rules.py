"""Penalties and constraints, held to the formulas of Keras and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.errors import ArgumentError
from dhc.ir.graph import Array, Input
from dhc.ir.types import DType, Tensor
from dhc.ops.base import run
from dhc.recipe.constraints import CONSTRAINTS, Constraint
from dhc.recipe.penalties import L1, L2, PENALTIES, Penalise

WEIGHT = np.random.default_rng(3).normal(0, 1.5, (4, 3, 2, 2))
WEIGHT[1] = 0
UNITS = (1, 2, 3)  # the axes that lead into a unit


def apply(constraint: Constraint, value: Array) -> Array:
    node = Input("w", Tensor(DType.F64, value.shape))()
    return np.asarray(run([constraint(node)], {"w": value})[0])


def norms(value: Array, axes: tuple[int, ...] = UNITS) -> Array:
    return np.sqrt(np.sum(value**2, axes, keepdims=True))


def gradient(penalty: L1 | L2) -> Array:
    node = Input("w", Tensor(DType.F64, WEIGHT.shape))()
    return np.asarray(run([penalty.gradient(node)], {"w": WEIGHT})[0])


def loss(penalty: L1 | L2, value: Array) -> float:
    """As Keras adds it."""
    if isinstance(penalty, L1):
        return float(penalty.amount * np.sum(np.abs(value)))
    return float(penalty.amount * np.sum(value**2))


@pytest.mark.parametrize("penalty", [L1(0.3), L2(0.02)])
def test_a_penalty_adds_the_gradient_of_its_loss(penalty: L1 | L2) -> None:
    found = gradient(penalty)
    for place in [(0, 0, 0, 0), (2, 1, 1, 0), (3, 2, 0, 1)]:
        moved = np.zeros_like(WEIGHT)
        moved[place] = 1e-6
        slope = (loss(penalty, WEIGHT + moved) - loss(penalty, WEIGHT - moved)) / 2e-6
        assert found[place] == pytest.approx(slope, rel=1e-6)
    assert not found[1].any()  # flat at 0


def test_both_penalties_add_up_for_what_they_name() -> None:
    type = Tensor(DType.F64, WEIGHT.shape)
    w, g, b = (Input(name, type)() for name in "wgb")
    both = Penalise(((L1(0.3), frozenset({"a"})), (L2(0.02), frozenset({"a", "b"}))))
    found = both({"a": w, "b": w}, {"a": g, "b": b})
    values = {"w": WEIGHT, "g": WEIGHT + 1, "b": WEIGHT + 2}
    of_a, of_b = run([found["a"], found["b"]], values)
    np.testing.assert_allclose(of_a, WEIGHT + 1 + gradient(L1(0.3)) + gradient(L2(0.02)))
    np.testing.assert_allclose(of_b, WEIGHT + 2 + gradient(L2(0.02)))


def test_max_norm() -> None:
    found = apply(CONSTRAINTS["max_norm"](2.0), WEIGHT)  # type: ignore[call-arg]
    own = norms(WEIGHT)
    assert own.max() > 2 > norms(WEIGHT)[1].max()
    np.testing.assert_allclose(found, WEIGHT * np.clip(own, 0, 2) / (1e-7 + own))
    assert norms(found).max() == pytest.approx(2.0)


@pytest.mark.parametrize("rate", [1.0, 0.3])
def test_min_max_norm(rate: float) -> None:
    constraint = CONSTRAINTS["min_max_norm"](4.0, 5.0, rate)  # type: ignore[call-arg]
    own = norms(WEIGHT)
    wanted = rate * np.clip(own, 4, 5) + (1 - rate) * own
    np.testing.assert_allclose(apply(constraint, WEIGHT), WEIGHT * wanted / (1e-7 + own))


def test_unit_norm() -> None:
    found = apply(CONSTRAINTS["unit_norm"](), WEIGHT)
    np.testing.assert_allclose(found, WEIGHT / (1e-7 + norms(WEIGHT)))


def test_units_may_lie_along_another_axis() -> None:
    found = apply(CONSTRAINTS["unit_norm"](axis=1), WEIGHT)  # type: ignore[call-arg]
    np.testing.assert_allclose(found, WEIGHT / (1e-7 + norms(WEIGHT, (0, 2, 3))))


def test_the_norm_of_a_vector_is_that_of_all() -> None:
    vector = np.array([3.0, -4.0])
    np.testing.assert_allclose(apply(CONSTRAINTS["unit_norm"](), vector), vector / 5, rtol=1e-6)


def test_non_negative() -> None:
    found = apply(CONSTRAINTS["non_negative"](), WEIGHT)
    np.testing.assert_array_equal(found, WEIGHT * (WEIGHT >= 0) + 0.0)


def test_bounds_without_a_meaning_are_refused() -> None:
    with pytest.raises(ArgumentError, match="'max_norm' needs bounds"):
        CONSTRAINTS["max_norm"](0.0)  # type: ignore[call-arg]
    with pytest.raises(ArgumentError, match="'min_max_norm' needs bounds"):
        CONSTRAINTS["min_max_norm"](2.0, 1.0)  # type: ignore[call-arg]
    with pytest.raises(ArgumentError, match="'rate'"):
        CONSTRAINTS["min_max_norm"](0.0, 1.0, 0.0)  # type: ignore[call-arg]
    with pytest.raises(ArgumentError, match="at least 0"):
        PENALTIES["l1"](-1.0)
