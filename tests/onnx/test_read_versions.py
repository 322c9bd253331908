"""Models of the first versions of ONNX: what has not changed is read, all else is refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from dhc.errors import DhcError
from dhc.ir.graph import Array
from dhc.onnx.backend import run_model

X = np.array([[1.5, -2.0, 0.5]], np.float32)


def _results(node: onnx.NodeProto, opset: int, *inputs: Array) -> list[Array]:
    kinds = [helper.np_dtype_to_tensor_dtype(each.dtype) for each in inputs]
    declared = [
        helper.make_tensor_value_info(name, kind, each.shape)
        for name, kind, each in zip(node.input, kinds, inputs, strict=True)
    ]
    results = [onnx.ValueInfoProto(name=name) for name in node.output]
    graph = helper.make_graph([node], "net", declared, results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    return list(run_model(model, list(inputs), "reference"))


@pytest.mark.parametrize("opset", [1, 3, 5])
def test_operators_that_have_not_changed_are_read(opset: int) -> None:
    (found,) = _results(helper.make_node("Softplus", ["x"], ["y"]), opset, X)
    np.testing.assert_allclose(found, np.log1p(np.exp(X)), rtol=1e-6)
    node = helper.make_node("Transpose", ["x"], ["y"], perm=[1, 0])
    np.testing.assert_array_equal(_results(node, opset, X)[0], X.T)


@pytest.mark.parametrize(
    ("node", "first"),
    [
        (helper.make_node("Relu", ["x"], ["y"]), 6),
        (helper.make_node("Concat", ["x", "x"], ["y"], axis=0), 4),
        (helper.make_node("Pad", ["x"], ["y"], pads=[0, 1, 0, 1]), 2),
        (helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT32), 6),
    ],
    ids=lambda value: value.op_type if isinstance(value, onnx.NodeProto) else None,
)
def test_operators_that_have_changed_are_refused(node: onnx.NodeProto, first: int) -> None:
    inputs = [X] * len(node.input)
    if len(inputs) > 1:
        node = helper.make_node(node.op_type, ["x", "z"], ["y"], axis=0)
    with pytest.raises(DhcError, match="it has changed until version 6, the oldest that dhc knows"):
        _results(node, first - 1, *inputs)
    assert len(_results(node, first, *inputs)) == 1


def test_a_version_that_is_none_is_refused() -> None:
    with pytest.raises(DhcError, match="uses version 0"):
        _results(helper.make_node("Relu", ["x"], ["y"]), 0, X)


@pytest.mark.parametrize(
    ("op_type", "dtype", "expected"),
    [
        ("ReduceMax", np.float32, -np.inf),
        ("ReduceMin", np.float32, np.inf),
        ("ReduceLogSumExp", np.float32, -np.inf),
        ("ReduceMax", np.int32, -(2**31)),
        ("ReduceMin", np.uint8, 255),
        ("ReduceMax", np.bool_, False),
        ("ReduceMin", np.bool_, True),
    ],
)
def test_reductions_of_nothing(op_type: str, dtype: type, expected: float) -> None:
    node = helper.make_node(op_type, ["x", "axes"], ["y"], keepdims=0)
    (found,) = _results(node, 20, np.zeros((2, 0, 3), dtype), np.array([1]))
    np.testing.assert_array_equal(found, np.full((2, 3), expected, dtype))


@pytest.mark.parametrize("op_type", ["ReduceMax", "ReduceMin"])
def test_reductions_of_something_are_what_they_were(op_type: str) -> None:
    """Where they begin matters to no element, NaN and infinity included."""
    x = np.array([[1, np.nan], [np.inf, np.inf], [-np.inf, -np.inf], [2, -3]], np.float32)
    node = helper.make_node(op_type, ["x", "axes"], ["y"], keepdims=0)
    expected = {"ReduceMax": np.max, "ReduceMin": np.min}[op_type](x, axis=1)
    np.testing.assert_array_equal(_results(node, 20, x, np.array([1]))[0], expected)
