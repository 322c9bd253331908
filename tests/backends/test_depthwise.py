"""Depthwise convolutions and their gradients: native, and what the plain operators mean."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.backends.cpu import CpuBackend
from dhc.backends.cpu.features import AVX512
from dhc.backends.cpu.kernels.depthwise import DepthwiseKernel
from dhc.backends.cpu.kernels.depthwise_grad import DepthwiseGradKernel
from dhc.backends.cpu.packing import PackWeights
from dhc.driver import COMMON_PASSES, compile_graph
from dhc.ir.graph import Array, Graph, Input, Node, literal, topological
from dhc.ir.types import DType, Tensor
from dhc.numerics import evaluate
from dhc.ops.activation import Silu
from dhc.ops.conv import Conv
from dhc.ops.differentiate import pull_back
from dhc.ops.elementwise import Mul
from dhc.ops.reduce import ReduceSum
from dhc.passes.manager import run_passes
from tests.backends.test_packing import check_definition

C = 32
CASES = {
    "plane": (Conv((1, 1), ((1, 1),) * 2, (1, 1), C), (2, C, 5, 7), (3, 3)),
    "stride": (Conv((2, 2), ((1, 1),) * 2, (1, 1), C), (2, C, 8, 6), (3, 3)),
    "five": (Conv((2, 2), ((2, 2),) * 2, (1, 1), C), (1, C, 4, 8), (5, 5)),
    "uneven": (Conv((2, 1), ((0, 1), (2, 0)), (1, 2), C), (1, C, 6, 9), (3, 2)),
    "line": (Conv((1,), ((3, 3),), (1,), C), (2, C, 9), (7,)),
    "volume": (Conv((1, 2, 1), ((1, 1),) * 3, (1,) * 3, C), (1, C, 3, 4, 5), (3, 3, 3)),
}


def _graph(name: str) -> Graph:
    """A convolution between activations, and its gradients for input and weights."""
    conv, shape, kernel = CASES[name]
    x = Input("x", Tensor(DType.F32, shape))()
    weight = Input("w", Tensor(DType.F32, (C, 1, *kernel)))()
    result = conv(Silu()(x), weight)
    total = ReduceSum()(Mul()(result, Silu()(result)))
    found = pull_back(total, literal(1.0, DType.F32), [x, weight])
    roots: list[Node] = [result, *(each for each in found if each is not None)]
    outputs = tuple(zip(("y", "of_x", "of_w"), roots, strict=True))
    return Graph(name, (x, weight), outputs)


def _values(graph: Graph) -> dict[str, Array]:
    generator = np.random.default_rng(3)
    return {
        node.op.label: generator.standard_normal(node.type.static_shape).astype("f4")
        for node in graph.inputs
        if isinstance(node.op, Input)
    }


@pytest.mark.parametrize("name", CASES)
def test_packed_operators_have_the_plain_meaning(name: str) -> None:
    graph = _graph(name)
    packed = PackWeights(AVX512)(graph)
    assert {"cpu_depthwise", "cpu_depthwise_grad"} <= {n.op.name for n in topological(packed.roots)}
    values = _values(graph)
    for found, expected in zip(evaluate(packed, values), evaluate(graph, values), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)
    for node in topological(packed.roots):
        if "depthwise" in node.op.name:
            check_definition(node)


@pytest.mark.parametrize("isa", ["", "avx2", "generic"])
@pytest.mark.parametrize("name", CASES)
def test_compiled_kernels_agree_with_the_reference(name: str, isa: str) -> None:
    graph = _graph(name)
    values = _values(graph)
    target = Target("cpu", threads=2, options={"isa": isa} if isa else {})
    found = compile_graph(graph, target, parameters={})(**values)
    for (label, _), expected in zip(graph.outputs, evaluate(graph, values), strict=True):
        scale = float(np.abs(expected).max())
        np.testing.assert_allclose(found[label], expected, atol=1e-5 * scale)


@pytest.mark.parametrize(("name", "forward"), [("plane", 2), ("stride", 2), ("uneven", 1)])
def test_which_kernels_are_native(name: str, forward: int) -> None:
    """All, but for the gradient of strides with dilation, whose phases have uneven taps."""
    backend = CpuBackend(Target("cpu", options={"isa": "avx2"}))
    steps = backend.lower(run_passes(_graph(name), COMMON_PASSES)).plan.steps
    kernels = [step.kernel for step in steps]
    assert sum(isinstance(kernel, DepthwiseKernel) for kernel in kernels) == forward
    assert sum(isinstance(kernel, DepthwiseGradKernel) for kernel in kernels) == 1
