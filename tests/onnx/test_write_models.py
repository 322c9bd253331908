"""Whole networks and pipelines as models of ONNX: ONNX Runtime gives what dhc gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest

from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.ir.graph import Array, Graph, input_label, topological
from dhc.ir.types import DType
from dhc.onnx.read import load
from dhc.onnx.write import save
from dhc.ops.base import run
from dhc.passes.bind_sizes import bind_sizes
from tests.models.test_models import CASES, Case, entry, lively_weights, sizes
from tests.onnx.written import evaluated, on_runtime, saved

QUICK = {
    "Transformer", "TextClassifier", "Report", "Reporter", "MLP", "TabularMLP", "Tissue", "UNet",
    "NoduleNet", "PerfusionNet", "TextureNet", "UNet3D", "UNetPlusPlus", "SegNet", "ResNet18",
}  # fmt: skip


def _inputs(case: Case, graph: Graph) -> dict[str, Array]:
    random = np.random.default_rng(1)
    made: dict[str, Array] = {}
    if case.given:
        label = input_label(graph.inputs[0])
        made[label] = random.standard_normal(case.given).astype(np.float32)
    for name, (shape, largest) in case.numbers.items():
        made[name] = random.integers(1, largest + 1, shape)
    types = {input_label(node): node.type.dtype.numpy for node in graph.inputs}
    return {name: array.astype(types[name]) for name, array in made.items()}


def _close(found: Mapping[str, Array], right: Mapping[str, Array]) -> None:
    assert found.keys() == right.keys()
    for name, value in right.items():
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
        if value.dtype.kind in "iub":
            np.testing.assert_array_equal(found[name], value)
        else:
            assert np.abs(found[name] - value).max() <= 1e-4 * np.abs(value).max()


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=[] if case.name in QUICK else [pytest.mark.slow])
        for case in CASES
    ],
)
def test_a_network_gives_the_same_on_onnx_runtime(case: Case, tmp_path: Path) -> None:
    graph = entry(case.name, **case.settings).graph
    weights, inputs = lively_weights(graph), _inputs(case, graph)
    path = saved(tmp_path, graph, values=weights)
    shapes = {name: shape for name, (shape, _) in case.numbers.items()}
    bound = sizes(graph, case.given, shapes)
    right = evaluated(bind_sizes(graph, bound), {**inputs, **weights})
    _close(on_runtime(path, inputs), right)
    back = load(path)
    assert sorted(back.values) == sorted(weights)
    assert all(np.array_equal(back.values[name], array) for name, array in weights.items())
    _close(evaluated(bind_sizes(back.graph, bound), {**inputs, **back.values}), right)


@pytest.mark.parametrize("name", ["UNet", "ResNet18"])
def test_a_network_comes_back_as_the_same_operators(name: str, tmp_path: Path) -> None:
    """Networks whose operators ONNX has, all of them; dropout does nothing where it is used."""
    graph = entry(name).graph
    values = {p.path: np.zeros(p.type.static_shape, np.float32) for p in graph.params}
    save(graph, values, tmp_path / "net.onnx")
    back = load(tmp_path / "net.onnx").graph
    assert _operators(back) == _operators(graph)
    nodes = onnx.load(tmp_path / "net.onnx").graph.node
    assert sum(1 for each in nodes if each.op_type != "Constant") == sum(_operators(graph).values())


LEAVES = ("input", "param", "constant", "literal", "dropout")


def _operators(graph: Graph) -> Counter[str]:
    names = (node.op.name for node in topological(graph.roots))
    return Counter(name for name in names if name not in LEAVES)


# ---- pipelines -------------------------------------------------------------------------------

PIPELINES = """dhm 1
pipeline photograph(image: image[3], mask: mask) {
    to_float()
    resize(9, 11)
    normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
}
pipeline tomography(ct: image[1], mask: mask) {
    window(center=40, width=400)
    resize(7, 6)
    center_crop(5)
}
pipeline turned(image: image[3]) {
    to_float()
    rgb_to_gray()
    flip(W)
    rotate(20deg, border=replicate)
    zoom(1.2)
    pad(2)
    gamma(0.7)
}
pipeline coloured(image: image[3]) {
    to_float()
    rgb_to_hsv()
    hsv_to_rgb()
    rgb_to_ycrcb()
    brightness(0.1)
    contrast(1.2)
}
pipeline varied(image: image[3]) {
    rotate(-20deg .. 20deg)
}
"""
ELEMENTS = {"tomography": DType.I16}


@pytest.mark.parametrize("name", ["photograph", "tomography", "turned", "coloured"])
def test_a_pipeline_gives_the_same_for_pictures_of_all_sizes(name: str, tmp_path: Path) -> None:
    graph = load_text(PIPELINES).pipeline(name, ELEMENTS.get(name, DType.U8)).graph
    path = saved(tmp_path, graph)
    random = np.random.default_rng(0)
    for height, width in ((8, 10), (13, 7)):
        bound = bind_sizes(graph, {"H": height, "W": width})
        inputs: dict[str, Array] = {}
        for node in bound.inputs:
            low, high = (-500, 800) if node.type.dtype is DType.I16 else (0, 255)
            drawn = random.integers(low, high, node.type.static_shape)
            inputs[input_label(node)] = drawn.astype(node.type.dtype.numpy)
        right = run([node for _, node in bound.outputs], inputs, bound.constants)
        names = [f"{label}_out" for label, _ in bound.outputs]
        _close(on_runtime(path, inputs), dict(zip(names, right, strict=True)))
        again = bind_sizes(load(path).graph, {"H": height, "W": width})
        _close(evaluated(again, inputs), dict(zip(names, right, strict=True)))


def test_resizing_and_normalising_travel_as_operators_of_onnx(tmp_path: Path) -> None:
    graph = load_text(PIPELINES).pipeline("photograph", DType.U8).graph
    kept = Graph(graph.name, graph.inputs, graph.outputs[:1])
    model = onnx.load(saved(tmp_path, kept))
    types = [each.op_type for each in model.graph.node if each.op_type != "Constant"]
    assert [each for each in types if each in ("Cast", "Resize", "Sub", "Div")] == [
        "Cast", "Div", "Resize", "Sub", "Div",
    ]  # fmt: skip


def test_what_varies_pictures_at_random_is_refused(tmp_path: Path) -> None:
    graph = load_text(PIPELINES).pipeline("varied", DType.U8).graph
    with pytest.raises(DhcError, match="what it draws is not the same elsewhere"):
        save(graph, {}, tmp_path / "varied.onnx")
    assert list(tmp_path.iterdir()) == []
