"""Loops over time: the gradient of whole loops, what they keep, and how they are written down."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.ir.graph import Graph, Input, Node, Param, input_label, literal, topological
from dhc.ir.text import parse_graph, print_graph
from dhc.ir.types import DType
from dhc.ir.verify import verify_graph
from dhc.ops.base import run
from dhc.ops.differentiate import pull_back
from dhc.ops.elementwise import Mul
from dhc.ops.reduce import ReduceSum
from dhc.ops.scan import Scan
from dhc.passes.bind_sizes import bind_sizes
from dhc.passes.join_scans import JoinScans
from dhc.passes.legalise import Legalise
from dhc.passes.train_mode import TrainMode
from dhc.passes.widen import widen

GATED = """
model M() {
    input x: f32[N, T, 3]
    input start: f32[N, 4]
    input words: i64[N, T]
    let doubled = 2
    ys = scan step, word in (x, words) with h = start, c = zeros(4) {
        seen = (step -> dense(4)) + (word -> embedding(6, 4))
        gate = sigmoid((h -> dense(4, bias=false)) + seen)
        c2 = gate * c + (1 - gate) * tanh(seen * doubled)
        carry h = c2 * gate
        carry c = c2
        yield low = c2 -> dense(2)
        yield high = h + c2
    }
    output y = reduce_sum(ys.low, axes=[1, 2]) + reduce_mean(ys.high * ys.high, axes=[1, 2])
}
"""
NESTED = """
model M() {
    input x: f32[N, T, 3]
    ys = scan step in x with total = zeros(3) {
        zs = scan again in x with h = zeros(3) {
            h2 = tanh(again * step + h)
            carry h = h2
            yield h2
        }
        next = total + reduce_mean(zs, axes=[1]) * step
        carry total = next
        yield next
    }
    output y = ys
}
"""


def _wide(text: str, sizes: dict[str, int]) -> Graph:
    return widen(bind_sizes(load_text(text).model("M").graph, sizes))


def _values(graph: Graph) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    found: dict[str, np.ndarray] = {}
    for node in topological((*graph.inputs, *graph.roots)):
        shape = node.type.static_shape
        drawn = random.normal(size=shape) * 0.7
        if isinstance(node.op, Param):
            found[node.op.path] = drawn
        elif isinstance(node.op, Input):
            whole = random.integers(0, 6, shape)
            found[node.op.label] = drawn if node.type.dtype.is_float else whole
    return found


def _leaves(graph: Graph) -> dict[str, Node]:
    inputs = {input_label(node): node for node in graph.inputs if node.type.dtype.is_float}
    params = {n.op.path: n for n in topological(graph.roots) if isinstance(n.op, Param)}
    return {**inputs, **params}


def _gradients(graph: Graph) -> tuple[Node, dict[str, Node]]:
    """The objective of a graph with one output, and its gradients by name."""
    [(_, output)] = graph.outputs
    objective = ReduceSum(())(Mul()(output, output))
    leaves = _leaves(graph)
    found = pull_back(objective, literal(1.0, DType.F64), list(leaves.values()))
    return objective, {name: g for name, g in zip(leaves, found, strict=True) if g is not None}


@pytest.mark.parametrize("text", [GATED, NESTED], ids=["gated", "nested"])
def test_the_gradient_of_whole_loops_agrees_with_differences(text: str) -> None:
    graph = _wide(text, {"N": 2, "T": 3})
    values, step = _values(graph), 1e-6
    objective, gradients = _gradients(graph)
    assert gradients.keys() == _leaves(graph).keys()
    found = run(list(gradients.values()), values)
    for (name, _), slope in zip(gradients.items(), found, strict=True):
        numbers = np.random.default_rng(1).normal(size=values[name].shape)
        ends = [
            run([objective], {**values, name: values[name] + sign * step * numbers})[0]
            for sign in (1, -1)
        ]
        expected = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(np.sum(slope * numbers), expected, rtol=1e-6, err_msg=name)


def _loops(graph: Graph) -> list[Scan]:
    """The loops that run, each once."""
    found = {
        (node.op.loop, node.inputs): node.op
        for node in topological(graph.roots)
        if isinstance(node.op, Scan)
    }
    return list(found.values())


def test_one_loop_forwards_keeps_what_the_one_backwards_needs() -> None:
    graph = _wide(GATED, {"N": 2, "T": 3})
    objective, gradients = _gradients(graph)
    step = Graph("step", graph.inputs, (("loss", objective), *gradients.items()))
    joined = JoinScans()(step)
    assert sorted(loop.reverse for loop in _loops(joined)) == [False, True]
    values = _values(graph)
    before, after = (run(g.roots, values) for g in (step, joined))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_weights_are_added_up_by_one_product_after_the_loop() -> None:
    graph = _wide(GATED, {"N": 2, "T": 3})
    _, gradients = _gradients(graph)
    weights = {name: g for name, g in gradients.items() if name.endswith(".weight")}
    assert len(weights) == 4
    backward = [loop for loop in _loops(Graph("g", (), tuple(weights.items()))) if loop.reverse]
    assert {loop.carried for loop in backward} == {2}


def test_results_that_nobody_reads_are_not_made() -> None:
    graph = load_text(GATED.replace("reduce_sum(ys.low, axes=[1, 2]) +", "")).model("M").graph
    assert {len(loop.body.outputs) for loop in _loops(graph)} == {4}
    assert {len(loop.body.outputs) for loop in _loops(JoinScans()(graph))} == {3}


@pytest.mark.parametrize("text", [GATED, NESTED], ids=["gated", "nested"])
def test_steps_one_after_another_are_the_loop(text: str) -> None:
    graph = _wide(text, {"N": 2, "T": 3})
    unrolled = Legalise()(graph)
    assert not _loops(unrolled)
    values = _values(graph)
    np.testing.assert_allclose(run(unrolled.roots, values)[0], run(graph.roots, values)[0])


def test_the_text_of_a_loop_is_the_loop() -> None:
    graph = load_text(NESTED).model("M").graph
    verify_graph(graph)
    again = parse_graph(print_graph(graph, origins=False))
    assert again.outputs == graph.outputs


def test_names_inside_and_outside_of_a_loop_do_not_meet() -> None:
    """The model's input and the step are both called x, and have one type."""
    text = """model M() {
        input x: f32[N, 3]
        input xs: f32[N, T, 3]
        doubled = x * 2
        ys = scan x in xs { yield x + doubled }
        output ys
    }"""
    graph = load_text(text).model("M").graph
    x, xs = np.ones((1, 3), np.float32), np.full((1, 2, 3), 10, np.float32)
    found = compile_graph(graph, "reference")(x=x, xs=xs)["ys"]
    np.testing.assert_array_equal(found, np.full((1, 2, 3), 12))


@pytest.mark.parametrize("layer", ["dropout(0.5)", "batchnorm()"])
def test_what_cannot_be_trained_inside_of_a_loop_says_so(layer: str) -> None:
    text = f"""model M() {{
        input xs: f32[N, T, 3, 4, 4]
        ys = scan x in xs {{ yield x -> {layer} }}
        output ys
    }}"""
    graph = load_text(text).model("M").graph
    with pytest.raises(DhcError, match="cannot be trained inside of a scan"):
        TrainMode(graph.inputs[0].type.shape[0])(graph)


def test_a_loop_that_is_too_long_for_one_program_says_so() -> None:
    graph = load_text(NESTED).model("M").graph
    with pytest.raises(DhcError, match="This loop has 400 steps") as found:
        compile_graph(graph, "cpu", {"N": 1, "T": 400})(x=np.zeros((1, 400, 3), np.float32))
    [diagnostic] = found.value.diagnostics
    assert diagnostic.span is not None
    assert diagnostic.span.text.startswith("scan step in x")
