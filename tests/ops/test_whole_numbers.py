"""Rests, powers and shifts where signs, ends and widths of numbers matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhc.ir.types import DType
from dhc.ops.base import TypeRuleError
from dhc.ops.bits import BitCast, BitShift
from dhc.ops.elementwise import Mod
from dhc.ops.power import IntegerPow
from dhc.ops.sample import tensor

_FLOATS = st.floats(-1e4, 1e4, width=32) | st.just(np.inf) | st.just(-np.inf)


@given(_FLOATS, _FLOATS.filter(lambda b: abs(b) > 1e-2))
def test_rests_of_floats_are_exact(a: float, b: float) -> None:
    left, right = np.array([a], np.float32), np.array([b], np.float32)
    with np.errstate(all="ignore"):
        found, expected = Mod().numpy(left, right), np.mod(left, right)
    np.testing.assert_array_equal(found, expected)


@given(st.integers(-9, 9), st.integers(0, 90))
def test_powers_wrap_as_products_do(a: int, b: int) -> None:
    for dtype in (np.int32, np.int64):
        found = IntegerPow().numpy(np.array([a], dtype), np.array([b], dtype))
        width = np.iinfo(dtype).bits
        wrapped = (a**b + (1 << (width - 1))) % (1 << width) - (1 << (width - 1))
        assert found.tolist() == [wrapped]


def test_powers_below_zero_keep_their_whole_part() -> None:
    bases = np.array([1, -1, -1, 2, -3, 5], np.int32)
    exponents = np.array([-3, -2, -3, -1, -1, -2], np.int32)
    assert IntegerPow().numpy(bases, exponents).tolist() == [1, 1, -1, 0, 0, 0]


@given(st.integers(-128, 127), st.integers(-128, 127))
def test_shifts_by_any_number_of_places(a: int, b: int) -> None:
    x, places = np.array([a], np.int8), np.array([b], np.int8)
    inside = 0 <= b < 8
    right = a >> b if inside else -1 if a < 0 else 0
    left = np.array([(a << b) & 255 if inside else 0], np.uint8).view(np.int8)
    assert BitShift("right").numpy(x, places).tolist() == [right]
    assert BitShift("left").numpy(x, places).tolist() == left.tolist()


@pytest.mark.parametrize(("source", "target"), [("f32", DType.I64), ("u8", DType.BOOL)])
def test_bits_of_another_width_are_refused(source: str, target: DType) -> None:
    with pytest.raises(TypeRuleError, match=f"cannot see {source} as {target}"):
        BitCast(target).infer(tensor(f"{source}[3]"))
