"""Our polynomials against float64, in units in the last place of the exact result."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dhc.ir.evaluate import evaluate
from dhc.ir.kernel import Assign, Declare, For, If, Kernel, Let, Statement, Store, statements
from dhc.ir.scalar import (
    Binary,
    BinaryFunction,
    Bitcast,
    Buffer,
    Cast,
    Const,
    Scalar,
    Unary,
    UnaryFunction,
    Var,
    exp,
    index,
    power,
    tanh,
    walk,
)
from dhc.ir.types import DType
from dhc.lower.expand_math import expand_math, expand_math_in_kernel

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

X, Y = Var("x", DType.F32), Var("y", DType.F32)
LARGEST = float(np.finfo(np.float32).max)
SPECIAL = np.array(
    [0.0, math.inf, math.nan, 1.0, 0.5, 2.0, 3.0, 1e-45, 1e-38, 2.0**-126, LARGEST, 88.72, 88.73,
     89.0, 87.3, 103.0, 103.97, 104.0, 150.0, 0.625, 0.92, 4.0, 10.0, 1e30],
    np.float32,
)  # fmt: skip
SPECIAL = np.concatenate([SPECIAL, -SPECIAL])


def _erf(x: Doubles) -> Doubles:
    return np.array([math.erf(v) for v in x])


FUNCTIONS: dict[str, tuple[Callable[[Doubles], Doubles], float, list[float]]] = {
    "exp": (np.exp, 2.0, [0.01, 1.0, 105.0]),
    "log": (np.log, 2.0, [0.1, 2.0, 1e4]),
    "tanh": (np.tanh, 4.0, [0.01, 0.7, 12.0]),
    "erf": (_erf, 4.0, [0.01, 1.0, 5.0]),
    "sin": (np.sin, 2.0, [0.01, 1.0, 10.0, 1e4]),
    "cos": (np.cos, 2.0, [0.01, 1.0, 10.0, 1e4]),
}


def units_off(result: Floats, exact: Doubles) -> Doubles:
    """The distance in units in the last place that an f32 near the exact value has."""
    with np.errstate(all="ignore"):
        _, exponent = np.frexp(np.abs(exact))
        unit = np.ldexp(1.0, np.maximum(exponent - 24, -149))
        off = np.abs(result.astype(np.float64) - exact) / unit
    too_large = np.abs(exact) > LARGEST * (1 + 2.0**-25)
    overflow = too_large & np.isinf(result) & (np.signbit(result) == np.signbit(exact))
    same = (result == exact) | (np.isnan(result) & np.isnan(exact))
    return np.where(same | overflow, 0.0, np.nan_to_num(off, nan=np.inf))


def _sample(name: str) -> Floats:
    random = np.random.default_rng(7)
    _, _, ranges = FUNCTIONS[name]
    dense = [np.linspace(-r, r, 20_001, dtype=np.float32) for r in ranges]
    drawn = [random.uniform(-r, r, 20_000).astype(np.float32) for r in ranges]
    patterns = random.integers(0, 2**32, 40_000, dtype=np.uint32).view(np.float32)
    if name in ("sin", "cos"):
        patterns = patterns[np.abs(patterns) <= 1e4]
    return np.concatenate([*dense, *drawn, patterns, SPECIAL])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_is_bounded(name: UnaryFunction) -> None:
    reference, bound, _ = FUNCTIONS[name]
    x = _sample(name)
    if name in ("sin", "cos"):
        x = x[(np.abs(x) <= 1e4) | ~np.isfinite(x)]
    result = evaluate(expand_math(Unary(name, X)), {X: x})
    with np.errstate(all="ignore"):
        off = units_off(result, reference(x.astype(np.float64)))
    assert off.max() <= bound, f"{name}({x[off.argmax()]!r}) is {off.max()} units off"


@pytest.mark.parametrize("name", ["tanh", "erf", "sin"])
def test_odd_functions_keep_the_sign_of_zero(name: UnaryFunction) -> None:
    zeros = np.array([0.0, -0.0], np.float32)
    result = evaluate(expand_math(Unary(name, X)), {X: zeros})
    assert np.signbit(result).tolist() == [False, True]


def test_sine_of_a_huge_number_stays_in_range() -> None:
    x = np.geomspace(1e4, LARGEST, 2000).astype(np.float32)
    for name in ("sin", "cos"):
        result = evaluate(expand_math(Unary(name, X)), {X: x})  # type: ignore[arg-type]
        assert np.all(np.abs(result) <= 1)


@pytest.mark.parametrize(
    ("x_range", "y_range"),
    [
        ((0, 10), (-10, 10)),
        ((0.9, 1.1), (-1000, 1000)),
        ((0, 1e30), (-2, 2)),
        ((0, 1e-38), (-2, 3)),
    ],
)
def test_powers(x_range: tuple[float, float], y_range: tuple[float, float]) -> None:
    random = np.random.default_rng(11)
    x = random.uniform(*x_range, 50_000).astype(np.float32)
    y = random.uniform(*y_range, 50_000).astype(np.float32)
    assert _power_units_off(x, y).max() <= 2


def test_powers_of_special_values() -> None:
    values = np.array([0, 1, 0.5, 2, 3, 2.5, math.inf, math.nan, 1e-45, LARGEST, 2**24, 2**24 - 1])
    values = np.concatenate([values, -values]).astype(np.float32)
    x, y = (axis.ravel() for axis in np.meshgrid(values, values))
    assert _power_units_off(x, y).max() <= 2


def _power_units_off(x: Floats, y: Floats) -> Doubles:
    result = evaluate(expand_math(power(X, Y)), {X: x, Y: y})
    with np.errstate(all="ignore"):
        exact = np.power(x.astype(np.float64), y.astype(np.float64))
    same_sign = (np.signbit(result) == np.signbit(exact)) | np.isnan(exact)
    return np.where(same_sign, units_off(result, exact), np.inf)


@pytest.mark.parametrize("exponent", [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0])
def test_constant_powers_are_multiplications(exponent: float) -> None:
    expression = expand_math(power(X, exponent))
    assert not any(isinstance(part, Bitcast) for part in walk(expression))
    x = np.linspace(0.1, 30, 5001, dtype=np.float32)
    off = units_off(evaluate(expression, {X: x}), np.power(x.astype(np.float64), exponent))
    assert off.max() <= 2


def test_double_precision_stays() -> None:
    expression = exp(Var("x", DType.F64))
    assert expand_math(expression) is expression


def test_half_precision_is_computed_in_f32() -> None:
    x = Var("x", DType.F16)
    expanded = expand_math(tanh(x))
    assert isinstance(expanded, Cast)
    assert expanded.dtype is DType.F16
    values = np.linspace(-4, 4, 1001).astype(np.float16)
    exact = np.tanh(values.astype(np.float64)).astype(np.float16)
    result = evaluate(expanded, {x: values})
    assert np.all(np.abs(result.view(np.int16).astype(int) - exact.view(np.int16)) <= 1)


@given(st.floats(width=32, allow_nan=False), st.sampled_from(sorted(FUNCTIONS)))
def test_constants_are_folded_to_the_same_bits(value: float, name: UnaryFunction) -> None:
    folded = expand_math(Unary(name, Const(value, DType.F32)))
    assert isinstance(folded, Const)
    result = evaluate(expand_math(Unary(name, X)), {X: np.float32(value)[None]})
    assert evaluate(folded, {}).tobytes() == result.tobytes() or math.isnan(folded.value)


# ---- kernels ---------------------------------------------------------------------------------

IN, OUT = (Buffer(name, DType.F32, (8,), (1,)) for name in ("a", "out"))


def _kernel() -> Kernel:
    from dhc.ir.scalar import Load

    i = Var("i0", DType.I64, 8)
    t = Var("t0", DType.F32)
    total = Var("acc0", DType.F32)
    body: tuple[Statement, ...] = (
        Let(t, exp(Load(IN, (i,)))),
        Declare(total, tanh(t)),
        If(exp(t) > 1.0, (Assign(total, exp(total)),), ()),
        Store(OUT, (i,), total * exp(t)),
    )
    return Kernel("k", (OUT, IN), (For(i, index(8), body, "parallel"),))


def _expressions(kernel: Kernel) -> list[Scalar]:
    found: list[Scalar] = []
    for statement in statements(kernel.body):
        match statement:
            case Let(_, value) | Declare(_, value) | Assign(_, value) | Store(_, _, value):
                found.append(value)
            case If(condition):
                found.append(condition)
    return found


def test_kernels_are_expanded_and_shared() -> None:
    kernel = expand_math_in_kernel(_kernel())
    functions: set[UnaryFunction | BinaryFunction] = set()
    for expression in _expressions(kernel):
        uses: dict[Scalar, int] = {}
        for part in walk(expression):
            if isinstance(part, Unary | Binary):
                functions.add(part.function)
            for child in (part.left, part.right) if isinstance(part, Binary) else ():
                uses[child] = uses.get(child, 0) + 1
        assert not [part for part, n in uses.items() if n > 2 and isinstance(part, Binary)]
    assert not functions & {"exp", "tanh"}


def test_new_names_differ_from_those_in_use() -> None:
    kernel = expand_math_in_kernel(_kernel())
    names = [s.var.name for s in statements(kernel.body) if isinstance(s, Let | Declare)]
    assert len(names) == len(set(names))
    assert "t0" in names
