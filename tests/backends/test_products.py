"""Products of matrices on the processor: packed, with any leading axes, and native."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhc.backends.base import Target
from dhc.backends.cpu.features import AVX2, AVX512
from dhc.backends.cpu.layout import find_images
from dhc.backends.cpu.packing import PackedDense, PackWeights
from dhc.driver import compile_graph
from dhc.ir.graph import Graph, Input, Node, Param, topological
from dhc.ir.types import DType, Tensor
from dhc.ops.activation import Relu
from dhc.ops.base import run
from dhc.ops.conv import Conv
from dhc.ops.elementwise import Add
from dhc.ops.linear import MatMul
from dhc.ops.shape import Permute, Reshape

PRODUCTS = {
    "plain": ((5, 7), (7, 20)),
    "heads": ((2, 3, 9, 8), (2, 3, 8, 33)),
    "matrix_repeats": ((4, 6, 10), (10, 17)),
    "rows_repeat": ((6, 10), (3, 10, 17)),
    "both_repeat": ((2, 1, 5, 6), (3, 6, 16)),
    "one_row_each": ((40, 1, 30), (30, 48)),
    "long": ((1, 300, 1100), (1100, 24)),
    "many_rows": ((1, 2400, 12), (12, 32)),
}


def _product(a: tuple[int, ...], b: tuple[int, ...], weight: bool = False) -> Graph:
    x = Input("x", Tensor(DType.F32, a))()
    kind = Tensor(DType.F32, b)
    matrix = Param("m", kind)() if weight else Input("m", kind)()
    inputs = (x,) if weight else (x, matrix)
    product = MatMul()(x, matrix)
    return Graph("product", inputs, (("y", Relu()(product)), ("sum", Add()(product, product))))


def _random(shape: tuple[int, ...]) -> np.ndarray:
    generator = np.random.default_rng(len(shape) + sum(shape))
    return generator.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("weight", [False, True], ids=["computed", "weight"])
@pytest.mark.parametrize("isa", ["avx2", ""])
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_of_matrices(name: str, isa: str, weight: bool) -> None:
    a, b = map(_random, PRODUCTS[name])
    given = {"x": a} if weight else {"x": a, "m": b}
    target = Target("cpu", threads=2, options={"isa": isa} if isa else {})
    program = compile_graph(
        _product(*PRODUCTS[name], weight), target, parameters={"m": b} if weight else {}
    )
    wanted = np.matmul(a.astype(np.float64), b.astype(np.float64))
    found = program(**given)
    np.testing.assert_allclose(found["y"], np.maximum(wanted, 0), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found["sum"], 2 * wanted, rtol=1e-5, atol=1e-4)


@given(
    batch=st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.booleans()), max_size=2),
    sizes=st.tuples(st.integers(1, 30), st.integers(1, 40), st.integers(1, 70)),
)
@settings(max_examples=25, deadline=None)
def test_packed_products_mean_the_same(
    batch: list[tuple[int, bool, bool]], sizes: tuple[int, int, int]
) -> None:
    """Leading axes that repeat in either operand, and any number of rows and columns."""
    rows, depth, columns = sizes
    a = _random((*(1 if once else n for n, once, _ in batch), rows, depth))
    b = _random((*(1 if once else n for n, _, once in batch), depth, columns))
    graph = _product(a.shape, b.shape)
    packed = PackWeights(AVX2)(graph)
    (plain,), (changed,) = (run([g.outputs[0][1]], {"x": a, "m": b}) for g in (graph, packed))
    np.testing.assert_allclose(changed, plain, rtol=1e-4, atol=1e-4)


def _has_packed(graph: Graph) -> bool:
    return any(isinstance(node.op, PackedDense) for node in topological(graph.roots))


def test_what_gains_nothing_stays_as_it_is() -> None:
    """A matrix that serves one row is read once in any form; few columns leave lanes idle."""
    assert not _has_packed(PackWeights(AVX512)(_product((1, 64), (64, 64))))
    assert _has_packed(PackWeights(AVX512)(_product((1, 64), (64, 64), weight=True)))
    assert not _has_packed(PackWeights(AVX512)(_product((9, 64), (64, 7))))


def _heads() -> tuple[Node, Node, Node]:
    """A convolution, its result as matrices for each head, and their product with themselves."""
    x = Input("x", Tensor(DType.F32, (1, 3, 6, 6)))()
    weight = Param("w", Tensor(DType.F32, (16, 3, 3, 3)))()
    image = Relu()(Conv((1, 1), ((1, 1), (1, 1)), (1, 1))(x, weight))
    keys = Relu()(Reshape((1, 2, 8, 36))(image))
    return image, keys, MatMul()(Permute((0, 1, 3, 2))(keys), keys)


def test_matrices_lie_in_order_beside_images() -> None:
    """They have as many axes, but the second one is no channel."""
    image, keys, scores = _heads()
    graph = Graph("g", (image.inputs[0].inputs[0],), (("y", scores),))
    assert find_images(graph) >= {image, image.inputs[0]}
    assert not find_images(graph) & {keys, scores}


def test_products_of_what_convolutions_give() -> None:
    image, _, scores = _heads()
    x = image.inputs[0].inputs[0]
    values = {"x": _random((1, 3, 6, 6)), "w": _random((16, 3, 3, 3))}
    (wanted,) = run([scores], {name: each.astype(np.float64) for name, each in values.items()})
    program = compile_graph(
        Graph("g", (x,), (("y", scores),)), "cpu", parameters={"w": values["w"]}
    )
    np.testing.assert_allclose(program(x=values["x"])["y"], wanted, rtol=1e-4, atol=1e-3)
