"""Narrow element types: every pattern of bits, and rounding where it is decided."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from onnx import numpy_helper

from dhc.ir.evaluate import convert, evaluate
from dhc.ir.graph import Graph, Input, literal
from dhc.ir.number import canonical, type_range
from dhc.ir.scalar import Bitcast, Const, Var, cast
from dhc.ir.text import parse_graph, print_graph
from dhc.ir.types import DType, Tensor, dtype_of
from dhc.ops.base import TypeRuleError
from dhc.ops.elementwise import Cast, Neg
from dhc.ops.narrow import EIGHT_BITS
from dhc.ops.reduce import ReduceMax
from dhc.ops.shape import Concat, Reshape
from dhc.ops.sort import ArgSort
from tests.narrow import NARROW, beside, bits_of, every, finite, halves, same_bits

FLOATS = [dtype for dtype in NARROW if dtype.is_float]
SIGNED = [dtype for dtype in FLOATS if dtype is not DType.F8E8M0]
INTEGERS = [dtype for dtype in NARROW if dtype.is_integer]


# ---- every pattern -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", NARROW)
def test_types_know_how_they_are_stored(dtype: DType) -> None:
    array = every(dtype)
    assert dtype_of(array) is dtype
    assert array.itemsize == dtype.bytes == dtype.stored.bytes
    assert len(array) == 2**dtype.bits
    assert (ml_dtypes.finfo if dtype.is_float else ml_dtypes.iinfo)(dtype.numpy).bits == dtype.bits


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("wide", [DType.F32, DType.F64])
def test_each_pattern_stands_for_its_number(dtype: DType, wide: DType) -> None:
    with np.errstate(invalid="ignore"):
        found, expected = convert(every(dtype), wide), every(dtype).astype(wide.numpy)
    np.testing.assert_array_equal(found, expected)
    numbers = expected == expected
    np.testing.assert_array_equal(np.signbit(found)[numbers], np.signbit(expected)[numbers])


@pytest.mark.parametrize("dtype", NARROW)
def test_each_number_becomes_its_pattern_again(dtype: DType) -> None:
    wide = convert(every(dtype), DType.F32)
    numbers = wide == wide
    again = convert(wide, dtype)
    same_bits(again[numbers], every(dtype)[numbers])
    assert dtype is DType.F4E2M1 or np.isnan(convert(again, DType.F32)[~numbers]).all()


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_widen_exactly_and_wrap(dtype: DType) -> None:
    numbers = np.arange(-300, 300, dtype=np.int32)
    same_bits(convert(numbers, dtype), numbers.astype(dtype.numpy))
    np.testing.assert_array_equal(convert(every(dtype), DType.I64), every(dtype).astype(np.int64))


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("source", ["f32", "i16", "u8", "i64"])
def test_integers_saturate_at_their_ends(dtype: DType, source: str) -> None:
    numbers = np.arange(0 if source == "u8" else -300, 256).astype(DType(source).numpy)
    low, high = type_range(dtype)
    expected = np.clip(numbers.astype(np.int64), low, high)
    np.testing.assert_array_equal(convert(numbers, dtype, True).astype(np.int64), expected)


# ---- rounding ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", SIGNED)
@pytest.mark.parametrize("source", [np.float16, np.float32])
def test_floats_round_half_to_even(dtype: DType, source: type) -> None:
    values = halves() if source is np.float16 else beside(dtype)
    with np.errstate(all="ignore"):
        expected = values.astype(dtype.numpy)
    numbers = values == values
    same_bits(convert(values, dtype)[numbers], expected[numbers])


@pytest.mark.parametrize("dtype", SIGNED)
@pytest.mark.parametrize("negative", [False, True])
def test_nan_keeps_its_sign_where_there_are_two(dtype: DType, negative: bool) -> None:
    nan = np.copysign(np.array([np.nan], np.float32), -1 if negative else 1)
    found = convert(nan, dtype)
    if dtype is DType.F4E2M1:  # has none, and ONNX does not say what becomes of it
        assert found.astype(np.float32) == 0
    else:
        same_bits(found, nan.astype(dtype.numpy))


@pytest.mark.parametrize("dtype", [DType.BF16, *EIGHT_BITS])
def test_doubles_are_rounded_once(dtype: DType) -> None:
    """Beside the middle of two numbers by less than an f32 can tell."""
    numbers = finite(dtype)
    middles = (numbers[1:] + numbers[:-1]) / 2
    beyond = middles * (1 + 2.0**-40)
    with np.errstate(all="ignore"):
        found = convert(beyond, dtype).astype(np.float64)
    np.testing.assert_array_equal(found, _nearest(beyond, numbers))


def _nearest(values: Sequence[float], numbers: Sequence[float]) -> list[float]:
    """By exact distances, to none of which two numbers are as near."""
    found = []
    for value in values:
        place = int(np.searchsorted(numbers, value))
        near = numbers[max(place - 1, 0) : place + 1]
        found.append(min(near, key=lambda each: abs(Fraction(each) - Fraction(value))))
    return found


@pytest.mark.parametrize("dtype", EIGHT_BITS)
@pytest.mark.parametrize("source", [np.float16, np.float32])
def test_what_lies_beyond_becomes_the_largest_number_if_asked(dtype: DType, source: type) -> None:
    values = halves() if source is np.float16 else beside(dtype)
    numbers = values == values
    with np.errstate(all="ignore"):
        expected = numpy_helper.saturate_cast(values, dtype.numpy)
    same_bits(convert(values, dtype, True)[numbers], expected[numbers])
    assert np.isnan(convert(values, dtype, True)[~numbers].astype(np.float32)).all()


def test_bf16_saturates_too() -> None:
    values = np.array([3.4e38, -np.inf, 1.0, np.nan, 2.0**-133], np.float32)
    found = convert(values, DType.BF16, True).astype(np.float32)
    largest = float(ml_dtypes.finfo("bfloat16").max)
    np.testing.assert_array_equal(found, np.array([largest, -largest, 1, np.nan, 2.0**-133]))


def test_powers_of_two_are_the_nearest_ones() -> None:
    """Versions of `ml_dtypes` differ in middles, and in subnormals of f32."""
    values = np.abs(beside(DType.F8E8M0))
    values = values[(values >= 2.0**-126) & (values < 1.5 * 2.0**127)]
    parts, exponents = np.frexp(values)
    expected = exponents + 127 - (parts < 0.75)
    np.testing.assert_array_equal(bits_of(convert(values, DType.F8E8M0)), expected)
    small = np.array([1.0, 1.25, 1.49, 1.5, 1.75, 2]) * 2.0**-127
    found = bits_of(convert(small.astype(np.float32), DType.F8E8M0))
    np.testing.assert_array_equal(found, [0, 0, 0, 1, 1, 1])


def test_powers_of_two_at_the_ends() -> None:
    values = np.array([0, np.inf, 3.4e38, -1, np.nan], np.float32)
    np.testing.assert_array_equal(bits_of(convert(values, DType.F8E8M0)), [255] * 5)
    found = bits_of(convert(values, DType.F8E8M0, True))
    np.testing.assert_array_equal(found, [0, 254, 254, 255, 255])


# ---- expressions -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
def test_constants_are_numbers_of_their_type(dtype: DType) -> None:
    assert Const(1.9, dtype).value == convert(np.array(1.9), dtype).astype(np.float64)
    assert Const(1.9, dtype) is Const(canonical(1.9, dtype), dtype)
    same_bits(evaluate(Const(1.9, dtype), {}), convert(np.array(1.9), dtype))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_constants_must_fit(dtype: DType) -> None:
    low, high = type_range(dtype)
    assert Const(low, dtype).value == low
    with pytest.raises(TypeError, match="does not fit"):
        Const(high + 1, dtype)


def test_bits_can_be_seen() -> None:
    x = Var("x", DType.F32)
    found = evaluate(Bitcast(cast(x, DType.F8E5M2), DType.U8), {x: np.array([1.0], np.float32)})
    np.testing.assert_array_equal(found, np.array([0x3C], np.uint8))


@pytest.mark.parametrize("dtype", NARROW)
def test_text_has_the_types(dtype: DType) -> None:
    x = Input("x", Tensor(dtype, (3,)))()
    number = literal(1.0 if dtype.is_float else 1, dtype)
    both = Concat(0)(x, Reshape((1,))(number))
    outputs = (("y", both), ("z", Cast(dtype, True)(Cast(DType.F32)(x))))
    graph = Graph("g", (x,), outputs)
    text = print_graph(graph)
    assert f'input {{label: "x"}} : {dtype}[3]' in text
    assert print_graph(parse_graph(text)) == text


@pytest.mark.parametrize("dtype", NARROW)
def test_nothing_computes_with_them(dtype: DType) -> None:
    x = Input("x", Tensor(dtype, (3,)))()
    for operator in (Neg(), ReduceMax((0,)), ArgSort()):
        with pytest.raises(TypeRuleError, match=f"does not compute with {dtype} elements"):
            operator(x)
