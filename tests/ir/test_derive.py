"""Derivatives against finite differences in f64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dhc.ir.derive import derive
from dhc.ir.evaluate import evaluate
from dhc.ir.scalar import (
    Scalar,
    Var,
    cast,
    clamp,
    cos,
    erf,
    exp,
    fma,
    log,
    maximum,
    minimum,
    power,
    select,
    sin,
    sqrt,
    tanh,
)
from dhc.ir.types import DType

X, Y = Var("x", DType.F64), Var("y", DType.F64)

FUNCTIONS: dict[str, Callable[[], Scalar]] = {
    "polynomial": lambda: 3 * X * X * Y - X / Y + (X - 2 * Y),
    "exp": lambda: exp(-X * Y),
    "log": lambda: log(X * X + Y),
    "tanh": lambda: tanh(X) * Y,
    "erf": lambda: erf(X * Y),
    "sqrt": lambda: sqrt(X * X + 1),
    "sin": lambda: sin(X) * cos(X * Y),
    "power": lambda: power(abs(X) + 0.5, Y),
    "extremes": lambda: maximum(X, Y) * minimum(X, 0.3) + clamp(X, -0.4, 0.9),
    "select": lambda: select(X > 0.2, X * X, -X),
    "fma": lambda: fma(X, X * Y, X),
    "abs": lambda: abs(X) * X,
    "cast": lambda: cast(X * X, DType.F64) / (1 + exp(-X)),
    "gelu": lambda: 0.5 * X * (1 + erf(X / 1.4142135623730951)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivative_matches_differences(name: str) -> None:
    expression = FUNCTIONS[name]()
    random = np.random.default_rng(3)
    x, y = random.uniform(-2, 2, 200), random.uniform(0.5, 2, 200)
    step = 1e-6
    above = evaluate(expression, {X: x + step, Y: y})
    below = evaluate(expression, {X: x - step, Y: y})
    expected = (above - below) / (2 * step)
    slope = np.broadcast_to(evaluate(derive(expression, X), {X: x, Y: y}), x.shape)
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-7)


def test_ties_go_to_the_left() -> None:
    at = {X: np.array(1.0), Y: np.array(1.0)}
    assert evaluate(derive(maximum(X, Y), X), at) == 1
    assert evaluate(derive(maximum(Y, X), X), at) == 0
    assert evaluate(derive(minimum(X, Y), X), at) == 1
    assert evaluate(derive(abs(X), X), {X: np.array(0.0)}) == 0


def test_bit_operations_have_no_derivative() -> None:
    with pytest.raises(TypeError, match="derivative"):
        derive(X ^ X, X)
