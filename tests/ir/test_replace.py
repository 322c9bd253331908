"""Replacement of variables simplifies on the way and leaves bound variables alone."""

from __future__ import annotations

import pytest

from dhc.ir.replace import replace_variables
from dhc.ir.scalar import Buffer, Const, Load, Reduce, Var, cast, fma, index
from dhc.ir.types import DType

F32, I64 = DType.F32, DType.I64
X, ROW = Var("x", F32), Var("i", I64)


def test_parts_of_every_kind_are_replaced() -> None:
    buffer = Buffer("a", F32, (4,), (1,))
    load = Load(buffer, (ROW + 1,), ROW >= 0, X)
    value = replace_variables(fma(X, load, cast(ROW, F32)), {ROW: index(2), X: Const(0.5, F32)})
    guarded = Load(buffer, (index(3),), Const(True, DType.BOOL), Const(0.5, F32))
    assert value is fma(Const(0.5, F32), guarded, 2.0)


def test_replacement_simplifies() -> None:
    inner = Var("j", I64, 8)
    assert replace_variables((ROW + inner) // 8, {ROW: inner * 8}) is inner
    assert replace_variables(X, {}) is X


def test_bound_variables_are_not_replaced() -> None:
    axis = Var("r", I64, 3)
    total = Reduce("sum", (axis,), cast(axis * ROW, F32))
    assert replace_variables(total, {ROW: index(1)}) is Reduce("sum", (axis,), cast(axis, F32))
    with pytest.raises(AssertionError, match="bound"):
        replace_variables(total, {axis: index(1)})
