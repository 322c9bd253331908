"""Gradients through conversions: they are as if nothing was rounded."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.ir.graph import Input, literal
from dhc.ir.types import DType, Tensor
from dhc.ops.base import run
from dhc.ops.differentiate import pull_back
from dhc.ops.elementwise import Add, Cast, Mul, Where
from dhc.ops.reduce import ReduceSum
from dhc.ops.shape import Permute

WIDE = (DType.F64, DType.F32)
SMOOTH = [d for d in DType if d.is_float and d not in (*WIDE, DType.F8E8M0)]


@pytest.mark.parametrize("dtype", SMOOTH)
def test_gradients_pass_through_narrow_values(dtype: DType) -> None:
    """Also where one such value is read twice, so that its gradients are summed."""
    x = Input("x", Tensor(DType.F32, (2, 3)))()
    flag = Input("flag", Tensor(DType.BOOL, (3,)))()
    narrow = Cast(dtype)(x)
    chosen = Where()(flag, narrow, literal(1.0, dtype))
    first = Mul()(Cast(DType.F32)(chosen), literal(3.0, DType.F32))
    second = ReduceSum((0,))(Cast(DType.F32)(Permute((1, 0))(narrow)))
    total = Add()(ReduceSum()(first), ReduceSum()(second))
    (gradient,) = pull_back(total, literal(1.0, DType.F32), [x])
    assert gradient is not None
    assert gradient.type == x.type
    values = {"x": np.full((2, 3), 0.7, np.float32), "flag": np.array([True, False, True])}
    np.testing.assert_array_equal(run([gradient], values)[0], [[4, 1, 4]] * 2)


@pytest.mark.parametrize("dtype", [d for d in DType if d.is_integer or d is DType.F8E8M0])
def test_integers_and_powers_of_two_have_no_gradient(dtype: DType) -> None:
    x = Input("x", Tensor(DType.F32, (3,)))()
    y = ReduceSum()(Cast(DType.F32)(Cast(dtype)(x)))
    assert pull_back(y, literal(1.0, DType.F32), [x]) == (None,)
