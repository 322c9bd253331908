"""Long sums: each term once, few of them in a row, and small ones beside a large one count."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dhc.driver import compile_graph
from dhc.ir.graph import Array, Graph, Input
from dhc.ir.scalar import Reduce, Scalar, Var, cast, walk
from dhc.ir.types import DType, Tensor
from dhc.lower.parts import LONGEST, in_parts
from dhc.ops.base import Operator
from dhc.ops.reduce import ReduceSum
from dhc.ops.softmax import Softmax


def _sum(*extents: int, kind: str = "sum", dtype: DType = DType.F32) -> Reduce:
    axes = tuple(Var(f"k{n}", DType.I64, extent) for n, extent in enumerate(extents))
    place: Scalar = axes[0]
    for axis in axes[1:]:
        place = place * (axis.extent or 1) + axis
    return Reduce(kind, axes, cast(place, dtype))  # type: ignore[arg-type]


def _rows(value: Scalar) -> list[int]:
    """How many terms each loop adds, until no reduction becomes parts any more."""
    found: list[int] = []
    for part in walk(value):
        if isinstance(part, Reduce):
            parts = in_parts(part)
            count = math.prod(axis.extent or 1 for axis in part.axes)
            found += [count] if parts is part else _rows(parts)
    return found


def _result(op: Operator, x: Array, target: str) -> Array:
    node = Input("x", Tensor(DType.F32, x.shape))()
    return compile_graph(Graph("net", (node,), (("y", op(node)),)), target)(x=x)["y"]


@pytest.mark.parametrize(
    "extents", [(257,), (512,), (18710,), (1009,), (3, 100, 100), (64, 3, 3), (1000, 3), (2, 300)]
)
def test_every_number_is_added_once(extents: tuple[int, ...]) -> None:
    """The numbers of all places: their sum tells whether each was read once."""
    x = np.arange(math.prod(extents), dtype=np.float32).reshape(extents) % 251
    axes = tuple(range(len(extents)))
    assert _result(ReduceSum(axes), x, "cpu") == x.sum(dtype=np.float64)
    assert len(_rows(in_parts(_sum(*extents)))) > 1


@pytest.mark.parametrize("extents", [(64,), (4, 16), (7, 3, 3)])
def test_short_sums_stay(extents: tuple[int, ...]) -> None:
    value = _sum(*extents)
    assert in_parts(value) is value


def test_other_reductions_stay() -> None:
    for value in (_sum(1000, kind="max"), _sum(1000, dtype=DType.I32), _sum(1000, kind="prod")):
        assert in_parts(value) is value


@pytest.mark.parametrize("extents", [(2000,), (1009,), (30, 40), (100, 3, 3), (400, 5)])
def test_partial_sums_have_few_terms(extents: tuple[int, ...]) -> None:
    assert max(_rows(in_parts(_sum(*extents)))) <= LONGEST


def test_softmax_over_many_places_counts_all_of_them() -> None:
    """Each of these is less than what f32 adds to 1, but there are many."""
    x = np.zeros((2, 20000), np.float32)
    x[:, 0] = 17.5
    expected = 1 / (1 + 19999 * math.exp(-17.5))
    np.testing.assert_allclose(_result(Softmax(1), x, "cpu")[:, 0], expected, rtol=1e-5)
