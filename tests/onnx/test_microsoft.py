"""Operators of onnxruntime's own domain against onnxruntime itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from dhc.errors import DhcError
from dhc.ir.graph import Array
from dhc.onnx.read import load
from dhc.ops.foreign import MICROSOFT
from tests.onnx.beside import both, model_of

Tensors = dict[str, Array]
Attribute = float | int | str | Sequence[float] | Sequence[int]


def _normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(0, 1.5, shape).astype(np.float32)


def _bytes(seed: int, dtype: str, *shape: int) -> Array:
    info = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(info.min, info.max, shape).astype(dtype)


def _run(
    folder: Path,
    op_type: str,
    inputs: Tensors,
    known: Tensors | None = None,
    names: Sequence[str] = (),
    results: Sequence[str] = ("y",),
    domain: str = MICROSOFT,
    **attributes: Attribute,
) -> list[tuple[Array, Array]]:
    """The results of one node, whose inputs are those of the model unless they are named."""
    wanted = names or [*inputs, *(known or {})]
    node = helper.make_node(op_type, wanted, results, domain=domain, **attributes)
    return both(folder, node, inputs, known)


def _agree(results: list[tuple[Array, Array]]) -> None:
    for ours, theirs in results:
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)


# ---- floats ----------------------------------------------------------------------------------


@pytest.mark.parametrize("op_type", ["Gelu", "FastGelu", "QuickGelu"])
def test_kinds_of_gelu(tmp_path: Path, op_type: str) -> None:
    _agree(_run(tmp_path, op_type, {"x": _normal(1, 3, 8)}))


def test_gelu_of_a_sum(tmp_path: Path) -> None:
    known = {"b": _normal(2, 8)}
    _agree(_run(tmp_path, "FastGelu", {"x": _normal(1, 3, 8)}, known))
    _agree(_run(tmp_path, "BiasGelu", {"x": _normal(1, 3, 8)}, known))
    _agree(_run(tmp_path, "QuickGelu", {"x": _normal(1, 3, 8)}, alpha=0.7))


ACTIVATIONS = {
    "Relu": [], "Tanh": [], "Sigmoid": [], "LeakyRelu": [0.2], "Clip": [-0.5, 0.75],
    "HardSigmoid": [0.3, 0.4],
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("adds", [False, True])
def test_convolutions_with_activations(tmp_path: Path, name: str, adds: bool) -> None:
    inputs = {"x": _normal(1, 2, 4, 6, 5)} | ({"z": _normal(4, 2, 6, 6, 5)} if adds else {})
    known = {"w": _normal(2, 6, 2, 3, 3), "b": _normal(3, 6)}
    settings: dict[str, Attribute] = {"activation_params": ACTIVATIONS[name]}
    results = _run(
        tmp_path, "FusedConv", inputs, known, ["x", "w", "b", "z"] if adds else ["x", "w", "b"],
        activation=name, group=2, pads=(1, 1, 1, 1), **(settings if ACTIVATIONS[name] else {}),
    )  # fmt: skip
    _agree(results)


def test_products_with_activations(tmp_path: Path) -> None:
    inputs, known = {"a": _normal(1, 5, 3)}, {"b": _normal(2, 5, 4), "c": _normal(3, 4)}
    rest: dict[str, Attribute] = {"transA": 1, "alpha": 0.5, "beta": 2.0}
    _agree(_run(tmp_path, "FusedGemm", inputs, known, activation="Relu", **rest))
    settings = {"activation": "LeakyRelu", "activation_alpha": 0.3}
    _agree(_run(tmp_path, "FusedGemm", inputs, known, **settings, **rest))


@pytest.mark.parametrize("left", [0, 1])
@pytest.mark.parametrize("right", [0, 1])
def test_products_of_transposed_matrices(tmp_path: Path, left: int, right: int) -> None:
    a = _normal(1, 2, 3, 4).swapaxes(1, 2).copy() if left else _normal(1, 2, 3, 4)
    b = _normal(2, 2, 4, 5).swapaxes(1, 2).copy() if right else _normal(2, 2, 4, 5)
    settings: dict[str, Attribute] = {"transA": left, "transB": right, "alpha": 0.25}
    _agree(_run(tmp_path, "FusedMatMul", {"a": a, "b": b}, **settings))


@pytest.mark.parametrize("bias", [False, True])
def test_normalised_sums(tmp_path: Path, bias: bool) -> None:
    inputs = {"x": _normal(1, 2, 3, 8), "skip": _normal(2, 2, 3, 8)}
    known = {"gamma": _normal(3, 8), "beta": _normal(4, 8), "bias": _normal(5, 8)}
    names = [*inputs, "gamma", "beta", *(["bias"] if bias else [])]
    results = ["y", "", "", "sum"]
    _agree(_run(tmp_path, "SkipLayerNormalization", inputs, known, names, results, epsilon=1e-3))
    names.remove("beta")
    op_type = "SkipSimplifiedLayerNormalization"
    _agree(_run(tmp_path, op_type, inputs, known, names, results, epsilon=1e-3))


@pytest.mark.parametrize("axis", [-1, 1])
def test_normalisation_without_the_mean(tmp_path: Path, axis: int) -> None:
    """Onnxruntime has it in ONNX's own domain."""
    known = {"scale": _normal(2, *(3, 8)[axis % 3 - 1 :])}
    settings: dict[str, Attribute] = {"axis": axis, "epsilon": 1e-3, "stash_type": 1}
    op_type = "SimplifiedLayerNormalization"
    _agree(_run(tmp_path, op_type, {"x": _normal(1, 2, 3, 8)}, known, domain="", **settings))


