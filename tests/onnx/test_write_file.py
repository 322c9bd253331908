"""Files of ONNX that dhc writes: their names, and what is refused before one is written."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest

from dhc.errors import DhcError
from dhc.ir.graph import Array, Graph, Input, Node, Origin, Param, literal
from dhc.ir.size import symbol
from dhc.ir.types import DType, Tensor
from dhc.onnx.read import load
from dhc.onnx.write import OPSET, OPSETS, save, write
from dhc.ops.activation import Relu
from dhc.ops.base import operators
from dhc.ops.elementwise import Add, Neg
from dhc.ops.linear import Dense
from dhc.ops.random import RandomUniform, counter
from dhc.ops.shape import Permute
from tests.onnx.written import graph_of, on_runtime, saved

N = symbol("N")

# ---- names -----------------------------------------------------------------------------------


def _net() -> tuple[Graph, dict[str, Array]]:
    x = Input("image", Tensor(DType.F32, (N, 3)))()
    weight = Param("head[1].dense#2.weight", Tensor(DType.F32, (4, 3)))()
    bias = Param("head[1].dense#2.bias", Tensor(DType.F32, (4,)))()
    made = Dense()(x, weight, bias)
    result = Relu()(made)
    origins = {made: (Origin(None, "head[1].dense#2"),), result: (Origin(None, "head[1].relu"),)}
    values = {
        "head[1].dense#2.weight": np.arange(12, dtype=np.float32).reshape(4, 3) - 5,
        "head[1].dense#2.bias": np.ones(4, np.float32),
    }
    return Graph("net", (x,), (("scores", result), ("raw", made)), origins=origins), values


def test_names_shapes_and_metadata_are_kept(tmp_path: Path) -> None:
    graph, values = _net()
    save(graph, values, tmp_path / "net.onnx", metadata={"labels": "a, b"})
    model = onnx.load(tmp_path / "net.onnx")
    assert [each.name for each in model.graph.initializer] == list(values)
    assert [each.name for each in model.graph.node] == ["head[1].dense#2", "head[1].relu"]
    (given,) = model.graph.input
    assert [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim] == ["N", 3]
    assert [each.name for each in model.graph.output] == ["scores", "raw"]
    assert model.producer_name == "dhc"
    assert {each.key: each.value for each in model.metadata_props} == {"labels": "a, b"}
    assert [each.version for each in model.opset_import] == [OPSET]


def test_weights_come_back_under_their_names(tmp_path: Path) -> None:
    graph, values = _net()
    back = load(saved(tmp_path, graph, values=values))
    assert {path: array.tolist() for path, array in back.values.items()} == {
        path: array.tolist() for path, array in values.items()
    }
    assert back.graph.name == "net"
    assert [name for name, _ in back.graph.outputs] == ["scores", "raw"]


def test_an_output_may_be_an_input_or_twice_the_same(tmp_path: Path) -> None:
    x = Input("x", Tensor(DType.F32, (3,)))()
    y = Neg()(x)
    graph = Graph("same", (x,), (("a", x), ("b", y), ("c", y), ("d", literal(2.0, DType.F32))))
    found = on_runtime(saved(tmp_path, graph), {"x": np.ones(3, np.float32)})
    assert {name: array.tolist() for name, array in found.items()} == {
        "a": [1, 1, 1], "b": [-1, -1, -1], "c": [-1, -1, -1], "d": 2,
    }  # fmt: skip


# ---- what is refused -------------------------------------------------------------------------


def test_all_that_cannot_be_written_is_told_at_once_and_no_file_changes(tmp_path: Path) -> None:
    draw = RandomUniform("noise", (3,))(counter())
    x = Input("x", Tensor(DType.F32, (3,)))()
    round_ = operators["power_of_two"]()(x)
    graph = graph_of("net", Add()(draw, round_), inputs=[*_inputs_of(draw), x])
    path = tmp_path / "model.onnx"
    path.write_text("what was there before")
    with pytest.raises(DhcError) as caught:
        save(graph, {}, path)
    told = [each.message.split("'")[1] for each in caught.value.diagnostics]
    assert sorted(told) == ["power_of_two", "random_uniform"]
    assert path.read_text() == "what was there before"
    assert [each.name for each in tmp_path.iterdir()] == ["model.onnx"]


def _inputs_of(node: Node) -> list[Node]:
    return [each for each in node.inputs if isinstance(each.op, Input)]


def _message(graph: Graph, values: Mapping[str, Array], opset: int = OPSET) -> str:
    with pytest.raises(DhcError) as caught:
        write(graph, values, opset)
    return caught.value.diagnostics[0].message


def test_elements_that_an_operator_of_onnx_does_not_take_are_refused() -> None:
    x, w = (Input(name, Tensor(DType.I16, (3, 3)))() for name in "xw")
    text = "'dense' cannot be written for ONNX 21: ONNX has no 'Gemm' of i16."
    assert _message(graph_of("whole", Dense()(x, w), inputs=[x, w]), {}) == text


def test_what_trains_is_not_exported() -> None:
    graph, values = _net()
    step = Graph("step", graph.inputs, graph.outputs, (("w", graph.outputs[0][1]),))
    assert "what trains a model is not exported" in _message(step, values)


@pytest.mark.parametrize("opset", [OPSETS[0] - 1, OPSETS[-1] + 1])
def test_other_versions_are_refused(opset: int) -> None:
    assert f"not {opset}" in _message(*_net(), opset)


def test_weights_must_be_there_and_fit() -> None:
    graph, values = _net()
    assert "no value for the parameter 'head[1].dense#2.bias'" in _message(
        graph, {path: a for path, a in values.items() if "weight" in path}
    )
    assert "is f32[4, 3]" in _message(graph, {path: a.T[:2] for path, a in values.items()})


def test_names_must_differ() -> None:
    x, w = Input("x", Tensor(DType.F32, (3,)))(), Param("x", Tensor(DType.F32, (3,)))()
    graph = graph_of("g", Add()(x, w), inputs=[x])
    assert "have the name 'x'" in _message(graph, {"x": np.ones(3, np.float32)})


def test_a_path_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DhcError, match="cannot be written"):
        save(*_net(), tmp_path / "file" / "model.onnx")


def test_permuted_is_transposed() -> None:
    x = Input("x", Tensor(DType.F32, (2, 3, 4)))()
    (node,) = write(graph_of("t", Permute((2, 0, 1))(x), inputs=[x]), {}).nodes
    assert (node.op_type, node.attributes) == ("Transpose", {"perm": (2, 0, 1)})


def test_without_the_package_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "need the package 'onnx'" in _message(*_net())


# ---- data beside the model -------------------------------------------------------------------


def _large() -> tuple[Graph, dict[str, Array]]:
    x = Input("image", Tensor(DType.F32, (N, 30)))()
    weight = Param("w", Tensor(DType.F32, (40, 30)))()
    second = Param("v", Tensor(DType.F32, (50, 40)))()
    bias = Param("b", Tensor(DType.F32, (50,)))()
    graph = Graph("net", (x,), (("y", Dense()(Dense()(x, weight), second, bias)),))
    random = np.random.default_rng(1)
    shapes = {"w": (40, 30), "v": (50, 40), "b": (50,)}
    return graph, {k: random.normal(size=s).astype(np.float32) for k, s in shapes.items()}


def test_large_weights_lie_in_one_file_beside_the_model(tmp_path: Path) -> None:
    graph, values = _large()
    path = tmp_path / "net.onnx"
    save(graph, values, path, most=2000)
    onnx.checker.check_model(str(path), full_check=True)
    (data,) = tmp_path.glob("net.onnx.*.data")
    model = onnx.load(path, load_external_data=False)
    said = {t.name: {e.key: e.value for e in t.external_data} for t in model.graph.initializer}
    assert said["b"] == {}
    assert {said[name]["location"] for name in "wv"} == {data.name}
    assert all(int(said[name]["offset"]) % 4096 == 0 for name in "wv")
    ends = {int(said[name]["offset"]) + int(said[name]["length"]) for name in "wv"}
    assert data.stat().st_size == max(ends)
    back = load(path)
    assert all(np.array_equal(back.values[name], array) for name, array in values.items())
    x = np.ones((2, 30), np.float32)
    found = on_runtime(path, {"image": x})["y"]
    right = x @ values["w"].T @ values["v"].T + values["b"]
    np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-4)


def test_data_of_the_model_before_are_removed_and_no_others(tmp_path: Path) -> None:
    graph, values = _large()
    path, other = tmp_path / "net.onnx", tmp_path / "my.net.onnx.0123456789abcdef.data"
    other.write_bytes(b"")
    save(graph, values, path, most=2000)
    (first,) = tmp_path.glob("net.onnx.*.data")
    save(graph, {**values, "w": values["w"] + 1}, path, most=2000)
    (second,) = tmp_path.glob("net.onnx.*.data")
    assert first != second
    np.testing.assert_array_equal(load(path).values["w"], values["w"] + 1)
    save(graph, values, path)
    assert sorted(each.name for each in tmp_path.iterdir()) == [other.name, path.name]


def test_a_model_that_cannot_be_written_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, values = _large()
    path = tmp_path / "net.onnx"
    save(graph, values, path, most=2000)
    before, names = path.read_bytes(), sorted(tmp_path.iterdir())

    def fail(*_: object) -> None:
        raise OSError("full")

    monkeypatch.setattr("dhc.onnx.write.model_proto", fail)
    with pytest.raises(DhcError, match="cannot be written"):
        save(graph, {**values, "w": values["w"] + 1}, path, most=2000)
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == names
    np.testing.assert_array_equal(load(path).values["w"], values["w"])


def test_data_of_another_length_are_refused(tmp_path: Path) -> None:
    graph, values = _large()
    path = tmp_path / "net.onnx"
    save(graph, values, path, most=2000)
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = "16" if entry.key == "length" else entry.value
    path.write_bytes(model.SerializeToString())
    with pytest.raises(DhcError, match="have not the length"):
        load(path)
