"""Recurrent layers of ONNX give what onnxruntime gives, under all their settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dhc.decompile import decompile
from dhc.errors import DhcError
from dhc.ir.graph import Array
from dhc.onnx.read import load
from dhc.ops.base import run

T, N, FEATURES, UNITS = 5, 3, 4, 2
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
GIVEN = ("B", "sequence_lens", "initial_h", "initial_c", "P")
OPTIONS: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("RNN", {}, ()),
    ("RNN", {"clip": 0.3}, GIVEN[:3]),
    ("RNN", {"activations": ["Relu"]}, ("B",)),
    ("RNN", {"activations": ["Affine"], "activation_alpha": [0.5], "activation_beta": [0.1]}, ()),
    ("RNN", {"activations": ["ScaledTanh"], "activation_alpha": [0.7], "activation_beta": [2.0]},
     ()),
    ("RNN", {"activations": ["ThresholdedRelu"], "activation_alpha": [0.2]}, ("B",)),
    ("RNN", {"activations": ["HardSigmoid"]}, ("B",)),
    ("RNN", {"activations": ["Softplus"]}, ()),
    ("GRU", {}, ("B", "initial_h")),
    ("GRU", {"linear_before_reset": 1}, ("B", "sequence_lens")),
    ("GRU", {"linear_before_reset": 1}, ()),
    ("GRU", {"clip": 0.2}, GIVEN[:3]),
    ("GRU", {"activations": ["HardSigmoid", "LeakyRelu"], "activation_alpha": [0.3, 0.05],
             "activation_beta": [0.4]}, ("B",)),
    ("LSTM", {}, GIVEN),
    ("LSTM", {"clip": 0.2}, ("B", "initial_c")),
    ("LSTM", {"input_forget": 1}, ("B", "sequence_lens")),
    ("LSTM", {"activations": ["Sigmoid", "Softsign", "Elu"], "activation_alpha": [0.5]},
     ("P",)),
]  # fmt: skip


def _shapes(kind: str, directions: int) -> dict[str, tuple[int, ...]]:
    rows = GATES[kind] * UNITS
    state = (directions, N, UNITS)
    return {
        "X": (T, N, FEATURES), "W": (directions, rows, FEATURES), "R": (directions, rows, UNITS),
        "B": (directions, 2 * rows), "sequence_lens": (N,), "initial_h": state,
        "initial_c": state, "P": (directions, 3 * UNITS),
    }  # fmt: skip


def _model(kind: str, options: dict[str, Any], given: tuple[str, ...], direction: str) -> Any:
    """A node with all its outputs, and what it is given; only X is an input of the model."""
    directions = 2 if direction == "bidirectional" else 1
    if "activations" in options:
        options = {
            name: value * directions if isinstance(value, list) else value
            for name, value in options.items()
        }
    rng = np.random.default_rng(3)
    arrays = {
        name: rng.standard_normal(shape).astype(np.float32)
        for name, shape in _shapes(kind, directions).items()
    }
    arrays["sequence_lens"] = np.array([5, 2, 3], np.int32)
    names = ["X", "W", "R", *(each if each in given else "" for each in GIVEN)]
    names = names if kind == "LSTM" else names[:6]
    outputs = ["Y", "Y_h", "Y_c"] if kind == "LSTM" else ["Y", "Y_h"]
    node = helper.make_node(kind, names, outputs, direction=direction, hidden_size=UNITS, **options)
    graph = helper.make_graph(
        [node], "net", [helper.make_tensor_value_info("X", TensorProto.FLOAT, (T, N, FEATURES))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(arrays[name], name) for name in names[1:] if name],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model, arrays["X"]


def _results(file: Path, model: onnx.ModelProto, x: Array) -> dict[str, Array]:
    file.write_bytes(model.SerializeToString())
    imported = load(file)
    graph = imported.graph
    values = {"x": x, "X": x, **imported.values}
    made = run([node for _, node in graph.outputs], values, graph.constants)
    return {output.name: array for output, array in zip(model.graph.output, made, strict=True)}


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("kind", "options", "given"), OPTIONS)
def test_layers_give_what_onnxruntime_gives(
    tmp_path: Path, kind: str, options: dict[str, Any], given: tuple[str, ...], direction: str
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    model, x = _model(kind, options, given, direction)
    session = runtime.InferenceSession(model.SerializeToString())
    expected = session.run(None, {"X": x})
    found = _results(tmp_path / "model.onnx", model, x)
    for array, wanted in zip(found.values(), expected, strict=True):
        assert array.shape == wanted.shape
        np.testing.assert_allclose(array, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("built", "said", "reason"),
    [
        ("forward", "sideways", "direction is neither forward, reverse nor bidirectional"),
        ("forward", "bidirectional", "weights have 1 directions, not 2"),
        ("bidirectional", "reverse", "weights have 2 directions, not 1"),
    ],
)
@pytest.mark.parametrize("kind", GATES)
def test_directions_are_those_of_the_weights(
    tmp_path: Path, kind: str, built: str, said: str, reason: str
) -> None:
    """No part of the weights is left out."""
    model, x = _model(kind, {}, ("B",), built)
    (direction,) = (a for a in model.graph.node[0].attribute if a.name == "direction")
    direction.s = said.encode()
    with pytest.raises(DhcError, match=reason):
        _results(tmp_path / "model.onnx", model, x)


@pytest.mark.parametrize("kind", GATES)
def test_weights_that_nodes_make_of_constants_are_weights(tmp_path: Path, kind: str) -> None:
    """Exporters join the weights of gates in nodes; it is a layer of the language all the same."""
    options = {"linear_before_reset": 1} if kind == "GRU" else {}
    model, x = _model(kind, options, ("B",), "forward")
    expected = _results(tmp_path / "plain.onnx", model, x)
    made = [
        node
        for tensor in model.graph.initializer
        for node in (
            helper.make_node("Constant", [], [f"{tensor.name} of it"], value=tensor),
            helper.make_node("Identity", [f"{tensor.name} of it"], [f"half {tensor.name}"]),
            helper.make_node("Mul", [f"half {tensor.name}"] * 2, [f"squared {tensor.name}"]),
            helper.make_node("Sign", [f"half {tensor.name}"], [f"sign {tensor.name}"]),
            helper.make_node("Sqrt", [f"squared {tensor.name}"], [f"size {tensor.name}"]),
            helper.make_node("Mul", [f"size {tensor.name}", f"sign {tensor.name}"], [tensor.name]),
        )
    ]
    model.graph.ClearField("initializer")
    layer = [*model.graph.node]
    model.graph.ClearField("node")
    model.graph.node.extend([*made, *layer])
    found = _results(tmp_path / "made.onnx", model, x)
    for name, wanted in expected.items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-5, atol=1e-6)
    text = decompile(load(tmp_path / "made.onnx").graph).text
    assert f"-> {kind.lower()}(2, " in text
    assert "scan" not in text


@pytest.mark.parametrize("kind", GATES)
def test_batches_may_come_first(tmp_path: Path, kind: str) -> None:
    """The other layout is the same with axes exchanged, also of states and outputs."""
    given = ("B", "initial_h", "initial_c") if kind == "LSTM" else ("B", "initial_h")
    model, x = _model(kind, {}, given, "bidirectional")
    expected = _results(tmp_path / "time.onnx", model, x)
    node = model.graph.node[0]
    node.attribute.append(helper.make_attribute("layout", 1))
    model.graph.input[0].CopyFrom(
        helper.make_tensor_value_info("X", TensorProto.FLOAT, (N, T, FEATURES))
    )
    for tensor in model.graph.initializer:
        if tensor.name.startswith("initial"):
            turned = numpy_helper.to_array(tensor).transpose(1, 0, 2)
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(turned), tensor.name))
    found = _results(tmp_path / "batch.onnx", model, x.transpose(1, 0, 2))
    np.testing.assert_allclose(found["Y"], expected["Y"].transpose(2, 0, 1, 3), rtol=1e-6)
    for name in found.keys() - {"Y"}:
        np.testing.assert_allclose(found[name], expected[name].transpose(1, 0, 2), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"activations": ["Sine"]}, "activation 'Sine' is unknown"),
        ({"activations": ["Tanh", "Tanh"]}, "2 activations, not 1"),
    ],
)
def test_what_is_unknown_is_refused(tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    model, x = _model("RNN", options, (), "forward")
    with pytest.raises(DhcError, match=reason):
        _results(tmp_path / "model.onnx", model, x)
