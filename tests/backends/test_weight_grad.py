"""Gradients of convolution weights: however many workers share them, they are what numpy says."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.backends.cpu import CpuBackend
from dhc.backends.cpu.kernels.weight_grad import WeightGradKernel
from dhc.driver import compile_graph
from dhc.ir.graph import Graph, Input
from dhc.ir.types import DType, Tensor
from dhc.numerics import evaluate
from dhc.ops.activation import Relu
from dhc.ops.conv_grad import ConvWeightGrad

POINT = ((0, 0), (0, 0))
CASES = {
    "one_block": (ConvWeightGrad((1, 1), ((1, 1),) * 2, (1, 1), 1, (3, 3)), (2, 6, 9, 7), 16),
    "uneven": (ConvWeightGrad((2, 1), ((0, 1), (1, 0)), (1, 2), 1, (3, 2)), (1, 5, 7, 9), 21),
    "point": (ConvWeightGrad((1, 1), POINT, (1, 1), 1, (1, 1)), (2, 37, 4, 5), 24),
    "stem": (ConvWeightGrad((2, 2), ((3, 3),) * 2, (1, 1), 1, (7, 7)), (1, 3, 16, 12), 33),
    "line": (ConvWeightGrad((1,), ((1, 1),), (1,), 1, (3,)), (3, 20, 11), 8),
    "volume": (ConvWeightGrad((1,) * 3, ((1, 1),) * 3, (1,) * 3, 1, (3,) * 3), (1, 4, 4, 5, 3), 9),
}


def _graph(name: str) -> Graph:
    """Activations come before, as in networks, so that both operands are computed tensors."""
    op, shape, filters = CASES[name]
    x = Input("x", Tensor(DType.F32, shape))()
    places = [
        (size + before + after - (k - 1) * d - 1) // s + 1
        for size, s, (before, after), d, k in zip(
            shape[2:], op.stride, op.pads, op.dilation, op.kernel, strict=True
        )
    ]
    upstream = Input("up", Tensor(DType.F32, (shape[0], filters, *places)))()
    return Graph(name, (x, upstream), (("w", op(Relu()(x), Relu()(upstream))),))


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("name", CASES)
def test_any_number_of_workers_finds_the_same(name: str, threads: int) -> None:
    graph, generator = _graph(name), np.random.default_rng(0)
    values = {
        node.op.label: generator.standard_normal(node.type.static_shape).astype("f4")
        for node in graph.inputs
        if isinstance(node.op, Input)
    }
    (expected,) = evaluate(graph, values)
    for isa in ("", "avx2"):
        target = Target("cpu", threads=threads, options={"isa": isa} if isa else {})
        found = compile_graph(graph, target, parameters={})(**values)["w"]
        np.testing.assert_allclose(found, expected, atol=1e-5 * float(np.abs(expected).max()))


@pytest.mark.parametrize("name", CASES)
def test_they_have_a_kernel_of_their_own(name: str) -> None:
    steps = CpuBackend(Target("cpu", options={"isa": "avx2"})).lower(_graph(name)).plan.steps
    assert any(isinstance(step.kernel, WeightGradKernel) for step in steps)
