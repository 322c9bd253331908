"""Convolutions with fewer products: where they are used, and how exact they are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.backends.cpu import CpuBackend
from dhc.backends.cpu.kernels import winograd_grad
from dhc.backends.cpu.kernels.winograd import WinogradKernel
from dhc.backends.cpu.kernels.winograd_grad import WinogradGradKernel
from dhc.driver import COMMON_PASSES, compile_graph
from dhc.ir.graph import Array, Graph, Input, Node, Param
from dhc.ir.types import DType, Tensor
from dhc.numerics import evaluate
from dhc.ops.activation import Relu, Silu
from dhc.ops.conv import Conv
from dhc.ops.conv_grad import ConvWeightGrad
from dhc.ops.elementwise import Add
from dhc.passes.manager import run_passes

SAME = ((1, 1), (1, 1))
CASES = {  # input, filters, padding
    "even": ((2, 16, 16, 16), 32, SAME),
    "uneven_groups": ((1, 48, 22, 26), 48, SAME),  # 143 tiles, no multiple of any group
    "one_vector": ((3, 32, 14, 20), 16, SAME),
    "no_padding": ((1, 16, 28, 26), 32, ((0, 0), (0, 0))),
    "lopsided": ((1, 16, 24, 25), 32, ((2, 0), (0, 1))),
    "odd": ((9, 16, 7, 9), 32, SAME),
    "odd_rows": ((2, 16, 17, 32), 48, SAME),
    "odd_columns": ((2, 16, 16, 23), 16, SAME),
}


def _conv(x: Node, filters: int, pads: tuple[tuple[int, int], ...], name: str = "w") -> Node:
    weight = Param(name, Tensor(DType.F32, (filters, x.type.static_shape[1], 3, 3)))()
    bias = Param(f"{name}.bias", Tensor(DType.F32, (filters,)))()
    return Conv((1, 1), pads, (1, 1))(x, weight, bias)


def _graph(name: str) -> Graph:
    """An epilogue that reads another tensor, short enough to be written out, and a long one."""
    shape, filters, pads = CASES[name]
    x = Input("x", Tensor(DType.F32, shape))()
    y = Relu()(_conv(Relu()(x), filters, pads))
    other = Input("other", y.type)()
    return Graph(name, (x, other), (("y", y), ("z", Silu()(Add()(_conv(x, filters, pads), other)))))


def _values(graph: Graph) -> dict[str, Array]:
    generator = np.random.default_rng(5)
    types = {n.op.label: n.type for n in graph.inputs if isinstance(n.op, Input)}
    types |= {param.path: param.type for param in graph.params}
    return {n: generator.standard_normal(t.static_shape).astype("f4") for n, t in types.items()}


def _compiled(graph: Graph, values: Mapping[str, Array], target: Target) -> dict[str, Array]:
    params = {param.path: values[param.path] for param in graph.params}
    inputs = {n.op.label: values[n.op.label] for n in graph.inputs if isinstance(n.op, Input)}
    return compile_graph(graph, target, parameters=params)(**inputs)


def _check_results(graph: Graph, isa: str, threads: int) -> None:
    """Holds every output to what float64 gives."""
    values = _values(graph)
    target = Target("cpu", threads=threads, options={"isa": isa} if isa else {})
    found = _compiled(graph, values, target)
    for (label, _), expected in zip(graph.outputs, evaluate(graph, values), strict=True):
        np.testing.assert_allclose(found[label], expected, atol=3e-6 * np.abs(expected).max())


def _kernels(graph: Graph, isa: str, kind: type = WinogradKernel) -> list[bool]:
    backend = CpuBackend(Target("cpu", options={"isa": isa}))
    steps = backend.lower(run_passes(graph, COMMON_PASSES)).plan.steps
    return [isinstance(step.kernel, kind) for step in steps]


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("isa", ["", "avx2", "generic"])
@pytest.mark.parametrize("name", CASES)
def test_results_are_those_of_convolution(name: str, isa: str, threads: int) -> None:
    _check_results(_graph(name), isa, threads)


@pytest.mark.parametrize("isa", ["avx512", "avx2"])
@pytest.mark.parametrize("name", CASES)
def test_large_plain_convolutions_use_it(name: str, isa: str) -> None:
    assert sum(_kernels(_graph(name), isa)) == 2


@pytest.mark.parametrize(
    ("shape", "stride", "dilation"),
    [
        ((1, 16, 20, 20), 1, 1),  # 100 tiles are too few
        ((32, 16, 5, 5), 1, 1),  # 9 tiles for 25 results are no gain
        ((2, 12, 32, 32), 1, 1),  # channels that fill no vectors
        ((1, 1024, 32, 32), 1, 1),  # more transformed weights than a core holds
        ((2, 16, 64, 64), 2, 1),
        ((2, 16, 34, 34), 1, 2),
    ],
)
def test_others_do_not(shape: tuple[int, ...], stride: int, dilation: int) -> None:
    x = Input("x", Tensor(DType.F32, shape))()
    weight = Param("w", Tensor(DType.F32, (32, shape[1], 3, 3)))()
    pads = ((dilation, dilation),) * 2
    y = Relu()(Conv((stride, stride), pads, (dilation, dilation))(Relu()(x), weight))
    assert not any(_kernels(Graph("g", (x,), (("y", y),)), "avx512"))


def _gradient(name: str) -> Graph:
    """Activations come before, so that both operands are computed and lie channels last."""
    shape, filters, pads = CASES[name]
    x = Input("x", Tensor(DType.F32, shape))()
    places = (n + sum(own) - 2 for n, own in zip(shape[2:], pads, strict=True))
    upstream = Input("up", Tensor(DType.F32, (shape[0], filters, *places)))()
    grad = ConvWeightGrad((1, 1), pads, (1, 1), 1, (3, 3))(Relu()(x), Relu()(upstream))
    return Graph(name, (x, upstream), (("w", grad),))


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("isa", ["", "avx2", "generic"])
@pytest.mark.parametrize("name", CASES)
def test_gradients_for_weights_are_those_of_convolution(name: str, isa: str, threads: int) -> None:
    _check_results(_gradient(name), isa, threads)


def test_many_channels_and_tiles_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums and chunks of tiles are cut where they would not stay near a core."""
    monkeypatch.setattr(winograd_grad, "SUM_BYTES", 2 * 16 * 16 * 32 * 4)
    monkeypatch.setattr(winograd_grad, "CHUNK_BYTES", 0)
    monkeypatch.setattr(winograd_grad, "LEAST_CHUNK", 7)
    shape = (2, 80, 12, 14)
    x, up = (
        Input("x", Tensor(DType.F32, shape))(),
        Input("up", Tensor(DType.F32, (2, 32, 12, 14)))(),
    )
    grad = ConvWeightGrad((1, 1), SAME, (1, 1), 1, (3, 3))(Relu()(x), Relu()(up))
    graph = Graph("turns", (x, up), (("w", grad),))
    for threads in (1, 3, 4):
        _check_results(graph, "", threads)


@pytest.mark.parametrize("name", CASES)
def test_gradients_use_it(name: str) -> None:
    shape, filters, _ = CASES[name]
    found = _kernels(_gradient(name), "avx512", WinogradGradKernel)
    assert any(found) == (max(shape[1], filters) > 16)
    assert any(_kernels(_gradient(name), "avx2", WinogradGradKernel))


def test_nothing_stays_nothing_and_sums_lose_few_digits() -> None:
    """Where inputs are 0 so are results; the error is that of few roundings."""
    shape = (1, 256, 32, 32)
    x = Input("x", Tensor(DType.F32, shape))()
    graph = Graph("g", (x,), (("y", Relu()(_conv(x, 32, SAME))),))
    values = _values(graph)
    values["x"][..., :16] = 0
    values["w.bias"][:] = 0
    (expected,) = evaluate(graph, values)
    found = _compiled(graph, values, Target("cpu", threads=2))["y"]
    assert not found[..., :14].any()
    assert np.abs(found - expected).max() < 2e-6 * np.abs(expected).max()