# ---- quantized -------------------------------------------------------------------------------


def _close(results: list[tuple[Array, Array]]) -> None:
    """Onnxruntime scales in other orders, so that what lies near a half may go the other way."""
    ((ours, theirs),) = results
    assert ours.dtype == theirs.dtype
    difference = np.abs(ours.astype(np.int64) - theirs)
    assert difference.max() <= 1
    assert difference.mean() < 0.01
    assert len(np.unique(ours)) > 20


def _scale(value: float) -> Array:
    return np.array(value, np.float32)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize(("op_type", "scale"), [("QLinearAdd", 0.05), ("QLinearMul", 0.15)])
def test_quantized_arithmetic(tmp_path: Path, dtype: str, op_type: str, scale: float) -> None:
    inputs = {"a": _bytes(1, dtype, 2, 8, 9), "b": _bytes(2, dtype, 8, 9)}
    known = {"sa": _scale(0.031), "za": np.array(7, dtype), "sb": _scale(0.023)}
    known |= {"zb": np.array(-3 if dtype == "int8" else 130, dtype), "sc": _scale(scale)}
    names = ["a", "sa", "za", "b", "sb", "zb", "sc", "zc"]
    _close(_run(tmp_path, op_type, inputs, known | {"zc": np.array(11, dtype)}, names))


