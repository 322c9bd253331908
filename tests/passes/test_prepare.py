"""What depends on parameters alone leaves the program and is computed once."""

from __future__ import annotations

import numpy as np

import dhc.ops  # noqa: F401
from dhc.ir.graph import Graph, Input, Param, literal
from dhc.ir.types import DType, Tensor
from dhc.ops.activation import Relu
from dhc.ops.base import run
from dhc.ops.elementwise import Add, Mul
from dhc.passes.prepare import split_prepare

X = Input("x", Tensor(DType.F32, (4,)))()
W = Param("w", Tensor(DType.F32, (4,)))()
B = Param("b", Tensor(DType.F32, (4,)))()


def paths(graph: Graph) -> list[str]:
    return [param.path for param in graph.params]


def test_scaled_weight_moves_into_prepare() -> None:
    scaled = Mul()(W, literal(2.0, DType.F32))
    prepare, main = split_prepare(Graph("g", (X,), (("y", Add()(X, scaled)),)))
    assert paths(prepare) == ["w"]
    assert paths(main) == ["prepared.0"]


def test_weight_that_is_used_as_it_is_stays() -> None:
    prepare, main = split_prepare(Graph("g", (X,), (("y", Add()(X, W)),)))
    assert prepare.outputs == ()
    assert paths(main) == ["w"]


def test_only_the_last_value_of_a_chain_is_stored() -> None:
    chain = Relu()(Add()(Mul()(W, B), B))
    prepare, main = split_prepare(Graph("g", (X,), (("y", Mul()(X, chain)),)))
    assert [name for name, _ in prepare.outputs] == ["prepared.0"]
    assert paths(main) == ["prepared.0"]


def test_two_stages_equal_one() -> None:
    graph = Graph("g", (X,), (("y", Add()(Mul()(X, Relu()(W)), Mul()(Relu()(W), B))),))
    values = {name: np.arange(4, dtype=np.float32) - 1 for name in "xwb"}
    prepare, main = split_prepare(graph)
    prepared = run(prepare.roots, values)
    names = [name for name, _ in prepare.outputs]
    both = {**values, **dict(zip(names, prepared, strict=True))}
    np.testing.assert_array_equal(run(graph.roots, values)[0], run(main.roots, both)[0])


def test_output_that_needs_no_input_is_prepared() -> None:
    _, main = split_prepare(Graph("g", (X,), (("y", Relu()(W)),)))
    assert paths(main) == ["prepared.0"]
