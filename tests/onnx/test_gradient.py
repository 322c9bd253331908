"""ONNX's `Gradient`: what it gives agrees with differences, and what it cannot give is refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dhc.errors import DhcError
from dhc.ir.graph import Array
from dhc.onnx.backend import run_model

DOMAIN = "ai.onnx.preview.training"
node = helper.make_node


def _gradient(
    y: str, xs: Sequence[str], zs: Sequence[str] = (), given: Sequence[str] = ()
) -> onnx.NodeProto:
    """A node that gives `d_x` for each x; `given` names other values of `xs` and `zs`."""
    said = {"y": y, "xs": list(xs)} | ({"zs": list(zs)} if zs else {})
    inputs, outputs = list(given) or [*xs, *zs], [f"d_{x}" for x in xs]
    return node("Gradient", inputs, outputs, domain=DOMAIN, **said)


def _model(
    nodes: Sequence[onnx.NodeProto], outputs: Sequence[str], **inputs: tuple[int, ...] | Array
) -> onnx.ModelProto:
    """A model with inputs of these shapes, and parameters where there are values."""
    kind = TensorProto.FLOAT
    ports = [
        helper.make_tensor_value_info(name, kind, given)
        for name, given in inputs.items()
        if isinstance(given, tuple)
    ]
    parameters = [
        numpy_helper.from_array(given, name)
        for name, given in inputs.items()
        if not isinstance(given, tuple)
    ]
    results = [helper.make_tensor_value_info(name, kind, None) for name in outputs]
    graph = helper.make_graph(nodes, "net", ports, results, parameters)
    versions = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=versions)


def _energy(*variables: str) -> list[onnx.NodeProto]:
    """The sum of tanh(x @ w) ** 2 as y, and its gradient for these."""
    return [
        node("MatMul", ["x", "w"], ["h"]),
        node("Tanh", ["h"], ["t"]),
        node("Mul", ["t", "t"], ["s"]),
        node("ReduceSum", ["s"], ["y"], keepdims=0),
        _gradient("y", variables, [each for each in ("x", "w") if each not in variables]),
    ]


X = np.array([[0.3, -0.7, 0.2], [0.1, 0.5, -0.4]], np.float32)
W = np.array([[0.6, -0.2], [0.9, 0.4], [-0.5, 0.8]], np.float32)


def _for_w(x: Array, w: Array) -> Array:
    t = np.tanh(x @ w)
    return np.asarray(x.T @ (2 * t * (1 - t * t)))


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_gradients_for_inputs_and_parameters(target: str) -> None:
    model = _model(_energy("w", "x"), ["y", "d_w", "d_x"], x=(2, 3), w=W)
    y, for_w, for_x = run_model(model, [X], target)
    t = np.tanh(X @ W)
    np.testing.assert_allclose(y, (t * t).sum(), rtol=1e-5)
    np.testing.assert_allclose(for_w, _for_w(X, W), rtol=1e-4)
    np.testing.assert_allclose(for_x, 2 * t * (1 - t * t) @ W.T, rtol=1e-4)


def test_a_gradient_at_other_values() -> None:
    """What feeds the node takes the places of `xs` and `zs`, and leaves the model as it is."""
    nodes = [*_energy("w")[:-1], _gradient("y", ["w"], ["x"], given=["v", "x"])]
    y, found = run_model(_model(nodes, ["y", "d_w"], x=(2, 3), w=(3, 2), v=(3, 2)), [X, W, 2 * W])
    np.testing.assert_allclose(found, _for_w(X, 2 * W), rtol=1e-4)
    np.testing.assert_allclose(y, (np.tanh(X @ W) ** 2).sum(), rtol=1e-5)


def test_a_gradient_for_what_the_model_computes() -> None:
    nodes = [*_energy("w")[:-1], _gradient("y", ["h"])]
    (found,) = run_model(_model(nodes, ["d_h"], x=(2, 3), w=W), [X])
    t = np.tanh(X @ W)
    np.testing.assert_allclose(found, 2 * t * (1 - t * t), rtol=1e-4)


def test_a_gradient_of_a_gradient() -> None:
    nodes = [
        node("Mul", ["x", "x"], ["s"]),
        node("Mul", ["s", "x"], ["y"]),
        _gradient("y", ["x"]),
        node("Gradient", ["x"], ["second"], domain=DOMAIN, y="d_x", xs=["x"]),
    ]
    found = run_model(_model(nodes, ["d_x", "second"], x=(1,)), [np.array([3], np.float32)])
    np.testing.assert_allclose(found, [[27], [18]])


def test_what_does_not_matter_has_the_gradient_zero() -> None:
    nodes = [node("Mul", ["a", "a"], ["y"]), _gradient("y", ["a", "b"])]
    one = np.ones(1, np.float32)
    found = run_model(_model(nodes, ["d_a", "d_b"], a=(1,), b=(4,)), [one, np.ones(4, np.float32)])
    np.testing.assert_array_equal(found[0], [2])
    np.testing.assert_array_equal(found[1], np.zeros(4, np.float32))


PLUS = node("Add", ["a", "b"], ["y"])


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([PLUS, _gradient("y", ["a"])], "depends on the input 'b'"),
        ([PLUS, _gradient("y", ["a", "b"], given=["a"])], "1 inputs for 2 tensors"),
        ([PLUS, _gradient("z", ["a", "b"])], "nothing computes 'z'"),
        ([PLUS, _gradient("y", ["a", "c"], given=["a", "b"])], "nothing computes 'c'"),
        ([PLUS, _gradient("y", ["y", "a"])], "'y' of 'xs' and 'zs' follows from 'a'"),
        ([PLUS, _gradient("y", ["a", "b"], given=["a", "wide"])], r"f32\[4\] takes the place of"),
        ([node("Relu", ["wide"], ["y"]), _gradient("y", ["wide"])], "those of one number"),
        ([node("Sqrt", ["k"], ["y"]), _gradient("y", ["k"])], "'k' is a constant"),
        (
            [node("Relu", ["a"], ["p"]), node("Relu", ["a"], ["q"]), node("Add", ["p", "q"], ["y"]),
             _gradient("y", ["p", "q"])],
            "are the same",
        ),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused(nodes: list[onnx.NodeProto], reason: str) -> None:
    outputs = [name for name in nodes[-1].output if name]
    constant = np.array(4, np.float32)
    model = _model(nodes, outputs, a=(1,), b=(1,), wide=(4,), k=constant)
    one = np.ones(1, np.float32)
    with pytest.raises(DhcError, match=reason):
        run_model(model, [one, one, np.ones(4, np.float32)])
