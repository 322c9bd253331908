"""Half precision on processors, with instructions for it and without: every number, every tie."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.ir.evaluate import evaluate
from dhc.ir.graph import Array, Graph, Input
from dhc.ir.scalar import Const, Fma, Reduce, Var
from dhc.ir.types import DType, Tensor, dtype_of
from dhc.ops.base import axis_variable
from dhc.ops.elementwise import Cast, Map
from dhc.ops.linear import MatMul
from dhc.ops.reduce import ReduceMean, ReduceSum, Reduction

ALL = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
SHAPES = {"a": (3, 4000), "b": (4000, 3)}
each_processor = pytest.mark.parametrize("isa", ["", "avx2", "generic"])


def _target(isa: str) -> Target:
    return Target("cpu", threads=1, options={"isa": isa} if isa else {})


def _converted(array: Array, dtype: DType, isa: str) -> Array:
    x = Input("x", Tensor(dtype_of(array), array.shape))()
    graph = Graph("half", (x,), (("y", Cast(dtype)(x)),))
    return compile_graph(graph, _target(isa))(x=array)["y"]


def _ties() -> Array:
    """The middles between neighbouring numbers, beyond the largest and of the subnormals too."""
    finite = np.unique(ALL[np.isfinite(ALL)].astype(np.float64))
    numbers = np.concatenate([[-65536.0], finite, [65536.0]])
    return (numbers[1:] + numbers[:-1]) / 2


@each_processor
def test_all_numbers_become_wider(isa: str) -> None:
    for dtype in (DType.F32, DType.F64):
        np.testing.assert_array_equal(_converted(ALL, dtype, isa), ALL.astype(dtype.numpy))


@each_processor
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_at_ties_become_the_nearest(dtype: type[np.floating], isa: str) -> None:
    """Those beside a tie are as near to it as the wider type allows; f32 rounds them onto it."""
    ties = _ties().astype(dtype)
    beside = (np.nextafter(ties, dtype(sign * np.inf)) for sign in (1, -1))
    tiny = np.array([1e-320, 5e-324, 1e-40, 1e300, np.inf, np.nan, 0.0])
    with np.errstate(all="ignore"):
        numbers = np.concatenate([ties, *beside, tiny.astype(dtype), -tiny.astype(dtype)])
        expected = numbers.astype(np.float16)
    found = _converted(numbers, DType.F16, isa)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


@each_processor
@pytest.mark.parametrize("operator", [ReduceSum(), ReduceMean()])
def test_long_sums_are_rounded_once(operator: Reduction, isa: str) -> None:
    """Ones that are added in half precision are 2048 at most."""
    array = np.full(5000, 1.5, np.float16)
    x = Input("x", Tensor(DType.F16, array.shape))()
    found = compile_graph(Graph("sum", (x,), (("y", operator(x)),)), _target(isa))(x=array)["y"]
    assert found.dtype == np.float16
    assert found == (7500 if operator == ReduceSum() else 1.5)


@each_processor
def test_long_products_of_matrices_are_rounded_once(isa: str) -> None:
    rows = np.random.default_rng(1).standard_normal((2, 3, 4000)).astype(np.float16)
    a, b = (Input(name, Tensor(DType.F16, shape))() for name, shape in SHAPES.items())
    graph = Graph("product", (a, b), (("y", MatMul()(a, b)),))
    given = {"a": rows[0], "b": np.ascontiguousarray(rows[1].T)}
    expected = given["a"].astype(np.float64) @ given["b"].astype(np.float64)
    found = compile_graph(graph, _target(isa))(**given)["y"]
    np.testing.assert_allclose(found, expected, rtol=6e-4, atol=1e-3)


def test_the_definition_of_a_sum_is_rounded_once() -> None:
    axis = axis_variable("k", 3000)
    total = Reduce("sum", (axis,), Const(1.0, DType.F16))
    assert evaluate(total, {}) == 3000
    assert evaluate(total, {}).dtype == np.float16


@each_processor
def test_a_product_plus_an_addend_is_rounded_once(isa: str) -> None:
    """In f32 the sum would be a tie, though the product is a little less than half a unit."""
    a, b, c = (Var(f"x{k}", DType.F16) for k in range(3))
    nodes = tuple(Input(f"x{k}", Tensor(DType.F16, (1,)))() for k in range(3))
    graph = Graph("fma", nodes, (("y", Map(Fma(a, b, c))(*nodes)),))
    unit = 2.0**-10
    numbers = np.array([[(1 + unit) * unit / 2], [1 - unit], [1 + unit]], np.float16)
    x, y, z = numbers.astype(np.float32)
    assert np.float16(x * y + z) == np.float16(1 + 2 * unit)
    found = compile_graph(graph, _target(isa))(x0=numbers[0], x1=numbers[1], x2=numbers[2])["y"]
    assert found == np.float16(1 + unit)
