"""Equal values are one object; values that differ in a bit are not."""

from __future__ import annotations

import gc
import math
import threading
from dataclasses import dataclass

import pytest

from dhc.ir.graph import Literal_, literal
from dhc.ir.interning import Interned, value_key
from dhc.ir.scalar import Binary, Const, Scalar, Var
from dhc.ir.types import DType

F32 = DType.F32


def test_equal_values_are_one_object() -> None:
    x = Var("x", F32)
    assert Var("x", F32) is x
    assert Binary("add", x, Const(1.0, F32)) is Binary("add", Var("x", F32), Const(1.0, F32))
    assert Var("x", F32, 3) is not x


def test_signed_zeros_differ_and_nan_equals_itself() -> None:
    assert Const(0.0, F32) is not Const(-0.0, F32)
    assert Const(math.nan, F32) is Const(-math.nan, F32)
    assert literal(0.0, F32) is not literal(-0.0, F32)
    assert literal(math.nan, F32) is literal(-math.nan, F32)


def test_classes_of_numbers_differ() -> None:
    keys = {value_key(value) for value in (1, 1.0, True)}
    assert len(keys) == 3
    assert literal(1, DType.I64) is not literal(True, DType.I64)
    assert value_key(Literal_(1, F32)) != value_key(Literal_(1.0, F32))


def test_constants_are_canonical() -> None:
    assert Const(1, F32) is Const(1.0, F32)
    assert Const(0.1, F32) is Const(0.10000000149011612, F32)
    assert Const(0.1, F32).value == 0.1
    assert Const(0.1, DType.F64) is not Const(0.10000000149011612, DType.F64)
    assert Const(1e39, F32).value == math.inf
    assert Const(1.003, DType.BF16).value == 1.0
    with pytest.raises(TypeError, match="fit"):
        Const(256, DType.U8)
    with pytest.raises(TypeError, match="fit"):
        Const(0.5, DType.I64)


def test_dead_values_leave_nothing_behind() -> None:
    """Identities of collected operands are reused; no new value may meet an old key."""
    for turn in range(2000):
        text = f"v{turn}"
        value = Binary("add", Var(text, F32), Var(text, F32))
        assert isinstance(value.left, Var)
        assert value.left.name == text
        del value
        if turn % 500 == 0:
            gc.collect()


def test_threads_agree_on_one_object() -> None:
    barrier = threading.Barrier(8)
    found: list[list[Scalar]] = [[] for _ in range(8)]

    def build(mine: list[Scalar]) -> None:
        barrier.wait()
        for k in range(300):
            mine.append(Binary("mul", Var(f"race{k}", F32), Const(float(k), F32)))

    threads = [threading.Thread(target=build, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for column in zip(*found, strict=True):
        assert all(value is column[0] for value in column)


def test_tuples_are_compared_bit_by_bit() -> None:
    @dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
    class Box(metaclass=Interned):
        content: tuple[float, ...]

    assert Box((0.0, 1.0)) is Box((0.0, 1.0))
    assert Box((0.0,)) is not Box((-0.0,))