@pytest.mark.parametrize(
    ("op_type", "shape", "attributes"),
    [
        ("QLinearSigmoid", (3, 90), {}),
        ("QLinearLeakyRelu", (3, 90), {"alpha": 0.3}),
        ("QLinearSoftmax", (9, 7), {"axis": -1, "opset": 13}),
        ("QLinearSoftmax", (9, 3, 2), {"axis": 1, "opset": 11}),
        ("QLinearGlobalAveragePool", (4, 9, 3, 3), {}),
        ("QLinearAveragePool", (2, 4, 6, 5), {"kernel_shape": (3, 2), "pads": (1, 0, 1, 1)}),
        (
            "QLinearAveragePool", (2, 4, 6, 5),
            {"kernel_shape": (2, 2), "pads": (1, 0, 1, 1), "count_include_pad": 1},
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_functions_of_quantized_tensors(
    tmp_path: Path,
    op_type: str,
    shape: tuple[int, ...],
    attributes: dict[str, Attribute],
    dtype: str,
) -> None:
    narrow = op_type in ("QLinearSigmoid", "QLinearSoftmax")
    known = {
        "sx": _scale(0.0513),
        "zx": np.array(9, dtype),
        "sy": _scale(1 / 256 if narrow else 0.03),
    }
    lowest = np.array(np.iinfo(dtype).min if narrow else 21, dtype)
    inputs = {"x": _bytes(1, dtype, *shape)}
    _close(_run(tmp_path, op_type, inputs, known | {"zy": lowest}, **attributes))


def test_quantized_tensors_are_joined_in_one_scale(tmp_path: Path) -> None:
    inputs = {"a": _bytes(1, "uint8", 2, 30), "b": _bytes(2, "uint8", 2, 40)}
    known = {"sy": _scale(0.05), "zy": np.array(90, np.uint8), "sa": _scale(0.05)}
    known |= {"za": np.array(90, np.uint8), "sb": _scale(0.021), "zb": np.array(4, np.uint8)}
    names = ["sy", "zy", "a", "sa", "za", "b", "sb", "zb"]
    results = _run(tmp_path, "QLinearConcat", inputs, known, names, axis=1)
    _close(results)
    np.testing.assert_array_equal(results[0][0][:, :30], inputs["a"])


def test_quantizing_of_their_domain(tmp_path: Path) -> None:
    x = _normal(1, 3, 5) * 40
    known = {"s": np.array([0.1, 0.5, 0.3], np.float32), "z": np.array([1, 128, 7], np.uint8)}
    ((ours, theirs),) = _run(tmp_path, "QuantizeLinear", {"x": x}, known, axis=0)
    np.testing.assert_array_equal(ours, theirs)
    ((ours, theirs),) = _run(tmp_path, "DequantizeLinear", {"x": ours}, known, axis=0)
    np.testing.assert_array_equal(ours, theirs)


# ---- the domain ------------------------------------------------------------------------------


def _refusal(
    folder: Path,
    op_type: str,
    domain: str,
    shape: tuple[int, ...] = (2, 2, 1, 1),
    **attributes: Attribute,
) -> str:
    x, w = _normal(1, *shape), _normal(2, *shape)
    node = helper.make_node(op_type, ["x", "w"], ["y"], domain=domain, **attributes)
    path = folder / "model.onnx"
    path.write_bytes(model_of([node], {"x": x}, {"w": w}, ["y"]).SerializeToString())
    with pytest.raises(DhcError) as error:
        load(path)
    return str(error.value)


def test_what_they_say_else_is_refused(tmp_path: Path) -> None:
    text = _refusal(tmp_path, "FusedConv", MICROSOFT, activation="Swish")
    assert "attribute 'activation' is 'Swish'" in text
    text = _refusal(tmp_path, "FusedConv", MICROSOFT, activation="LeakyRelu")
    assert "its activation 'LeakyRelu' has 0 settings" in text
    text = _refusal(tmp_path, "FusedGemm", MICROSOFT, (2, 2), activation="LeakyRelu")
    assert "its activation 'LeakyRelu' needs the attribute 'activation_alpha'" in text
    assert "'transBatchA' is 1" in _refusal(tmp_path, "FusedMatMul", MICROSOFT, transBatchA=1)


def test_names_belong_to_their_domain(tmp_path: Path) -> None:
    assert "no operator 'FusedConv'" in _refusal(tmp_path, "FusedConv", "")
    assert "no operator 'Conv' of 'com.microsoft'" in _refusal(tmp_path, "Conv", MICROSOFT)
    assert "no operator 'QuickGelu'" in _refusal(tmp_path, "QuickGelu", "")


# ---- recurrent layers ------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["uint8", "int8"])
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_lstm_of_quantized_weights(
    tmp_path: Path, weights: str, columns: bool, direction: str
) -> None:
    count, features, units, batch = 2 if direction == "bidirectional" else 1, 5, 4, 1
    sized = (count, 4 * units) if columns else (count,)
    known = {
        "w": _bytes(1, weights, count, features, 4 * units),
        "r": _bytes(2, weights, count, units, 4 * units),
        "b": _normal(3, count, 8 * units),
        "h": _normal(4, count, batch, units) / 4,
        "c": _normal(5, count, batch, units),
    }
    scales = {
        "ws": np.abs(_normal(6, *sized)) / 100,
        "wz": np.full(sized, 0 if columns else 3 if weights == "int8" else 130, weights),
        "rs": np.abs(_normal(7, *sized)) / 100,
        "rz": np.full(sized, 0 if columns or weights == "int8" else 128, weights),
    }
    names = ["x", "w", "r", "b", "", "h", "c", "", *scales]
    inputs = {"x": _normal(8, 3, batch, features)}
    found = _run(
        tmp_path, "DynamicQuantizeLSTM", inputs, known | scales, names, ("y", "last", "cell"),
        direction=direction, hidden_size=units,
    )  # fmt: skip
    _agree(found)


def test_scales_of_another_shape_are_refused(tmp_path: Path) -> None:
    known = {"w": _bytes(1, "int8", 1, 3, 8), "r": _bytes(2, "int8", 1, 2, 8)}
    scales = {"ws": _normal(3, 8), "wz": np.zeros(1, np.int8)}
    names = ["x", "w", "r", "", "", "", "", "", "ws", "wz", "ws", "wz"]
    node = helper.make_node("DynamicQuantizeLSTM", names, ["y"], domain=MICROSOFT, hidden_size=2)
    model = model_of([node], {"x": _normal(4, 3, 1, 3)}, known | scales, ["y"])
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(DhcError, match="a scale or zero point of"):
        load(path)
