"""Inverse and hyperbolic functions against numpy, relative to the exact result."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from dhc.ir.evaluate import evaluate
from dhc.ir.scalar import Var
from dhc.ir.types import DType
from dhc.lower.expand_math import expand_math
from dhc.ops.base import Elementwise, operators

Doubles = NDArray[np.float64]

# For each: the exact function, and the lowest and highest size of its arguments.
FUNCTIONS: dict[str, tuple[Callable[[Doubles], Doubles], float, float]] = {
    "tan": (np.tan, 1e-30, 1.57),
    "sinh": (np.sinh, 1e-30, 88.7),
    "cosh": (np.cosh, 1e-30, 88.7),
    "asin": (np.arcsin, 1e-18, 1.0),
    "acos": (np.arccos, 1e-18, 1.0),
    "atan": (np.arctan, 1e-18, 1e30),
    "asinh": (np.arcsinh, 1e-18, 1e38),
    "acosh": (np.arccosh, 1.0, 1e38),
    "atanh": (np.arctanh, 1e-18, 0.9999),
}


def _value(name: str, x: NDArray[np.floating], dtype: DType) -> NDArray[np.floating]:
    operator = operators[name]
    assert issubclass(operator, Elementwise)
    variable = Var("x", dtype)
    with np.errstate(all="ignore"):
        return np.asarray(evaluate(expand_math(operator().scalar(variable)), {variable: x}))


def _arguments(low: float, high: float) -> Doubles:
    sizes = np.concatenate([np.geomspace(low, high, 4000), np.linspace(low, min(high, 2), 4000)])
    return sizes if low == 1 else np.concatenate([-sizes, sizes])


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("dtype", "bound"), [(DType.F32, 1e-6), (DType.F64, 1e-14)])
def test_relative_error_is_bounded(name: str, dtype: DType, bound: float) -> None:
    exact, low, high = FUNCTIONS[name]
    x = _arguments(low, high).astype(dtype.numpy)
    with np.errstate(all="ignore"):
        expected = exact(x.astype(np.float64))
    np.testing.assert_allclose(_value(name, x, dtype), expected, rtol=bound)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [DType.F32, DType.F64])
def test_special_values(name: str, dtype: DType) -> None:
    x = np.array([0, 1, -1, 1.5, -1.5, np.inf, -np.inf, np.nan], dtype.numpy)
    with np.errstate(all="ignore"):
        expected = FUNCTIONS[name][0](x.astype(np.float64))
    np.testing.assert_allclose(_value(name, x, dtype), expected, rtol=1e-6)
