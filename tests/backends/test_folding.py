"""Reductions along rows on the processor: a vector of the row at a time, and as numpy does it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dhc.backends.base import Target
from dhc.backends.cpu import CpuBackend
from dhc.driver import compile_graph
from dhc.ir.graph import Array, Graph, Input, literal
from dhc.ir.types import DType, Tensor
from dhc.ops.base import operators, run
from dhc.ops.elementwise import Add, Mul

KINDS = ("reduce_sum", "reduce_mean", "reduce_min", "reduce_max", "reduce_prod", "reduce_l2")
TYPES = (DType.F32, DType.F64, DType.F16, DType.I32, DType.I64, DType.U8)


def _graph(kind: str, type: Tensor, axes: tuple[int, ...]) -> Graph:
    """A reduction of something that is computed while it is read."""
    x = Input("x", type)()
    moved = Add()(x, literal(1, type.dtype))
    return Graph("rows", (x,), (("y", operators[kind](axes)(moved)),))  # type: ignore[call-arg]


def _values(type: Tensor, seed: int) -> Array:
    chance = np.random.default_rng(seed)
    if type.dtype.is_float:
        return chance.uniform(-0.1, 0.1, type.static_shape).astype(type.dtype.numpy)
    return chance.integers(0, 3, type.static_shape).astype(type.dtype.numpy)


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(TYPES),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 40), st.integers(1, 210)),
    axes=st.sampled_from([(2,), (1, 2), (0, 1, 2), (1,), (0, 2)]),
    isa=st.sampled_from(["avx2", "avx512", ""]),
)
def test_rows_of_any_length(
    kind: str, dtype: DType, shape: tuple[int, int, int], axes: tuple[int, ...], isa: str
) -> None:
    """What is left of a row that is no whole number of vectors is folded as well."""
    assume(dtype.is_float or kind not in ("reduce_mean", "reduce_l2"))
    type = Tensor(dtype, shape)
    graph, x = _graph(kind, type, axes), _values(type, sum(shape))
    program = compile_graph(graph, Target("cpu", threads=2, options={"isa": isa} if isa else {}))
    (wanted,) = run([graph.outputs[0][1]], {"x": x})
    found = program(x=x)["y"]
    if not dtype.is_float:
        np.testing.assert_array_equal(found, wanted)
        return
    rtol = {DType.F16: 2e-2, DType.F32: 2e-5}.get(dtype, 1e-10)
    np.testing.assert_allclose(found, wanted, rtol=rtol)


@pytest.mark.parametrize("place", [0, 17, 63, 64, 100])
@pytest.mark.parametrize("kind", ["reduce_min", "reduce_max", "reduce_sum"])
def test_what_is_no_number_is_seen_in_every_lane(kind: str, place: int) -> None:
    graph = _graph(kind, Tensor(DType.F32, (3, 101)), (1,))
    x = _values(Tensor(DType.F32, (3, 101)), 1)
    x[1, place] = np.nan
    found = compile_graph(graph, Target("cpu", threads=1))(x=x)["y"]
    np.testing.assert_array_equal(np.isnan(found), [False, True, False])


def _text(graph: Graph) -> str:
    return CpuBackend(Target("cpu", options={"isa": "avx512"})).lower(graph).source.text


def test_vectors_lie_along_rows() -> None:
    """Not across them, where each lane would be read alone."""
    along = _text(_graph("reduce_max", Tensor(DType.F32, (64, 64)), (1,)))
    assert "load <16 x float>" in along
    assert along.count("insertelement <16 x float>") < 16


def test_vectors_lie_across_what_is_reduced_where_that_is_in_order() -> None:
    """Sums over the first axis need no exchange of lanes."""
    across = _text(_graph("reduce_max", Tensor(DType.F32, (64, 64)), (0,)))
    assert "load <16 x float>" in across
    assert "shufflevector <16 x float>" not in across


def test_products_are_summed_along_rows() -> None:
    """Each row of one tensor by each of another, which nobody calls a product of matrices."""
    x, w = (Input(n, Tensor(DType.F64, s))() for n, s in (("x", (9, 1, 70)), ("w", (1, 20, 70))))
    scores = operators["reduce_sum"]((2,))(Mul()(x, w))  # type: ignore[call-arg]
    graph = Graph("scores", (x, w), (("y", scores),))
    assert "load <16 x double>" in _text(graph)
    chance = np.random.default_rng(2)
    a, b = chance.standard_normal((9, 1, 70)), chance.standard_normal((1, 20, 70))
    found = compile_graph(graph, Target("cpu", threads=2))(x=a, w=b)["y"]
    np.testing.assert_allclose(found, a[:, 0] @ b[0].T, rtol=1e-11, atol=1e-13)
