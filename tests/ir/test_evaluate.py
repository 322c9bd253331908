"""The evaluator against exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dhc.ir.evaluate import convert, evaluate, fused, reduce_identity
from dhc.ir.scalar import (
    Bitcast,
    Buffer,
    Load,
    Reduce,
    ReduceKind,
    Scalar,
    Var,
    cast,
    fma,
    lift,
    maximum,
    reduce_over,
    round_half_even,
)
from dhc.ir.types import DType

F32, F64, I64 = DType.F32, DType.F64, DType.I64
X, Y = Var("x", F32), Var("y", F32)
finite32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
finite64 = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e140, max_value=1e140)


def _nearest32(exact: Fraction) -> np.float32:
    """Rounds a fraction to f32, to even, without a detour that rounds twice."""
    guess = np.float32(float(exact))
    around = [np.nextafter(guess, np.float32(side)) for side in (-np.inf, np.inf)]
    finite = [c for c in (guess, *around) if np.isfinite(c)]
    odd = [abs(int(c.view(np.int32))) & 1 for c in finite]
    ranked = zip([abs(Fraction(float(c)) - exact) for c in finite], odd, finite, strict=True)
    return min(ranked, key=lambda entry: entry[:2])[2]


@given(finite32, finite32, finite32)
def test_fused_multiply_add_rounds_once(a: float, b: float, c: float) -> None:
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    assume(abs(exact) < Fraction(float(np.finfo(np.float32).max)))
    result = fused(*(np.asarray(v, np.float32) for v in (a, b, c)))
    assert result == _nearest32(exact)


@given(finite64, finite64, finite64)
def test_fused_multiply_add_of_doubles_rounds_once(a: float, b: float, c: float) -> None:
    assume(a * b == 0 or abs(a * b) > 1e-200)
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    assume(exact == 0 or abs(exact) > Fraction(1, 10**200))
    result = fused(*(np.asarray(v, np.float64) for v in (a, b, c)))
    assert float(result) == float(exact)


def test_fused_multiply_add_of_special_values() -> None:
    for dtype in (np.float32, np.float64):
        inf, one, zero = (np.asarray(v, dtype) for v in (math.inf, 1.0, 0.0))
        assert fused(inf, one, one) == math.inf
        assert np.isnan(fused(inf, zero, one))
        assert np.isnan(fused(inf, one, -inf))
        assert fused(one, one, inf).dtype == dtype


@pytest.mark.parametrize("dtype", [d for d in DType if d.is_integer and not d.is_narrow])
def test_saturating_casts_clamp(dtype: DType) -> None:
    info = np.iinfo(dtype.numpy)
    values = np.array([-1e30, -1.9, -0.5, 0.5, 1.9, 1e30, math.inf, -math.inf, math.nan])
    for source in (np.float32, np.float64):
        result = convert(values.astype(source), dtype, saturate=True).tolist()
        low = 0 if info.min == 0 else -1
        assert result == [info.min, low, 0, 0, 1, info.max, info.max, info.min, 0]
    wide = np.array([-(2**63), -1, 0, 100, 2**63 - 1])
    clamped = [min(max(int(v), int(info.min)), int(info.max)) for v in wide]
    assert convert(wide, dtype, saturate=True).tolist() == clamped


def test_plain_casts_truncate() -> None:
    x = np.array([-1.9, 1.9, 2.5], np.float32)
    assert evaluate(cast(X, DType.I32), {X: x}).tolist() == [-1, 1, 2]
    assert evaluate(round_half_even(X), {X: x}).tolist() == [-2, 2, 2]


def test_bfloat_casts_round_half_to_even() -> None:
    x = np.array([1.00390625, 1.01171875, 3.4e38, math.inf, math.nan], np.float32)
    result = evaluate(cast(X, DType.BF16), {X: x})
    assert result[:2].tolist() == [1.0, 1.015625]
    assert result[2:4].tolist() == [math.inf, math.inf]
    bits = evaluate(Bitcast(cast(X, DType.BF16), DType.U16), {X: np.array([1.0], np.float32)})
    assert bits.tolist() == [0x3F80]


def test_extremes_propagate_nan() -> None:
    values = np.array([math.nan, 1.0], np.float32)
    assert np.isnan(evaluate(maximum(X, 0.0), {X: values})).tolist() == [True, False]


def test_integers_round_down_and_wrap() -> None:
    i, byte = Var("i", I64), Var("b", DType.U8)
    at: dict[Scalar, np.ndarray] = {i: np.array([-7, 7]), byte: np.array([250], np.uint8)}
    assert evaluate(i // 2, at).tolist() == [-4, 3]
    assert evaluate(i % 4, at).tolist() == [1, 3]
    assert evaluate(byte + 10, at).tolist() == [4]


def test_deep_expressions_need_no_stack() -> None:
    value: Scalar = X
    for _ in range(5000):
        value = value + 1.0
    assert evaluate(value, {X: np.zeros(2, np.float32)}).tolist() == [5000, 5000]


def test_unknown_variables_are_named() -> None:
    with pytest.raises(KeyError, match="'x'"):
        evaluate(X + 1, {})


# ---- memory and reductions -------------------------------------------------------------------

BUFFER = Buffer("a", F32, (5,), (1,))
A = np.array([3, 1, math.nan, 1, 5], np.float32)
AXIS = Var("i", I64, 5)


def test_unguarded_reads_must_stay_inside() -> None:
    for wrong in (-1, 5):
        with pytest.raises(IndexError, match="'a'"):
            evaluate(Load(BUFFER, (lift(wrong, I64),)), {}, {BUFFER: A})


def test_guarded_reads_touch_nothing_outside() -> None:
    j = Var("j", I64)
    load = Load(BUFFER, (j,), (j >= 0) & (j < 5), lift(-1, F32))
    result = evaluate(load, {j: np.array([-1, 0, 4, 5])}, {BUFFER: A})
    assert result.tolist() == [-1, 3, 5, -1]
    empty = evaluate(load, {j: np.array([0, 1]) + 7}, {BUFFER: A[:0]})
    assert empty.tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("kind", "expected"), [("sum", 10), ("prod", 15), ("max", 5), ("min", 1), ("argmax", 4)]
)
def test_reductions(kind: ReduceKind, expected: float) -> None:
    values = np.where(np.isnan(A), 1 if kind == "prod" else 0, A).astype(np.float32)
    if kind == "min":
        values = values[[0, 1, 3, 4, 0]]
    result = evaluate(Reduce(kind, (AXIS,), Load(BUFFER, (AXIS,))), {}, {BUFFER: values})
    assert result == expected


def test_nan_wins_extremes() -> None:
    load = Load(BUFFER, (AXIS,))
    assert np.isnan(evaluate(Reduce("max", (AXIS,), load), {}, {BUFFER: A}))
    assert evaluate(Reduce("argmin", (AXIS,), load), {}, {BUFFER: A}) == 2


def test_sums_of_products_are_fused() -> None:
    i = Var("i", I64, 2)
    buffer = Buffer("a", F32, (2,), (1,))
    one_up = np.float32(1 + 2**-12)
    product = Load(buffer, (i,)) * Load(buffer, (i,))
    result = evaluate(reduce_over("sum", (i,), product), {}, {buffer: np.array([one_up, one_up])})
    first = fused(one_up, one_up, np.float32(0))
    assert result == fused(one_up, one_up, first)


def test_empty_reductions_give_the_identity() -> None:
    none = Var("n", I64, 0)
    for kind in ("sum", "prod", "max", "min"):
        value = evaluate(Reduce(kind, (none,), X), {X: np.float32(3)[None]})
        assert value == reduce_identity(kind, F32)


def test_open_extents_are_refused() -> None:
    with pytest.raises(ValueError, match="'n'"):
        evaluate(Reduce("sum", (Var("n", I64),), X), {X: np.zeros(1, np.float32)})


def test_fma_of_constants() -> None:
    assert evaluate(fma(lift(2.0, F64), 3.0, 1.0), {}) == 7
