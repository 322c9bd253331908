"""What exporters take apart is put together again, and means the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import dhc.ops  # noqa: F401  (registers the operators)
from dhc.ir.graph import (
    Array,
    Constant,
    Graph,
    Input,
    Node,
    Param,
    digest_of,
    literal,
    topological,
)
from dhc.ir.types import DType, Tensor
from dhc.onnx.tidy import tidied
from dhc.ops.base import operators, run

X = Input("x", Tensor(DType.F32, (2, 5, 6)))()


def _do(name: str, *inputs: Node | float, **attributes: object) -> Node:
    nodes = [literal(each, DType.F32) if isinstance(each, float) else each for each in inputs]
    return operators[name](**attributes)(*nodes)


def _parameter(path: str, *shape: int) -> Node:
    return Param(path, Tensor(DType.F32, shape))()


def _standardised(square: Callable[[Node], Node], axes: tuple[int, ...]) -> Node:
    distance = _do("sub", X, _do("reduce_mean", X, axes=axes, keepdims=True))
    variance = _do("reduce_mean", square(distance), axes=axes, keepdims=True)
    return _do("div", distance, _do("sqrt", _do("add", variance, 1e-5)))


def _layernorm(square: Callable[[Node], Node], scale_first: bool) -> Node:
    normal, scale = _standardised(square, (-1,)), _parameter("scale", 6)
    product = _do("mul", scale, normal) if scale_first else _do("mul", normal, scale)
    return _do("add", product, _parameter("bias", 6))


def _by_erf(outside: bool) -> Node:
    """Before or after the sum: x * 0.5 * (1 + erf), or x * (0.5 * (1 + erf))."""
    more = _do("add", _do("erf", _do("div", X, 2**0.5)), 1.0)
    return _do("mul", _do("mul", X, more), 0.5) if outside else _do("mul", X, _do("mul", 0.5, more))


def _by_tanh() -> Node:
    cubic = _do("add", X, _do("mul", _do("mul", X, _do("mul", X, X)), 0.044715))
    more = _do("add", 1.0, _do("tanh", _do("mul", cubic, (2 / np.pi) ** 0.5)))
    return _do("mul", _do("mul", 0.5, X), more)


def _swished(divided: bool) -> Node:
    gate = _do("clip", _do("add", X, 3.0), low=0.0, high=6.0)
    if divided:
        return _do("div", _do("mul", X, gate), 6.0)
    return _do("mul", X, _do("mul", gate, 1 / 6))


def _dense(bias_first: bool) -> Node:
    product, bias = _do("matmul", X, _parameter("w", 6, 4)), _parameter("bias", 4)
    return _do("add", bias, product) if bias_first else _do("add", product, bias)


CASES: dict[str, tuple[Node, str]] = {
    "layernorm, squared": (_layernorm(lambda d: _do("mul", d, d), True), "layernorm"),
    "layernorm, power": (_layernorm(lambda d: _do("pow", d, 2.0), False), "layernorm"),
    "an axis in the middle": (_standardised(lambda d: _do("mul", d, d), (1,)), "layernorm"),
    "two axes": (_standardised(lambda d: _do("mul", d, d), (1, 2)), "layernorm"),
    "gelu": (_by_erf(True), "gelu"),
    "gelu, inner half": (_by_erf(False), "gelu"),
    "gelu of tanh": (_by_tanh(), "gelu"),
    "silu": (_do("mul", _do("sigmoid", X), X), "silu"),
    "quick gelu": (_do("mul", X, _do("sigmoid", _do("mul", 1.702, X))), "quick_gelu"),
    "hardswish": (_do("mul", X, _do("hardsigmoid", X, alpha=1 / 6)), "hardswish"),
    "hardswish, divided": (_swished(True), "hardswish"),
    "hardswish, times a sixth": (_swished(False), "hardswish"),
    "mish": (_do("mul", X, _do("tanh", _do("softplus", X))), "mish"),
    "dense": (_dense(False), "dense"),
    "dense, bias first": (_dense(True), "dense"),
}


def _values(graph: Graph) -> dict[str, Array]:
    random = np.random.default_rng(3)
    shapes = {param.path: param.type.static_shape for param in graph.params}
    return {path: random.normal(size=shape).astype(np.float32) for path, shape in shapes.items()}


def _run(graph: Graph, values: dict[str, Array]) -> Array:
    x = np.random.default_rng(4).normal(size=(2, 5, 6), scale=2).astype(np.float32)
    (result,) = run([node for _, node in graph.outputs], {"x": x, **values})
    return result


@pytest.mark.parametrize("name", CASES)
def test_patterns_become_one_operator_of_the_same_meaning(name: str) -> None:
    root, wanted = CASES[name]
    graph = Graph("Model", (X,), (("y", root),))
    values = _values(graph)
    tidy, turned = tidied(graph, values)
    made = [node.op.name for node in topological(tidy.roots) if node.inputs]
    assert made == [wanted]
    np.testing.assert_allclose(_run(tidy, dict(turned)), _run(graph, values), rtol=2e-5, atol=2e-6)


ALMOST: dict[str, Node] = {
    "another mean": _do(
        "div",
        _do("sub", X, _do("reduce_mean", X, axes=(-1,), keepdims=True)),
        _do(
            "sqrt",
            _do("add", _do("reduce_mean", _do("mul", X, X), axes=(-1,), keepdims=True), 1e-5),
        ),
    ),
    "another half": _do(
        "mul", _do("mul", X, _do("add", _do("erf", _do("div", X, 2**0.5)), 1.0)), 0.4
    ),
    "another gate": _do("mul", X, _do("sigmoid", _do("add", X, 1.0))),
    "another slope": _do("mul", X, _do("hardsigmoid", X)),
    "clipped elsewhere": _do(
        "div", _do("mul", X, _do("clip", _do("add", X, 2.0), low=0.0, high=5.0)), 6.0
    ),
    "weights on the left": _do("matmul", _parameter("w", 5, 5), X),
    "weights read twice": _do(
        "add", _do("matmul", X, _parameter("w", 6, 6)), _do("reduce_sum", _parameter("w", 6, 6))
    ),
}


@pytest.mark.parametrize("name", ALMOST)
def test_what_only_looks_alike_stays(name: str) -> None:
    graph = Graph("Model", (X,), (("y", ALMOST[name]),))
    values = _values(graph)
    tidy, turned = tidied(graph, values)
    assert tidy == graph
    assert all(np.array_equal(turned[path], values[path]) for path in values)


def _kept(seed: int, *shape: int) -> tuple[Node, dict[str, Array]]:
    """A constant, and what keeps its elements."""
    type = Tensor(DType.F32, shape)
    array = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    digest = digest_of(type, array)
    return Constant(digest, type)(), {digest: array}


def _constants(*kept: tuple[Node, dict[str, Array]]) -> dict[str, Array]:
    return {digest: array for _, each in kept for digest, array in each.items()}


def test_constants_lie_as_layers_read_them() -> None:
    """Weights that nodes hold are turned over and flattened while the model is read."""
    matrix, bias, kernel, shift = _kept(1, 6, 4), _kept(2, 4), _kept(3, 3, 2, 3), _kept(4, 1, 3, 1)
    dense = _do("add", _do("matmul", X, matrix[0]), bias[0])
    shape = operators["reshape"]((2, 2, 10))  # type: ignore[call-arg]
    conv = operators["conv"]((1,), ((1, 1),), (1,))(shape(dense), kernel[0])  # type: ignore[call-arg]
    root = _do("add", conv, shift[0])
    constants = _constants(matrix, bias, kernel, shift)
    graph = Graph("Model", (X,), (("y", root),), constants=constants)
    tidy, _ = tidied(graph, {})
    made = [node for node in topological(tidy.roots) if node.inputs]
    assert [node.op.name for node in made] == ["dense", "reshape", "conv"]
    x = {"x": np.random.default_rng(4).normal(size=(2, 5, 6)).astype(np.float32)}
    found, wanted = (run([g.roots[0]], x, g.constants)[0] for g in (tidy, graph))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_a_constant_that_many_nodes_move_stays() -> None:
    """Each would keep a copy of its own."""
    row = _kept(1, 24)
    shapes = [(24, 1), (12, 2), (8, 3), (6, 4), (4, 6), (3, 8), (2, 12), (1, 24)]
    moved = [operators["reshape"](shape)(row[0]) for shape in shapes]  # type: ignore[call-arg]
    sums = [_do("reduce_sum", each, axes=(0,)) for each in moved]
    named = tuple((f"y{k}", each) for k, each in enumerate(sums))
    graph = Graph("Model", (X,), named, constants=_constants(row))
    tidy, _ = tidied(graph, {})
    assert len([n for n in topological(tidy.roots) if n.op.name == "reshape"]) == len(shapes) - 2
    for one, other in zip(*(run(g.roots, {}, g.constants) for g in (tidy, graph)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_constant_that_is_more_than_weights_stays_as_it_is() -> None:
    table = _kept(1, 6, 4)
    root = _do("add", _do("matmul", X, table[0]), _do("reduce_sum", table[0]))
    graph = Graph("Model", (X,), (("y", root),), constants=_constants(table))
    assert tidied(graph, {})[0] == graph
