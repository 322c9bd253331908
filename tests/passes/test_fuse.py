"""Fusion groups operators into regions that mean the same."""

from __future__ import annotations

import numpy as np

import dhc.ops  # noqa: F401
from dhc.ir.graph import Graph, Input, Node, Param, literal, topological
from dhc.ir.types import DType, Tensor
from dhc.ops.activation import Relu, Sigmoid
from dhc.ops.base import run
from dhc.ops.conv import Conv
from dhc.ops.elementwise import Add, Mul, Sub
from dhc.ops.reduce import ReduceMean
from dhc.ops.region import Region
from dhc.ops.shape import Concat, Permute
from dhc.passes.fuse import Fuse

SHAPE = (1, 4, 6, 6)
X = Input("x", Tensor(DType.F32, SHAPE))()
W = Param("w", Tensor(DType.F32, (4, 4, 3, 3)))()
V = Param("v", Tensor(DType.F32, (4, 4, 3, 3)))()
CONV = Conv((1, 1), ((1, 1), (1, 1)), (1, 1))


def graph_of(*outputs: Node) -> Graph:
    return Graph("g", (X,), tuple((f"y{i}", node) for i, node in enumerate(outputs)))


def fused_names(graph: Graph) -> list[list[str]]:
    """The operators of each step after fusion; a region lists what it is made of."""
    steps = []
    for node in topological(graph.roots):
        if isinstance(node.op, Region):
            body = topological(node.op.body.roots)
            steps.append([n.op.name for n in body if n.op.name not in ("input", "literal")])
        elif node.inputs:
            steps.append([node.op.name])
    return steps


def assert_same_results(before: Graph, after: Graph) -> None:
    generator = np.random.default_rng(0)
    values = {
        "x": generator.standard_normal(SHAPE).astype(np.float32),
        "w": generator.standard_normal((4, 4, 3, 3)).astype(np.float32),
        "v": generator.standard_normal((4, 4, 3, 3)).astype(np.float32),
    }
    expected = run(before.roots, values)
    found = run(after.roots, values)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)


def check(graph: Graph, steps: list[list[str]], fuse: Fuse | None = None) -> None:
    fused = (fuse or Fuse())(graph)
    assert fused_names(fused) == steps
    assert_same_results(graph, fused)


def test_activation_joins_the_convolution_before_it() -> None:
    check(graph_of(Relu()(CONV(X, W))), [["conv", "relu"]])


def test_residual_add_joins_one_of_two_convolutions() -> None:
    both = Add()(CONV(X, W), CONV(X, V))
    fused = Fuse()(graph_of(Relu()(both)))
    assert sorted(map(len, fused_names(fused))) == [1, 3]
    assert_same_results(graph_of(Relu()(both)), fused)


def test_value_with_two_readers_in_one_region_stays_inside() -> None:
    conv = CONV(X, W)
    check(graph_of(Mul()(conv, Sigmoid()(conv))), [["conv", "sigmoid", "mul"]])


def test_distance_from_a_mean_is_computed_where_it_is_read() -> None:
    """Both readers read x and the means in place of a third tensor."""
    conv = CONV(X, W)
    distance = Sub()(conv, ReduceMean((0, 2, 3), keepdims=True)(conv))
    square = ReduceMean((0, 2, 3))(Mul()(distance, distance))
    graph = graph_of(square, Relu()(distance))
    steps = [["conv"], ["reduce_mean"], ["sub", "mul", "reduce_mean"], ["sub", "relu"]]
    check(graph, steps)


def test_what_only_a_repetition_would_keep_in_memory_is_computed_once() -> None:
    """The convolution has one reader, whose result may take its place."""
    scaled = Mul()(CONV(X, W), ReduceMean((0, 2, 3), keepdims=True)(X))
    graph = graph_of(ReduceMean((0, 2, 3))(scaled), Relu()(scaled))
    steps = sorted([["reduce_mean"], ["conv", "mul"], ["reduce_mean"], ["relu"]])
    assert sorted(fused_names(Fuse()(graph))) == steps
    assert_same_results(graph, Fuse()(graph))


def test_sum_of_two_tensors_is_computed_once() -> None:
    """To compute it again would read two tensors in place of one."""
    conv = CONV(X, W)
    both = Add()(conv, X)
    graph = graph_of(ReduceMean((0, 2, 3))(both), Relu()(both), Sigmoid()(conv))
    names = fused_names(Fuse()(graph))
    assert sum("add" in step for step in names) == 1
    assert_same_results(graph, Fuse()(graph))


def test_value_that_is_an_output_is_a_step_of_its_own() -> None:
    conv = CONV(X, W)
    check(graph_of(conv, Relu()(conv)), [["conv"], ["relu"]])


def test_squeeze_and_excite_keeps_the_mean_apart() -> None:
    conv = Relu()(CONV(X, W))
    scale = Sigmoid()(ReduceMean((2, 3), True)(conv))
    check(graph_of(Mul()(conv, scale)), [["conv", "relu"], ["reduce_mean", "sigmoid"], ["mul"]])


def test_convolution_takes_no_prologue() -> None:
    check(graph_of(CONV(Relu()(X), W)), [["relu"], ["conv"]])


def test_movement_takes_a_prologue_and_an_epilogue() -> None:
    moved = Permute((0, 2, 3, 1))(Sigmoid()(X))
    check(graph_of(Relu()(moved)), [["sigmoid", "permute", "relu"]])


def test_concat_reads_its_producers_in_place() -> None:
    check(graph_of(Concat(1)(Relu()(X), Sigmoid()(X))), [["relu", "sigmoid", "concat"]])


def test_operators_that_stand_alone_are_left_alone() -> None:
    graph = graph_of(Relu()(Concat(1)(Relu()(X), X)))
    check(graph, [["relu"], ["concat"], ["relu"]], Fuse(alone=frozenset({Concat})))


def test_literals_are_part_of_the_region() -> None:
    check(graph_of(Relu()(Mul()(X, literal(2.0, DType.F32)))), [["mul", "relu"]])


def test_size_of_regions_is_limited() -> None:
    node = X
    for _ in range(10):
        node = Sigmoid()(Relu()(node))
    fused = Fuse(max_ops=4)(graph_of(node))
    assert max(map(len, fused_names(fused))) == 4
    assert_same_results(graph_of(node), fused)
