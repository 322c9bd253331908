"""What random graphs have found wrong, each in a few lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from dhc.driver import compile_graph
from dhc.ir.graph import Graph, Input, Node
from dhc.ir.types import DType, Tensor
from dhc.onnx.read import load
from dhc.onnx.write import save
from dhc.ops.activation import LeakyRelu, Selu
from dhc.ops.base import TypeRuleError
from dhc.ops.conv import Conv
from dhc.ops.cumulative import CumProd
from dhc.ops.elementwise import Add, Mul
from dhc.ops.reduce import ReduceMean
from tests.onnx.written import evaluated, on_runtime


def _input(name: str, *shape: int, dtype: DType = DType.F32) -> Node:
    return Input(name, Tensor(dtype, shape))()


@pytest.mark.parametrize("dtype", [DType.F32, DType.F64])
def test_products_before_a_single_place_are_written(tmp_path: Path, dtype: DType) -> None:
    """Without the element itself nothing is left to multiply: the product is one."""
    x = _input("x", 2, 1, dtype=dtype)
    product = CumProd(1, exclusive=True)(x)
    graph = Graph("net", (x,), (("y", Add()(product, x)),))
    save(graph, {}, tmp_path / "m.onnx")
    values = {"x": np.array([[3.0], [4.0]], dtype.numpy)}
    np.testing.assert_array_equal(on_runtime(tmp_path / "m.onnx", values)["y"], [[4.0], [5.0]])
    again = evaluated(load(tmp_path / "m.onnx").graph, values)["y"]
    np.testing.assert_array_equal(again, [[4.0], [5.0]])


@pytest.mark.parametrize("op", [Selu(), LeakyRelu(0.01)])
def test_numbers_of_f64_are_written_with_all_their_bits(tmp_path: Path, op: Selu) -> None:
    """Attributes have 32 bits in ONNX, which would be an error of 1e-8."""
    x = _input("x", 3, dtype=DType.F64)
    graph = Graph("net", (x,), (("y", op(x)),))
    save(graph, {}, tmp_path / "m.onnx")
    values = {"x": np.array([-1.0, 0.5, 2.0])}
    expected = evaluated(graph, values)["y"]
    found = on_runtime(tmp_path / "m.onnx", values)["y"]
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", [DType.F64, DType.F32])
def test_convolutions_read_zeros_beyond_edges(dtype: DType) -> None:
    """In f64 the second call found what the first one had left in one half of them."""
    x, weight = _input("x", 2, 3, 9, dtype=dtype), _input("w", 3, 3, 3, dtype=dtype)
    conv = Conv((1,), ((2, 2),), (1,))
    inner = conv(Mul()(x, x), weight)
    graph = Graph("net", (x, weight), (("y", conv(Mul()(inner, inner), weight)),))
    values = {
        "x": np.linspace(1, 2, 54, dtype=dtype.numpy).reshape(2, 3, 9),
        "w": np.linspace(-1, 1, 27, dtype=dtype.numpy).reshape(3, 3, 3),
    }
    expected = evaluated(graph, values)["y"]
    program = compile_graph(graph, "cpu")
    for _ in range(3):
        np.testing.assert_allclose(program(**values)["y"], expected, rtol=1e-4)


def test_means_of_integers_are_rounded_toward_zero(tmp_path: Path) -> None:
    """The mean of dhc is for floats; a model may ask for others."""
    x = helper.make_tensor_value_info("x", onnx.TensorProto.INT32, [2, 3])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.INT32, None)
    node = helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=0)
    made = helper.make_graph([node], "net", [x], [y])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    values = {"x": np.array([[-1, -3, -4], [5, 2, 1]], np.int32)}
    graph = load(tmp_path / "m.onnx").graph
    np.testing.assert_array_equal(compile_graph(graph, "cpu")(**values)["y"], [-2, 2])
    np.testing.assert_array_equal(on_runtime(tmp_path / "m.onnx", values)["y"], [-2, 2])
    with pytest.raises(TypeRuleError, match="reduce_mean"):
        ReduceMean((1,))(_input("x", 2, 3, dtype=DType.I32))
