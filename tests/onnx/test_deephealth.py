"""The operators that DeepHealth's library imports, in the version of ONNX that it exports.

Its own list has 62 (EDDL 1.1, `layers_onnx.cpp`); three of them are no operators of ONNX. Several
it reads wrongly: attributes are passed over, and products and means of tensors become sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.ir.graph import Array
from dhc.onnx.read import load

VERSION = 11  # what EDDL writes
POSITIVE = ("Log", "Sqrt", "Div")  # operators that are given no numbers below zero
IMPORTED = """
BatchNormalization Conv ConvTranspose Gemm Dropout Reshape Flatten Transpose Squeeze
Unsqueeze Upsample Softmax MaxPool AveragePool GlobalMaxPool GlobalAveragePool Relu
Sigmoid HardSigmoid Tanh Linear Exponential LeakyRelu ThresholdedRelu Elu Selu Softsign
Softplus Concat Add MatMul LSTM GRU RNN Identity Gather Cast Abs Sum Div Exp Log Pow Mul
Clip Sqrt Sub ReduceMax ReduceMin ReduceMean ReduceSum ArgMax Resize Pad Slice Split
Expand MultiThreshold TopK Constant Tile LRN
"""


@dataclass(frozen=True)
class Case:
    """One node: its operator, its inputs by shape, what is known of them, and its attributes."""

    operator: str
    shapes: tuple[tuple[int, ...], ...] = ((2, 6, 5, 4),)
    known: tuple[object, ...] = ()
    outputs: int = 1
    version: int = VERSION
    attributes: Mapping[str, object] = field(default_factory=dict)


def _case(operator: str, *shapes: tuple[int, ...], **said: object) -> Case:
    known = tuple(said.pop("known", ()))  # type: ignore[call-overload]
    outputs, version = said.pop("outputs", 1), said.pop("version", VERSION)
    return Case(operator, shapes or ((2, 6, 5, 4),), known, outputs, version, said)  # type: ignore[arg-type]


def _w(*shape: int) -> Array:
    """Weights."""
    generator = np.random.default_rng(sum(shape))
    return generator.standard_normal(shape).astype(np.float32) / np.float32(3)


def _i(*values: int) -> Array:
    return np.array(values, np.int64)


IMAGE = (2, 6, 9, 8)
STEPS = (5, 2, 3)  # a sequence [T, N, C]
CASES = [
    _case("BatchNormalization", known=[_w(6), _w(6), _w(6), np.abs(_w(6)) + 1], epsilon=0.1),
    _case("Conv", IMAGE, known=[_w(4, 6, 3, 3), _w(4)], pads=[1, 0, 2, 1], strides=[2, 1]),
    _case("Conv", IMAGE, known=[_w(6, 1, 3, 3)], group=6, pads=[1, 1, 1, 1], dilations=[1, 2]),
    _case("Conv", (1, 4, 5, 6, 7), known=[_w(6, 2, 3, 3, 3), _w(6)], group=2,
          auto_pad="SAME_UPPER"),
    _case("Conv", (2, 3, 12), known=[_w(5, 3, 3), _w(5)], strides=[2]),
    _case("ConvTranspose", IMAGE, known=[_w(6, 2, 3, 3), _w(4)], strides=[2, 2],
          pads=[1, 0, 1, 2], output_padding=[1, 0], group=2),
    _case("Gemm", (3, 5), known=[_w(5, 4), _w(1, 4)], alpha=0.5, beta=2.0),
    _case("Gemm", (5, 3), known=[_w(4, 5), _w(3, 1)], transA=1, transB=1),
    _case("Dropout", (2, 5), ratio=0.4),
    _case("Reshape", known=[_i(0, -1, 4)]),
    _case("Flatten", axis=2),
    _case("Transpose", perm=[3, 0, 2, 1]),
    _case("Squeeze", (2, 1, 5, 1), axes=[1, -1]),
    _case("Unsqueeze", (2, 5), axes=[0, 3]),
    _case("Upsample", known=[np.array([1, 1, 2, 3], np.float32)], version=9, mode="nearest"),
    _case("Upsample", known=[np.array([1, 1, 2, 3], np.float32)], version=9, mode="linear"),
    _case("Softmax", axis=1),
    _case("MaxPool", IMAGE, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1], ceil_mode=1),
    _case("MaxPool", (2, 3, 11), kernel_shape=[3], dilations=[2]),
    _case("AveragePool", IMAGE, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    _case("AveragePool", IMAGE, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 3]),
    _case("GlobalMaxPool"),
    _case("GlobalAveragePool"),
    *[_case(name) for name in ("Relu", "Sigmoid", "Tanh", "Softsign", "Softplus", "Abs", "Exp")],
    _case("HardSigmoid", alpha=0.3, beta=0.4),
    _case("LeakyRelu", alpha=0.3),
    _case("ThresholdedRelu", alpha=0.3),
    _case("Elu", alpha=0.3),
    _case("Selu", alpha=1.5, gamma=1.1),
    _case("Concat", (2, 3, 4), (2, 5, 4), axis=-2),
    _case("Add", (2, 3, 4), (3, 1)),
    _case("MatMul", (2, 3, 4), (4, 5)),
    *[
        _case(name, STEPS, known=[_w(2, gates * 4, 3), _w(2, gates * 4, 4), _w(2, gates * 8)],
              outputs=2, hidden_size=4, direction="bidirectional", **more)
        for name, gates, more in (
            ("LSTM", 4, {"clip": 0.5}), ("GRU", 3, {"linear_before_reset": 1}), ("RNN", 1, {}),
        )
    ],
    _case("Identity"),
    _case("Gather", (5, 3), known=[np.array([[4, 0], [-1, 2]])], axis=0),
    _case("Cast", to=onnx.TensorProto.INT32),
    _case("Sum", (2, 3), (2, 3), (3,)),
    *[_case(name, (2, 3, 4), (3, 1)) for name in ("Div", "Mul", "Sub")],
    *[_case(name, (3, 7)) for name in ("Log", "Sqrt")],
    _case("Pow", (3, 4), known=[np.array(2.0, np.float32)]),
    _case("Clip", known=[np.array(-0.5, np.float32), np.array(0.25, np.float32)]),
    *[_case(name, axes=[1, -1], keepdims=0) for name in ("ReduceMax", "ReduceMin", "ReduceMean")],
    _case("ReduceSum", axes=[0, 2], keepdims=1),
    _case("ArgMax", axis=2, keepdims=0),
    *[
        _case("Resize", known=[_w(0), np.array([1, 1, 2, 1.5], np.float32)], **how)
        for how in (
            {"mode": "nearest", "coordinate_transformation_mode": "asymmetric",
             "nearest_mode": "floor"},
            {"mode": "linear"},
            {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
            {"mode": "cubic", "cubic_coeff_a": -0.5},
        )
    ],
    _case("Pad", known=[_i(0, 0, 1, 2, 0, 0, 3, 0), np.array(1.5, np.float32)], mode="constant"),
    _case("Pad", known=[_i(0, 0, 1, 2, 0, 0, 3, 0)], mode="reflect"),
    _case("Slice", known=[_i(1, -1), _i(5, -5), _i(1, 2), _i(2, -1)]),
    _case("Split", outputs=2, axis=1, split=[2, 4]),
    _case("Expand", (3, 1), known=[_i(2, 1, 4)]),
    _case("TopK", known=[_i(3)], outputs=2, axis=1, largest=0),
    _case("Tile", (2, 3), known=[_i(2, 3)]),
    _case("LRN", IMAGE, size=3, alpha=0.1, beta=0.6, bias=2.0),
]  # fmt: skip


def _model(case: Case) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Inputs are x0, x1, ...; what is known follows them."""
    generator = np.random.default_rng(len(CASES))
    inputs = {
        f"x{k}": generator.uniform(0.1, 2, shape).astype(np.float32)
        - (case.operator not in POSITIVE)
        for k, shape in enumerate(case.shapes)
    }
    known = [numpy_helper.from_array(a, f"k{k}") for k, a in enumerate(case.known)]  # type: ignore[arg-type]
    names = [*inputs, *(each.name for each in known)]
    outputs = [f"y{k}" for k in range(case.outputs)]
    node = helper.make_node(case.operator, names, outputs, **case.attributes)
    declared = [helper.make_tensor_value_info(n, 1, a.shape) for n, a in inputs.items()]
    results = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph([node], "net", declared, results, known)
    imports = [helper.make_opsetid("", case.version)]
    return helper.make_model(graph, opset_imports=imports, ir_version=6), inputs


