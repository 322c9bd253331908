"""Convolutions with packed weights mean what the plain ones mean, whatever the sizes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.backends.cpu.features import AVX2, AVX512, Isa
from dhc.backends.cpu.packing import PackWeights
from dhc.driver import compile_graph
from dhc.ir.evaluate import evaluate
from dhc.ir.graph import Array, Graph, Input, Node, Param, topological
from dhc.ir.scalar import Buffer, Scalar
from dhc.ir.types import DType, Tensor
from dhc.lower.to_kernels import BufferOperand, row_major
from dhc.ops.activation import Silu
from dhc.ops.base import Operator, axis_variable, run
from dhc.ops.conv import Conv
from dhc.ops.conv_transpose import ConvTranspose
from dhc.ops.elementwise import Add
from dhc.ops.linear import Dense
from dhc.ops.shape import Concat

CASES = {
    "conv_line": (Conv((2,), ((1, 0),), (1,)), (2, 3, 11), (5, 3, 3)),
    "conv_column": (Conv((1, 1), ((2, 1), (0, 0)), (1, 1)), (2, 5, 30, 1), (20, 5, 4, 1)),
    "conv_narrow": (Conv((2, 1), ((1, 1), (1, 1)), (1, 1)), (1, 5, 40, 3), (20, 5, 3, 3)),
    "conv_plane": (Conv((1, 1), ((1, 1), (1, 1)), (1, 1)), (1, 5, 6, 7), (33, 5, 3, 3)),
    "conv_dilated": (Conv((1, 2), ((2, 2), (0, 1)), (2, 1)), (2, 4, 7, 9), (16, 4, 3, 2)),
    "conv_volume": (Conv((1, 2, 1), ((1, 1),) * 3, (1, 1, 1)), (1, 2, 4, 5, 6), (17, 2, 3, 3, 3)),
    "conv_point": (Conv((1, 1), ((0, 0),) * 2, (1, 1)), (1, 32, 1, 1), (100, 32, 1, 1)),
    "double": (ConvTranspose((2, 2), ((0, 0),) * 2, (0, 0), (1, 1)), (1, 5, 3, 4), (5, 18, 2, 2)),
    "double_cut": (
        ConvTranspose((2, 2), ((1, 1),) * 2, (0, 0), (1, 1)), (2, 3, 4, 5), (3, 9, 4, 4),
    ),
    "triple": (ConvTranspose((3,), ((1, 2),), (0,), (1,)), (1, 2, 7), (2, 40, 6)),
    "odd": (
        ConvTranspose((2, 2), ((1, 1),) * 2, (1, 1), (1, 1)), (2, 5, 4, 3), (5, 18, 3, 3),
    ),
    "sparse": (
        ConvTranspose((3, 2), ((0, 0),) * 2, (2, 1), (1, 1)), (2, 20, 3, 4), (20, 17, 1, 1),
    ),
    "volume": (
        ConvTranspose((2,) * 3, ((0, 0),) * 3, (0,) * 3, (1,) * 3), (1, 3, 2, 3, 4),
        (3, 16, 2, 2, 2),
    ),
    "same": (ConvTranspose((1, 2), ((1, 1), (1, 1)), (0, 0), (1, 1)), (1, 3, 5, 6), (3, 8, 3, 4)),
    "dense": (Dense(), (3, 20), (21, 20)),
    "conv_long": (Conv((1, 1), ((1, 1), (1, 1)), (1, 1)), (1, 200, 5, 6), (17, 200, 3, 3)),
    "conv_prime": (Conv((2, 1), ((1, 1), (1, 1)), (1, 1)), (1, 577, 4, 5), (16, 577, 3, 3)),
    "dense_long": (Dense(), (2, 3000), (33, 3000)),
}  # fmt: skip


def _graph(name: str) -> Graph:
    op, x_shape, w_shape = CASES[name]
    filters = w_shape[1] if isinstance(op, ConvTranspose) else w_shape[0]
    x = Input("x", Tensor(DType.F32, x_shape))()
    weight = Param("weight", Tensor(DType.F32, w_shape))()
    bias = Param("bias", Tensor(DType.F32, (filters,)))()
    return Graph(name, (x,), (("y", op(x, weight, bias)),))


def _values(name: str) -> dict[str, Array]:
    generator = np.random.default_rng(len(name))
    op, x_shape, w_shape = CASES[name]
    filters = w_shape[1] if isinstance(op, ConvTranspose) else w_shape[0]
    shapes = {"x": x_shape, "weight": w_shape, "bias": (filters,)}
    return {label: generator.standard_normal(s).astype("f4") for label, s in shapes.items()}


def _packed(name: str, isa: Isa) -> Graph:
    packed = PackWeights(isa)(_graph(name))
    assert any(node.op.name.startswith("cpu_") for node in topological(packed.roots))
    return packed


@pytest.mark.parametrize("isa", [AVX2, AVX512], ids=lambda isa: isa.name)
@pytest.mark.parametrize("name", CASES)
def test_packed_operators_have_the_plain_meaning(name: str, isa: Isa) -> None:
    graph, packed = _graph(name), _packed(name, isa)
    values = {label: array.astype("f8") for label, array in _values(name).items()}
    (expected,) = run([graph.outputs[0][1]], values)
    (found,) = run([packed.outputs[0][1]], values)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_definitions_agree_with_numpy(name: str) -> None:
    for node in topological(_packed(name, AVX2).roots):
        if node.inputs:
            check_definition(node)


def check_definition(node: Node) -> None:
    """Compares an operator's definition of its elements with its numpy meaning."""
    assert isinstance(node.op, Operator)
    generator = np.random.default_rng(0)
    operands = [
        BufferOperand(row_major(f"b{i}", s.type), s.type) for i, s in enumerate(node.inputs)
    ]
    arrays = [generator.standard_normal(s.type.static_shape) for s in node.inputs]
    memory: dict[Buffer, Array] = {
        operand.buffer: a.astype("f4") for operand, a in zip(operands, arrays, strict=True)
    }
    axes = tuple(axis_variable(f"i{k}", size) for k, size in enumerate(node.type.shape))
    grids = np.meshgrid(*map(np.arange, node.type.static_shape), indexing="ij", sparse=True)
    places: dict[Scalar, Array] = dict(zip(axes, grids, strict=True))
    found = evaluate(node.op.element(node.type, axes, *operands), places, memory)
    expected = node.op.numpy(*(a.astype("f4").astype("f8") for a in arrays))
    scale = max(float(np.abs(expected).max()), 1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("isa", ["", "avx2", "generic"])
@pytest.mark.parametrize("name", CASES)
def test_compiled_kernels_agree_with_the_reference(name: str, isa: str) -> None:
    values = _values(name)
    x, weights = values.pop("x"), values
    target = Target("cpu", threads=2, options={"isa": isa} if isa else {})
    found = compile_graph(_graph(name), target, parameters=weights)(x=x)["y"]
    wide = {label: array.astype("f8") for label, array in {**values, "x": x}.items()}
    (expected,) = run([_graph(name).outputs[0][1]], wide)
    scale = float(np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6 * max(scale, 1.0))


def test_long_sums_lose_few_digits() -> None:
    """One sum after another of 25,000 products would be wrong by about 2e-6."""
    generator = np.random.default_rng(0)
    x = generator.random((1, 25_088)).astype("f4")
    weight = generator.random((32, 25_088)).astype("f4")
    node = Input("x", Tensor(DType.F32, x.shape))()
    graph = Graph(
        "long", (node,), (("y", Dense()(node, Param("w", Tensor(DType.F32, weight.shape))())),)
    )
    found = compile_graph(graph, "cpu", parameters={"w": weight})(x=x)["y"]
    expected = x.astype("f8") @ weight.astype("f8").T
    assert np.abs(found / expected - 1).max() < 4e-7


def _epilogues() -> Iterator[tuple[str, Graph]]:
    x = Input("x", Tensor(DType.F32, (1, 4, 6, 8)))()
    deep = Param("deep", Tensor(DType.F32, (4, 16, 2, 2)))()
    flat = Param("flat", Tensor(DType.F32, (16, 4, 3, 3)))()
    up = ConvTranspose((2, 2), ((0, 0),) * 2, (0, 0), (1, 1))(x, deep)
    yield "silu", Graph("g", (x,), (("y", Silu()(up)),))
    other = Input("other", Tensor(DType.F32, (1, 16, 12, 16)))()
    yield "add", Graph("g", (x, other), (("y", Silu()(Add()(up, other))),))
    same = Conv((1, 1), ((1, 1),) * 2, (1, 1))(x, flat)
    last = Param("last", Tensor(DType.F32, (3, 32, 3, 3)))()
    deeper = Param("deeper", Tensor(DType.F32, (16, 16, 2, 2)))()
    second = ConvTranspose((2, 2), ((0, 0),) * 2, (0, 0), (1, 1))(same, deeper)
    joined = Concat(1)(up, Silu()(second))
    yield "concat", Graph("g", (x,), (("y", Conv((1, 1), ((1, 1),) * 2, (1, 1))(joined, last)),))


@pytest.mark.parametrize(
    ("name", "graph"), list(_epilogues()), ids=lambda v: str(v) if isinstance(v, str) else ""
)
def test_epilogues_and_shared_storage(name: str, graph: Graph) -> None:
    generator = np.random.default_rng(1)
    weights = {
        p.path: generator.standard_normal(p.type.static_shape).astype("f4") for p in graph.params
    }
    inputs = {
        n.op.label: generator.standard_normal(n.type.static_shape).astype("f4")
        for n in graph.inputs
        if isinstance(n.op, Input)
    }
    found = compile_graph(graph, Target("cpu", threads=2), parameters=weights)(**inputs)["y"]
    wide = {label: array.astype("f8") for label, array in {**weights, **inputs}.items()}
    (expected,) = run([graph.outputs[0][1]], wide)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
