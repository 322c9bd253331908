"""Sizes that are found: programs with room for the most give what those of the true sizes give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dhc.ops  # noqa: F401  (registers the operators)
from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.ir.counts import count_problems
from dhc.ir.graph import Array, Graph, Input, Node, literal
from dhc.ir.size import Size, count_size, least
from dhc.ir.text import parse_graph, print_graph
from dhc.ir.types import DType, Tensor
from dhc.ir.verify import InternalError, verify_graph
from dhc.ops.anchor import anchored
from dhc.ops.base import run
from dhc.ops.compare import Greater
from dhc.ops.conv import Conv
from dhc.ops.cumulative import CumSum
from dhc.ops.elementwise import Add, Cast, Mul
from dhc.ops.found import FlatNonZero, indices_of
from dhc.ops.linear import MatMul
from dhc.ops.lookup import Gather, GatherElements
from dhc.ops.movement import Expand, Pad, SizeValue, Slice, Tile, slice_axis
from dhc.ops.positions import CountUp, FlatPlaces
from dhc.ops.reduce import ReduceMax, ReduceMean, ReduceSum
from dhc.ops.rules import TypeRuleError
from dhc.ops.scatter import ScatterElements
from dhc.ops.shape import Concat, Permute, Reshape
from dhc.ops.softmax import Softmax
from dhc.ops.sort import ArgSort
from dhc.ops.statistics import ArgMax
from dhc.passes.bound_counts import bound_counts
from dhc.runtime.trimmed import Trimmed

N = 6
K = count_size("k", N)
L = count_size("l", N)
X = Input("x", Tensor(DType.F32, (N, 3)))()
MASK = Input("mask", Tensor(DType.BOOL, (N,)))()
OTHER = Input("other", Tensor(DType.BOOL, (N,)))()
CHOSEN = FlatNonZero(K)(MASK)
ROWS = Gather(0)(X, CHOSEN)  # [K, 3]
ALSO = Gather(0)(X, FlatNonZero(L)(OTHER))  # [L, 3]
COLUMN = Reshape((K,))(slice_axis(ROWS, 1, 0, 1))


def _last(x: Node, count: Size) -> Node:
    """The last entries of an axis, `count` or all."""
    whole = x.type.shape[0]
    return slice_axis(x, 0, whole - count, whole)


def _top(x: Node) -> Node:
    places = slice_axis(ArgSort(True)(x), 0, 0, least(K, 2))
    return GatherElements(0)(x, places)


def _column(x: Node) -> Node:
    return Reshape((K, 1))(x)


RIGHT: dict[str, Node] = {
    "places": CHOSEN,
    "rows": ROWS,
    "scaled": Mul()(Add()(ROWS, literal(1.0, DType.F32)), ROWS),
    "by the size": Mul()(ROWS, SizeValue(K)()),
    "turned": Permute((1, 0))(ROWS),
    "one row": Reshape((K * 3,))(ROWS),
    "and back": Reshape((K, 3))(Reshape((K * 3,))(ROWS)),
    "another axis": Reshape((1, K, 3, 1))(ROWS),
    "between": Reshape((3, K, 1))(Permute((1, 0))(ROWS)),
    "columns": slice_axis(ROWS, 1, 1, 3),
    "first": slice_axis(ROWS, 0, 0, least(K, 2)),
    "last": _last(ROWS, least(K, 2)),
    "backwards": Slice((K - 1, 0), (K, 3), (-1, 1))(ROWS),
    "without the first": slice_axis(ROWS, 0, least(K, 1), K),
    "without the last two": slice_axis(ROWS, 0, 0, K - least(K, 2)),
    "padded": Pad(((2, 1), (0, 1)), value=7.0)(ROWS),
    "mirrored in each": Pad(((0, 0), (1, 1)), "reflect")(ROWS),
    "side by side": Tile((1, 2))(ROWS),
    "every other": Slice((0, 0), ((K + 1) // 2, 3), (2, 1))(ROWS),
    "beside": Concat(1)(ROWS, _column(COLUMN)),
    "one after another": Concat(0)(ROWS, ALSO, ROWS),
    "before known ones": Concat(0)(ROWS, X),
    "after known ones": Concat(0)(X, ROWS),
    "each with each": Add()(_column(COLUMN), Reshape((1, L))(ReduceSum((1,))(ALSO))),
    "sum": ReduceSum((0,))(ROWS),
    "mean": ReduceMean((0,), True)(ROWS),
    "largest": ReduceMax((0,))(ROWS),
    "largest of each": ReduceMax((1,))(ROWS),
    "where the largest is": ArgMax(0)(Concat(0)(X, ROWS)),
    "order": ArgSort()(Permute((1, 0))(ROWS)),
    "descending": Gather(0)(ROWS, ArgSort(True)(COLUMN)),
    "top": _top(COLUMN),
    "running sum": CumSum(0)(ROWS),
    "from the end": CumSum(0, exclusive=True, reverse=True)(ROWS),
    "soft": Softmax(0)(ROWS),
    "soft across": Softmax(1)(ROWS),
    "product": MatMul()(ROWS, Permute((1, 0))(X)),
    "product over what is found": MatMul()(Permute((1, 0))(ROWS), ROWS),
    "counted": CountUp(K)(),
    "repeated": Expand((K, 3))(literal(2.0, DType.F32)),
    "put": ScatterElements(0, "add")(X, Expand((K, 3))(_column(CHOSEN)), ROWS),
    "put into what is found": ScatterElements(0)(
        COLUMN, Reshape((1,))(literal(-1, DType.I64)), Reshape((1,))(literal(5.0, DType.F32))
    ),
    "the last by its number": Gather(0)(ROWS, literal(-1, DType.I64)),
    "one that is not there": Gather(0)(ROWS, literal(N - 1, DType.I64)),
    "by indices": Gather(0)(
        Reshape((N * 3,))(X), FlatPlaces((N, 3))(Permute((1, 0))(indices_of(CHOSEN, (3, 2))))
    ),
    "among what is found": FlatPlaces((K, 3))(
        Permute((1, 0))(Concat(0)(Reshape((1, K))(CountUp(K)()), Reshape((1, K))(CountUp(K)())))
    ),
    "found again": FlatNonZero(count_size("m", K))(Greater()(COLUMN, literal(0.0, DType.F32))),
    "convolved one by one": Conv((1,), ((1, 1),), (1,))(
        Reshape((K, 1, 3))(ROWS), Reshape((1, 1, 3))(slice_axis(X, 0, 0, 1))
    ),
    "as whole numbers": Cast(DType.I32)(ROWS),
    "how many": SizeValue(K + L * 2, DType.I64)(),
}


def _graph(*outputs: Node) -> Graph:
    named = tuple((f"y{k}", node) for k, node in enumerate(outputs))
    finders = [CHOSEN, *(n for n in ALSO.inputs if n.op.finds)]
    return anchored(Graph("found", (X, MASK, OTHER), named), finders)


class _Numpy:
    """Runs a graph as an executable does."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def load(self, weights: Mapping[str, Array]) -> None:
        raise NotImplementedError

    def read(self, labels: Sequence[str]) -> dict[str, Array]:
        raise NotImplementedError

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        names = [name for name, _ in self._graph.outputs]
        return dict(zip(names, run(self._graph.roots, inputs), strict=True))


