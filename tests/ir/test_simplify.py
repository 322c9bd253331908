"""Simplification keeps every bit of an expression's value; ranges hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhc.ir.evaluate import evaluate
from dhc.ir.replace import replace_variables
from dhc.ir.scalar import (
    Binary,
    Cast,
    Compare,
    Const,
    Load,
    Number,
    Scalar,
    Select,
    Unary,
    Var,
    cast,
    index,
    lift,
    maximum,
    minimum,
    select,
    unary,
    walk,
)
from dhc.ir.simplify import interval
from dhc.ir.types import DType

I64, U8, I32, U32, F32 = DType.I64, DType.U8, DType.I32, DType.U32, DType.F32
ROW, J, K = Var("i", I64, 4), Var("j", I64, 7), Var("k", I64)
BYTE, WORD = Var("byte", U8), Var("word", U32)


def expressions(dtype: DType, variables: list[Var]) -> st.SearchStrategy[Scalar]:
    """Integer expressions as they are written, before any simplification."""
    low = 0 if not dtype.is_signed else -9
    numbers = st.integers(low, 99).map(lambda n: Const(n, dtype))
    functions = st.sampled_from(["add", "sub", "mul", "min", "max", "and", "or", "xor"])
    relations = st.sampled_from(["lt", "le", "eq", "ne", "gt", "ge"])
    positive = st.integers(1, 20).map(lambda n: Const(n, dtype))
    shifts = st.integers(0, 7).map(lambda n: Const(n, dtype))
    divisions = st.sampled_from(["floordiv", "mod"])
    return st.recursive(
        st.sampled_from(variables) | numbers,
        lambda inner: (
            st.builds(Binary, functions, inner, inner)
            | st.builds(Binary, divisions, inner, positive)
            | st.builds(Binary, st.sampled_from(["shl", "shr"]), inner, shifts)
            | st.builds(Unary, st.sampled_from(["neg", "abs", "not"]), inner)
            | st.builds(Select, st.builds(Compare, relations, inner, inner), inner, inner)
            | st.builds(Cast, st.builds(Cast, inner, st.just(U8)), st.just(dtype))
        ),
        max_leaves=12,
    )


pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")


def simplified(expression: Scalar) -> Scalar:
    return replace_variables(expression, {})


POINTS: dict[Scalar, np.ndarray] = {
    ROW: np.arange(4)[:, None, None],
    J: np.arange(7)[:, None],
    K: np.array([-50, -3, 0, 1, 17, 1000]),
    BYTE: np.arange(256, dtype=np.uint8),
    WORD: np.array([0, 1, 2**31, 2**32 - 1, 12345678], np.uint32),
}


def _same_value(expression: Scalar) -> None:
    before = evaluate(expression, POINTS)
    after = evaluate(simplified(expression), POINTS)
    assert np.all(before == after)


@given(expressions(I64, [ROW, J, K]))
def test_index_expressions_keep_their_value(expression: Scalar) -> None:
    _same_value(expression)


@given(expressions(U8, [BYTE]))
def test_wrapping_bytes_keep_their_value(expression: Scalar) -> None:
    _same_value(expression)


@given(expressions(U32, [WORD]))
def test_wrapping_words_keep_their_value(expression: Scalar) -> None:
    _same_value(expression)


@given(expressions(I64, [ROW, J, K]) | expressions(U8, [BYTE]) | expressions(U32, [WORD]))
def test_intervals_hold_all_values(expression: Scalar) -> None:
    for part in (expression, simplified(expression)):
        bounds = interval(part)
        if bounds is not None:
            values = evaluate(part, POINTS)
            assert bounds[0] <= values.min()
            assert values.max() <= bounds[1]


def test_intervals_of_shared_parts_take_linear_time() -> None:
    value: Scalar = ROW
    for _ in range(60):
        value = Binary("min", Binary("add", value, value), Const(10**6, I64))
    assert interval(value) == (0, 10**6)
    deep: Scalar = ROW
    for _ in range(3000):
        deep = Binary("add", deep, Const(1, I64))
    assert interval(deep) == (3000, 3003)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ((ROW * 7 + J) // 7, ROW),
        ((ROW * 7 + J) % 7, J),
        ((ROW * 14 + J * 2 + 1) % 2, index(1)),
        ((K * 8 + ROW) // 4, K * 2),
        ((K * 8 + J) // 4, K * 2 + J // 4),
        ((K * 8 + J) % 4, J % 4),
        (((ROW * 3 + K) * 7 + J) // 21, ROW + (K * 7 + J) // 21),
        (((K * 48 + J) // 6) // 8, K + J // 48),
        (K // 3 // 5, K // 15),
        (K % 1, index(0)),
        (ROW // 4, index(0)),
        ((ROW + 8) // 4, index(2)),
        ((ROW + 8) % 4, ROW),
        ((ROW - 4) // 4, index(-1)),
        (K + 3 + 4 - 7, K),
        (K - K, index(0)),
        (0 * K, index(0)),
        (K * 1, K),
        (minimum(ROW, 3), ROW),
        (maximum(ROW + 4, J % 4), ROW + 4),
        (select(ROW < 4, K, J), K),
        (select(ROW >= 0, K, J), K),
        (select(ROW - 5 > J, K, J), J),
    ],
)
def test_known_simplifications(expression: Scalar, expected: Scalar) -> None:
    assert expression is expected


def test_wrapping_types_use_no_index_algebra() -> None:
    quotient = (BYTE * 4) // 4
    assert quotient is not BYTE
    assert evaluate(quotient, {BYTE: np.array([100], np.uint8)}) == 36


@pytest.mark.parametrize(
    ("folded", "value", "dtype"),
    [
        (lift(200, U8) + 100, 44, U8),
        (lift(0, U8) - 1, 255, U8),
        (unary("neg", lift(1, U32)), 2**32 - 1, U32),
        (lift(2**31 - 1, I32) + 1, -(2**31), I32),
        (lift(1, U32) << 31, 2**31, U32),
        (lift(-7, I64) // 2, -4, I64),
        (lift(-7, I64) % 2, 1, I64),
        (lift(0.1, F32) + 0.2, 0.3, F32),
        (cast(lift(300, I64), U8), 44, U8),
        (cast(lift(0.1, F32), DType.F64), 0.10000000149011612, DType.F64),
        (~lift(0, U8), 255, U8),
        (~lift(True, DType.BOOL), False, DType.BOOL),
    ],
)
def test_constants_fold_as_the_type_computes(folded: Scalar, value: Number, dtype: DType) -> None:
    assert folded is Const(value, dtype)


def test_floats_use_no_algebra() -> None:
    x = Var("x", F32)
    for expression in (x + 0.0, x * 1.0, x - x, x * 0.0, minimum(x, x)):
        assert isinstance(expression, Binary)
    assert isinstance(lift(0.0, F32) / 0.0, Binary)


def test_logic_with_constants() -> None:
    true, unknown = Const(True, DType.BOOL), K > 3
    assert (true & unknown) is unknown
    assert (unknown | true) is true
    assert (unknown & unknown) is unknown
    assert isinstance(~(Var("x", F32) > 0), Unary)  # NaN makes '<=' something else
    assert ~unknown is (K <= 3)


def test_mixed_types_are_refused() -> None:
    with pytest.raises(TypeError, match="u8"):
        BYTE + K
    with pytest.raises(TypeError, match="u8"):
        BYTE < K  # noqa: B015
    with pytest.raises(TypeError, match="floordiv"):
        K / 2


def test_walk_visits_operands_first_and_once() -> None:
    value: Scalar = K
    for _ in range(2000):
        value = value + value * K
    order = list(walk(value))
    assert len(order) == len(set(order)) == 4001
    assert not any(isinstance(part, Load) for part in order)
