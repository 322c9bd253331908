"""What ONNX's node tests do not show of operators that count places, and of known values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from dhc.errors import DhcError
from dhc.ir.graph import Array
from dhc.onnx.read import load
from dhc.ops.base import run

RANDOM = np.random.default_rng(3)


def _results(
    folder: Path,
    op_type: str,
    inputs: Sequence[Array],
    known: Mapping[str, Array] | None = None,
    outputs: int = 1,
    version: int = 21,
    **attributes: Any,
) -> list[Array]:
    """What a single node gives; its inputs are called a, b, ... and come first."""
    names = [*map(chr, range(97, 97 + len(inputs))), *(known or {})]
    made = [f"out{k}" for k in range(outputs)]
    node = helper.make_node(op_type, names, made, **attributes)
    arrays = [*inputs, *(known or {}).values()]
    types = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in zip(names, arrays, strict=True)
    ]
    given = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in made]
    graph = helper.make_graph([node], "net", types, given)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    imported = load(path, known or {})
    values = dict(zip(names, inputs, strict=False)) | dict(imported.values)
    return run([node for _, node in imported.graph.outputs], values, imported.graph.constants)


def _floats(*shape: int) -> Array:
    return RANDOM.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("order", [0, 1])
def test_places_count_through_samples_and_channels(tmp_path: Path, order: int) -> None:
    x = _floats(2, 3, 4, 6)
    window: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2], "storage_order": order}
    largest, places = _results(tmp_path, "MaxPool", [x], outputs=2, **window)
    flat = x.reshape(-1) if order == 0 else x.transpose(0, 1, 3, 2).reshape(-1)
    assert np.array_equal(flat[places], largest)


def test_unpooling_puts_elements_back_anywhere(tmp_path: Path) -> None:
    """Also outside of their own windows: here both at the ends of the other plane's rows."""
    x, places = _floats(1, 2, 1, 1), np.array([3, 4]).reshape(1, 2, 1, 1)
    (found,) = _results(tmp_path, "MaxUnpool", [x, places], kernel_shape=[2, 2], strides=[2, 2])
    expected = np.zeros(8, np.float32)
    expected[[3, 4]] = x.reshape(-1)
    assert np.array_equal(found, expected.reshape(1, 2, 2, 2))


def test_hardmax_of_old_versions_takes_the_rest_as_one_axis(tmp_path: Path) -> None:
    x = _floats(2, 3, 4)
    (found,) = _results(tmp_path, "Hardmax", [x], version=11, axis=1)
    flat = found.reshape(2, 12)
    assert flat.argmax(1).tolist() == x.reshape(2, 12).argmax(1).tolist()
    assert flat.sum() == 2


def test_groups_of_old_versions_have_one_weight_each(tmp_path: Path) -> None:
    x, weight, bias = _floats(2, 4, 5), np.array([2, 3], np.float32), np.array([0, 1], np.float32)
    new = _results(
        tmp_path, "GroupNormalization", [x, weight.repeat(2), bias.repeat(2)], num_groups=2
    )
    old = _results(tmp_path, "GroupNormalization", [x, weight, bias], version=18, num_groups=2)
    np.testing.assert_allclose(old[0], new[0])


def test_batch_statistics_move_the_running_ones(tmp_path: Path) -> None:
    x, mean, variance = _floats(3, 2, 4), np.array([1, 2], np.float32), np.ones(2, np.float32)
    inputs = [x, np.ones(2, np.float32), np.zeros(2, np.float32), mean, variance]
    rule: dict[str, Any] = {"training_mode": 1, "momentum": 0.75}
    _, new_mean, new_variance = _results(tmp_path, "BatchNormalization", inputs, outputs=3, **rule)
    np.testing.assert_allclose(new_mean, 0.75 * mean + 0.25 * x.mean((0, 2)), rtol=1e-5)
    np.testing.assert_allclose(new_variance, 0.75 + 0.25 * x.var((0, 2)), rtol=1e-5)