masks = st.lists(st.booleans(), min_size=N, max_size=N) | st.sampled_from([[False] * N, [True] * N])


@pytest.mark.parametrize("name", RIGHT)
@settings(max_examples=25, deadline=None)
@given(mask=masks, other=masks, seed=st.integers(0, 9))
def test_room_changes_nothing(name: str, mask: list[bool], other: list[bool], seed: int) -> None:
    graph = _graph(RIGHT[name])
    verify_graph(graph)
    bounded = bound_counts(graph)
    verify_graph(bounded.graph)
    values = {
        "x": np.random.default_rng(seed).normal(size=(N, 3)).astype(np.float32),
        "mask": np.array(mask),
        "other": np.array(other),
    }
    (wanted,) = run(graph.roots, values)
    found = Trimmed(_Numpy(bounded.graph), bounded.shapes, bounded.found)(values)["y0"]
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("target", ["cpu", "opencl"])
def test_backends_give_what_the_reference_gives(target: str) -> None:
    graph = _graph(*RIGHT.values())
    program, reference = compile_graph(graph, target), compile_graph(graph, "reference")
    x = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
    for mask, other in (([1, 0, 1, 1, 0, 0], [0] * N), ([0] * N, [1] * N), ([1] * N, [0, 1] * 3)):
        values = {"x": x, "mask": np.array(mask, bool), "other": np.array(other, bool)}
        found, wanted = program(**values), reference(**values)
        assert found.keys() == wanted.keys()
        for name, number in zip(RIGHT, wanted, strict=True):
            assert found[number].shape == wanted[number].shape, name
            np.testing.assert_allclose(
                found[number], wanted[number], rtol=1e-4, atol=1e-5, err_msg=name
            )