def _run(model: onnx.ModelProto, inputs: Mapping[str, Array], folder: Path) -> list[Array]:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    imported = load(path)
    program = compile_graph(imported.graph, Target("cpu"), parameters=imported.values)
    return [program(**inputs)[each.name] for each in model.graph.output]


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda k: f"{CASES[k].operator}-{k}")
def test_nodes_agree_with_onnxruntime(number: int, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    model, inputs = _model(CASES[number])
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for found, wanted in zip(_run(model, inputs, tmp_path), session.run(None, inputs), strict=True):
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def _single(operator: str, known: tuple[Array, ...], **attributes: object) -> Case:
    return Case(operator, ((2, 3, 4, 5),), known, attributes=attributes)


def test_its_own_activations(tmp_path: Path) -> None:
    for operator, attributes, meaning in (
        ("Exponential", {}, np.exp),
        ("Linear", {"alpha": 0.5}, lambda x: x / 2),
    ):
        model, inputs = _model(_single(operator, (), **attributes))
        (found,) = _run(model, inputs, tmp_path)
        np.testing.assert_allclose(found, meaning(inputs["x0"]), rtol=1e-6)  # type: ignore[operator]


@pytest.mark.parametrize(("layout", "axis"), [("NCHW", 1), ("NHWC", -1)])
def test_thresholds_of_each_channel(layout: str, axis: int, tmp_path: Path) -> None:
    """A threshold that is met counts, as in FINN."""
    channels = (2, 3, 4, 5)[axis]
    thresholds = np.sort(_w(channels, 7), axis=1)
    model, inputs = _model(
        _single("MultiThreshold", (thresholds,), out_scale=2.0, out_bias=-3.0, data_layout=layout)
    )
    inputs["x0"][0, 0, 0, 0] = thresholds[0, 3]
    (found,) = _run(model, inputs, tmp_path)
    own = np.moveaxis(inputs["x0"], axis, -1)[..., None] >= thresholds
    np.testing.assert_array_equal(found, np.moveaxis(own.sum(-1) * 2 - 3, -1, axis))


def test_a_constant_by_itself(tmp_path: Path) -> None:
    value = numpy_helper.from_array(_w(2, 3))
    nodes = [helper.make_node("Constant", [], ["c"], value=value),
             helper.make_node("Add", ["x0", "c"], ["y0"])]  # fmt: skip
    model, inputs = _model(_case("Identity", (2, 3)))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    (found,) = _run(model, inputs, tmp_path)
    np.testing.assert_allclose(found, inputs["x0"] + _w(2, 3), rtol=1e-6)


def test_each_of_its_operators_has_a_case() -> None:
    elsewhere = {"Linear", "Exponential", "MultiThreshold", "Constant"}
    assert len(IMPORTED.split()) == 62
    assert set(IMPORTED.split()) == {case.operator for case in CASES} | elsewhere