@pytest.mark.parametrize("largest", [0, 1])
def test_of_equal_elements_the_first_are_taken(tmp_path: Path, largest: int) -> None:
    x = np.array([[1, 2], [2, 2], [1, 1], [2, 1]], np.float32)
    k = {"k": np.array([3])}
    values, places = _results(tmp_path, "TopK", [x], k, outputs=2, axis=0, largest=largest)
    order = np.argsort(-x if largest else x, axis=0, kind="stable")[:3]
    assert np.array_equal(places, order)
    assert np.array_equal(values, np.take_along_axis(x, order, 0))


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)]),
        ("...ij,...jk", [(2, 1, 3, 4), (5, 4, 2)]),
        ("ab,bc,cd->da", [(2, 3), (3, 4), (4, 5)]),
        ("ij,k->ki", [(2, 3), (4,)]),
        ("iij,ij->j", [(3, 3, 2), (3, 2)]),
        ("a...,a...->...", [(2, 3, 4), (2, 3, 4)]),
        ("ab,cd", [(2, 3), (4, 2)]),
        ("iii", [(3, 3, 3)]),
    ],
)
def test_equations(tmp_path: Path, equation: str, shapes: list[tuple[int, ...]]) -> None:
    arrays = [_floats(*shape) for shape in shapes]
    (found,) = _results(tmp_path, "Einsum", arrays, equation=equation)
    np.testing.assert_allclose(found, np.einsum(equation, *arrays), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "equation", ["ij->ik", "ij->ii", "i->i", "i1->i", "ij,j->i", "i...->i", ""]
)
def test_equations_without_a_meaning(tmp_path: Path, equation: str) -> None:
    with pytest.raises(DhcError, match="Einsum"):
        _results(tmp_path, "Einsum", [_floats(2, 3)], equation=equation)


def test_determinants_need_exchanges_and_may_be_zero(tmp_path: Path) -> None:
    x = np.stack([_floats(4, 4), np.eye(4, dtype=np.float32)[[1, 0, 3, 2]], np.zeros((4, 4))])
    x = x.astype(np.float32)
    x[0, 0, 0] = 0
    (found,) = _results(tmp_path, "Det", [x])
    np.testing.assert_allclose(found, np.linalg.det(x), rtol=1e-4)


def test_updates_of_slices_from_the_end(tmp_path: Path) -> None:
    x, new = _floats(3, 4, 2), _floats(2, 2)
    places = np.array([[-1, 0], [0, -2]])
    (found,) = _results(tmp_path, "ScatterND", [x, places, new])
    expected = x.copy()
    expected[-1, 0], expected[0, -2] = new
    assert np.array_equal(found, expected)


def test_a_scale_that_leaves_the_size_still_resizes(tmp_path: Path) -> None:
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 4)
    known = {"roi": np.zeros(0, np.float32), "scales": np.array([1, 1, 1.2], np.float32)}
    way = {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}
    (found,) = _results(tmp_path, "Resize", [x], known, nearest_mode="floor", **way)
    np.testing.assert_allclose(found[0, 0], np.arange(4) / 1.2, rtol=1e-5)


def test_a_spectrum_and_back(tmp_path: Path) -> None:
    x = _floats(2, 9, 1)
    length = {"length": np.array(9)}
    rule: dict[str, Any] = {"version": 17, "axis": 1, "onesided": 1}
    (spectrum,) = _results(tmp_path, "DFT", [x], length, **rule)
    expected = np.fft.rfft(x[..., 0], axis=1)
    np.testing.assert_allclose(spectrum[..., 0] + 1j * spectrum[..., 1], expected, atol=1e-5)
    (back,) = _results(tmp_path, "DFT", [spectrum], length, inverse=1, **rule)
    np.testing.assert_allclose(back, x, atol=1e-6)


def test_boxes_that_are_left_are_known_or_found(tmp_path: Path) -> None:
    boxes = np.array([[[0, 0, 2, 2], [0, 0, 2, 1.9], [3, 3, 4, 4]]], np.float32)
    scores = np.array([[[0.5, 0.9, 0.7]]], np.float32)
    rule = {"most": np.array([5]), "overlap": np.array([0.5], np.float32)}
    known = {"boxes": boxes, "scores": scores} | rule
    (found,) = _results(tmp_path, "NonMaxSuppression", [], known)
    assert found.tolist() == [[0, 0, 1], [0, 0, 2]]
    (found,) = _results(tmp_path, "NonMaxSuppression", [boxes, scores], rule)
    assert found.tolist() == [[0, 0, 1], [0, 0, 2]]


@pytest.mark.slow
def test_what_depends_on_values_is_computed_where_they_are_known(
    tmp_path: Path, node_cases: Sequence[Any]
) -> None:
    kinds = ("nonmaxsuppression", "nonzero", "unique", "compress", "melweightmatrix")
    right = 0
    for case in node_cases:
        if not case.name.startswith(tuple(f"test_{kind}" for kind in kinds)):
            continue
        ((inputs, outputs),) = case.data_sets
        if "bfloat16" in case.name:
            continue
        names = [each.name for each in case.model.graph.input]
        path = tmp_path / "model.onnx"
        path.write_bytes(case.model.SerializeToString())
        imported = load(path, {n: np.asarray(a) for n, a in zip(names, inputs, strict=True)})
        roots = [node for _, node in imported.graph.outputs]
        for found, expected in zip(run(roots, {}, imported.graph.constants), outputs, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-6)
        right += 1
    assert right == 22