def test_what_is_found_stands_in_the_text() -> None:
    graph = _graph(RIGHT["first"], RIGHT["one after another"])
    text = print_graph(graph, origins=False)
    assert "f32[min(count(k, 6), 2), 3]" in text
    assert parse_graph(text) == graph


REFUSED = {
    "split between": Reshape((K * 3,))(Permute((1, 0))(ROWS)),
    "as many as there may not be": slice_axis(ROWS, 0, 0, 2),
    "without the first, if there is one": slice_axis(ROWS, 0, 1, K),
    "one after another": Tile((2, 1))(ROWS),
    "neighbours": Conv((1,), ((1, 1),), (1,))(
        Reshape((1, 1, K))(COLUMN), Reshape((1, 1, 3))(slice_axis(X, 0, 0, 1))
    ),
    "numbers that depend on the size": FlatPlaces((3, K))(
        Permute((1, 0))(indices_of(CHOSEN, (3, 2)))
    ),
    "mirrored": Pad(((1, 0),), "reflect")(COLUMN),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_depends_on_entries_that_are_not_there_is_refused(name: str) -> None:
    with pytest.raises(DhcError, match="only known when the program runs"):
        bound_counts(_graph(REFUSED[name]))


def test_sizes_of_different_masks_are_different() -> None:
    with pytest.raises(TypeRuleError):
        Add()(ROWS, ALSO)


def test_two_nodes_cannot_find_one_size() -> None:
    twice = Add()(Cast(DType.F32)(FlatNonZero(K)(OTHER)), Cast(DType.F32)(CHOSEN))
    (problem,) = count_problems(Graph("g", (MASK, OTHER), (("y", twice),)))
    assert problem == "Two nodes find the size 'k'."


def test_a_size_must_come_from_what_finds_it() -> None:
    (problem,) = count_problems(Graph("g", (), (("y", CountUp(K)()),)))
    assert "reads nothing that depends on it" in problem


def test_a_size_that_is_found_is_not_given() -> None:
    with pytest.raises(DhcError, match="'k' is found when the program runs"):
        compile_graph(_graph(ROWS), "cpu", {"k": 3})


@pytest.mark.parametrize("size", ["count(k, 5)", "count(k, 6) + 1", "N", "0"])
def test_there_is_room_for_all_that_can_be_found(size: str) -> None:
    """Also in programs that somebody else has written."""
    text = print_graph(_graph(CHOSEN), origins=False)
    changed = parse_graph(text.replace("{size: count(k, 6)}", f"{{size: {size}}}"))
    with pytest.raises(InternalError, match="'flat_nonzero' cannot take its inputs"):
        verify_graph(changed)
