"""Quantized tensors: equal to what onnxruntime gives, ties and ends of types included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from dhc.errors import DhcError
from dhc.ir.graph import Array
from dhc.onnx.read import load
from dhc.ops.base import run
from tests.onnx.beside import both, model_of

TYPES = ("int8", "uint8", "int16", "uint16")


def _integers(seed: int, dtype: str, *shape: int) -> Array:
    info = np.iinfo(dtype)
    random = np.random.default_rng(seed)
    return random.integers(info.min, info.max, shape, endpoint=True).astype(dtype)


def _scales(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).uniform(0.01, 0.1, shape).astype(np.float32)


@pytest.mark.parametrize("dtype", TYPES)
def test_halves_go_to_the_even_number_and_ends_stay(tmp_path: Path, dtype: str) -> None:
    """The zero point is odd, and is added after rounding."""
    x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, -1e9, 1e9, 7.0], np.float32)
    known = {"scale": np.array(1, np.float32), "zero": np.array(3, dtype)}
    node = helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["y"])
    ((ours, theirs),) = both(tmp_path, node, {"x": x}, known)
    info = np.iinfo(dtype)
    expected = [1, 1, 3, 3, 5, 5, info.min, info.max, 10]
    assert np.array_equal(theirs, ours)
    assert np.array_equal(ours, np.clip(expected, info.min, info.max))


@pytest.mark.parametrize("op_type", ["QuantizeLinear", "DequantizeLinear"])
@pytest.mark.parametrize(
    ("axis", "block", "shape"), [(1, 0, (5,)), (-1, 0, (7,)), (2, 3, (2, 5, 3)), (0, 1, (2, 5, 7))]
)
@pytest.mark.parametrize("dtype", ["int8", "uint16"])
def test_scales_for_each_place_or_block_of_an_axis(
    tmp_path: Path, op_type: str, axis: int, block: int, shape: tuple[int, ...], dtype: str
) -> None:
    quantizes = op_type == "QuantizeLinear"
    wide = np.random.default_rng(1).normal(0, 20, (2, 5, 7)).astype(np.float32)
    x = wide if quantizes else _integers(1, dtype, 2, 5, 7)
    known = {"scale": _scales(2, *shape), "zero": _integers(3, dtype, *shape)}
    settings = {"axis": axis} | ({"block_size": block} if block else {})
    node = helper.make_node(op_type, ["x", "scale", "zero"], ["y"], **settings)
    ((ours, theirs),) = both(tmp_path, node, {"x": x}, known)
    np.testing.assert_array_equal(ours, theirs)


def test_ranges_are_measured_while_running(tmp_path: Path) -> None:
    x = np.random.default_rng(4).normal(1, 3, (4, 6)).astype(np.float32)
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "scale", "zero"])
    for ours, theirs in both(tmp_path, node, {"x": x}):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kernels", ["int8", "uint8"])
def test_sums_of_products_are_exact(tmp_path: Path, kernels: str) -> None:
    inputs = {"a": _integers(1, "uint8", 6, 300)}
    known = {
        "b": _integers(2, kernels, 300, 4),
        "za": np.array(130, np.uint8),
        "zb": np.array(7, kernels),
    }
    node = helper.make_node("MatMulInteger", ["a", "b", "za", "zb"], ["y"])
    ((ours, theirs),) = both(tmp_path, node, inputs, known)
    exact = (inputs["a"].astype(np.int64) - 130) @ (known["b"].astype(np.int64) - 7)
    np.testing.assert_array_equal(ours, exact)
    np.testing.assert_array_equal(theirs, exact)


def test_rows_and_columns_have_zero_points(tmp_path: Path) -> None:
    """By the words of the specification; onnxruntime refuses zero points of rows."""
    a, b = _integers(1, "uint8", 3, 5), _integers(2, "int8", 5, 4)
    za, zb = np.array([1, 2, 3], np.uint8), np.array([4, -3, 2, 1], np.int8)
    node = helper.make_node("MatMulInteger", ["a", "b", "za", "zb"], ["y"])
    path = tmp_path / "model.onnx"
    model = model_of([node], {}, {"a": a, "b": b, "za": za, "zb": zb}, ["y"])
    path.write_bytes(model.SerializeToString())
    graph = load(path).graph
    (found,) = run([y for _, y in graph.outputs], {}, graph.constants)
    exact = (a.astype(np.int64) - za[:, None]) @ (b.astype(np.int64) - zb)
    np.testing.assert_array_equal(found, exact)


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 0, 2, 1)])
@pytest.mark.parametrize("groups", [1, 2])
def test_padding_of_quantized_images_is_the_zero_point(
    tmp_path: Path, pads: tuple[int, ...], groups: int
) -> None:
    known = {"w": _integers(2, "uint8", 4, 4 // groups, 3, 2), "zx": np.array(77, np.uint8)}
    node = helper.make_node(
        "ConvInteger", ["x", "w", "zx"], ["y"], pads=pads, group=groups, strides=(2, 1)
    )
    ((ours, theirs),) = both(tmp_path, node, {"x": _integers(1, "uint8", 2, 4, 6, 5)}, known)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("channels", [(), (4,)])
def test_convolutions_give_the_same_bytes(
    tmp_path: Path, dtype: str, channels: tuple[int, ...]
) -> None:
    """All kinds of tensors that a quantized network has: scales of channels, and a bias."""
    known = {
        "sx": np.array(0.03, np.float32), "zx": np.array(5, dtype), "sw": _scales(1, *channels),
        "w": _integers(2, "int8", 4, 3, 3, 3), "zw": np.zeros(channels, np.int8),
        "sy": np.array(0.7, np.float32), "zy": np.array(9, dtype),
        "b": np.array([1000, -500, 3, 0], np.int32),
    }  # fmt: skip
    names = ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy", "b"]
    node = helper.make_node("QLinearConv", names, ["y"], pads=(1, 1, 1, 1))
    ((ours, theirs),) = both(tmp_path, node, {"x": _integers(3, dtype, 2, 3, 6, 5)}, known)
    assert len(np.unique(ours)) > 20
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("columns", [(), (4,)])
def test_matrix_products_give_the_same_bytes(tmp_path: Path, columns: tuple[int, ...]) -> None:
    known = {
        "sa": np.array(0.03, np.float32), "za": np.array(130, np.uint8), "sb": _scales(1, *columns),
        "b": _integers(2, "int8", 40, 4), "zb": np.zeros(columns, np.int8),
        "sy": np.array(0.7, np.float32), "zy": np.array(101, np.uint8),
    }  # fmt: skip
    node = helper.make_node("QLinearMatMul", ["a", "sa", "za", "b", "sb", "zb", "sy", "zy"], ["y"])
    ((ours, theirs),) = both(tmp_path, node, {"a": _integers(3, "uint8", 9, 40)}, known)
    assert len(np.unique(ours)) > 20
    np.testing.assert_array_equal(ours, theirs)


def _refused(folder: Path, node: onnx.NodeProto, known: dict[str, Array]) -> str:
    path = folder / "model.onnx"
    x = np.zeros((2, 3), np.float32)
    path.write_bytes(model_of([node], {"x": x}, known, ["y"]).SerializeToString())
    with pytest.raises(DhcError) as error:
        load(path)
    return str(error.value)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("QuantizeLinear", ["x", "s"], ["y"])
    text = _refused(tmp_path, node, {"s": _scales(1, 2, 3)})
    assert "scales or zero points of f32[2, 3] do not fit f32[2, 3]" in text
    text = _refused(tmp_path, node, {"s": _scales(1).astype(np.float16)})
    assert "its input and its scale have different types" in text
    beyond = helper.make_node("QuantizeLinear", ["x", "s"], ["y"], axis=2)
    assert "attribute 'axis' is 2" in _refused(tmp_path, beyond, {"s": _scales(1, 3)})
