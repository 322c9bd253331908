"""What bench/onnx_fuzz.py has found: small files that would take long, or much memory, or names."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dhc.errors import DhcError
from dhc.ir.graph import topological
from dhc.onnx.imported import Imported
from dhc.onnx.read import load

node = helper.make_node


def _load(folder: Path, nodes: Sequence[onnx.NodeProto], **more: Any) -> Imported:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, more.pop("shape", [2, 3]))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "net", [x], [y], more.pop("known", ()))
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, opset_imports=imports, **more)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return load(path)


def _function(name: str, nodes: Sequence[onnx.NodeProto]) -> onnx.FunctionProto:
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["x"], ["y"], nodes, imports)


def _own(name: str, *inputs: str, output: str = "y") -> onnx.NodeProto:
    return node(name, inputs, [output], domain="own")


def test_a_function_that_calls_itself_is_refused(tmp_path: Path) -> None:
    """Twice each time: the number of calls would double with every call."""
    twice = [_own("F", "x", output="t"), _own("F", "t")]
    with pytest.raises(DhcError, match="the function calls itself"):
        _load(tmp_path, [_own("F", "x")], functions=[_function("F", twice)])


def test_functions_that_grow_exponentially_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dhc.onnx.read.MOST_INNER", 1000)
    functions = [_function("F0", [node("Relu", ["x"], ["y"])])]
    for number in range(1, 20):
        inner = f"F{number - 1}"
        functions.append(_function(f"F{number}", [_own(inner, "x", output="t"), _own(inner, "t")]))
    with pytest.raises(DhcError, match="more than 1000 nodes"):
        _load(tmp_path, [_own("F19", "x")], functions=functions)


def test_a_split_makes_as_many_parts_as_it_has_outputs(tmp_path: Path) -> None:
    split = node("Split", ["x"], ["y"], axis=0, num_outputs=1 << 40)
    with pytest.raises(DhcError, match="attribute 'num_outputs' is 1099511627776"):
        _load(tmp_path, [split])
    sizes = numpy_helper.from_array(np.array([1, 1], np.int64), "sizes")
    with pytest.raises(DhcError, match="2 parts for 1 outputs"):
        _load(tmp_path, [node("Split", ["x", "sizes"], ["y"])], known=[sizes])


def test_large_tensors_that_are_only_described_take_no_memory(tmp_path: Path) -> None:
    """Four GiB, and the mean of as many numbers, from a few bytes."""
    shape = numpy_helper.from_array(np.array([1 << 15, 1 << 15], np.int64), "shape")
    nodes = [
        node("ConstantOfShape", ["shape"], ["large"]),
        node("ReduceMean", ["large"], ["mean"]),
        node("Add", ["x", "mean"], ["y"]),
    ]
    tracemalloc.start()
    imported = _load(tmp_path, nodes, known=[shape])
    assert tracemalloc.get_traced_memory()[1] < 50 << 20
    tracemalloc.stop()
    assert imported.graph.outputs[0][1].type.shape == (2, 3)


@pytest.mark.parametrize("size", [-1, -(1 << 63)])
def test_shapes_below_zero_are_refused(tmp_path: Path, size: int) -> None:
    shape = numpy_helper.from_array(np.array([size], np.int64), "shape")
    nodes = [node("ConstantOfShape", ["shape"], ["c"]), node("Add", ["x", "c"], ["y"])]
    with pytest.raises(DhcError, match="makes a tensor of"):
        _load(tmp_path, nodes, known=[shape])


def test_ranges_that_do_not_end_are_refused(tmp_path: Path) -> None:
    limits = {"a": 0.0, "b": np.nan, "c": 1.0}
    known = [numpy_helper.from_array(np.float32(v), name) for name, v in limits.items()]
    nodes = [node("Range", ["a", "b", "c"], ["r"]), node("Add", ["x", "r"], ["y"])]
    with pytest.raises(DhcError, match="too many numbers"):
        _load(tmp_path, nodes, known=known)


def test_inputs_without_elements_but_with_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DhcError, match="has no elements, and sizes that are not known"):
        _load(tmp_path, [node("Relu", ["x"], ["y"])], shape=["n", 0])


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b", "loop"])
def test_data_in_files_that_cannot_be_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    weight = TensorProto(name="w", data_type=1, dims=[2, 3], data_location=1)
    weight.external_data.add(key="location", value=name)
    with pytest.raises(DhcError, match="lie in no file"):
        _load(tmp_path, [node("Add", ["x", "w"], ["y"])], known=[weight])


def test_sequences_have_a_limit(tmp_path: Path) -> None:
    nodes = [
        node("SplitToSequence", ["x"], ["s"]),
        node("ConcatFromSequence", ["s"], ["y"], axis=0),
    ]
    with pytest.raises(DhcError, match="splits an axis of 65536"):
        _load(tmp_path, nodes, shape=[1 << 16, 3])


def test_a_window_wider_than_all_channels_is_cut(tmp_path: Path) -> None:
    """Of a billion neighbours two are there."""
    one = _load(tmp_path, [node("LRN", ["x"], ["y"], size=1 << 30)], shape=[1, 3, 2, 2])
    assert sum(1 for _ in topological(one.graph.roots)) < 30
    with pytest.raises(DhcError, match="attribute 'size' is -3"):
        _load(tmp_path, [node("LRN", ["x"], ["y"], size=-3)], shape=[1, 3, 2, 2])


def test_layers_over_time_have_two_directions_at_most(tmp_path: Path) -> None:
    """As many activations as directions would be listed."""
    layer = node("LSTM", ["x", "x", "x"], ["y"], hidden_size=2)
    with pytest.raises(DhcError, match="have 1073741824 directions, not 1"):
        _load(tmp_path, [layer], shape=[1 << 30, 8, 2])


def test_an_attribute_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    softmax = node("Softmax", ["x"], ["y"], axis=0)
    softmax.attribute.append(helper.make_attribute("axis", 1))
    with pytest.raises(DhcError, match="has an attribute twice"):
        _load(tmp_path, [softmax])


def test_names_that_onnx_cannot_parse_are_refused(tmp_path: Path) -> None:
    """ONNX writes what such a node is made of as a text, with names in it as they are."""
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 2, 4, 8]) for n in "qkv"]
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)
    made = helper.make_tensor_value_info("made", TensorProto.FLOAT, None)
    odd = numpy_helper.from_array(np.float32(1), "/dev/zero")
    score = helper.make_graph(
        [node("Add", ["scores", "/dev/zero"], ["made"])], "score", [scores], [made], [odd]
    )
    attention = node(
        "FlexAttention", ["q", "k", "v"], ["y"], domain="ai.onnx.preview", score_mod=score
    )
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([attention], "net", ports, [y])
    imports = [helper.make_opsetid("", 26), helper.make_opsetid("ai.onnx.preview", 1)]
    onnx.save(helper.make_model(graph, opset_imports=imports), tmp_path / "m.onnx")
    with pytest.raises(DhcError, match="ONNX does not say what it is made of"):
        load(tmp_path / "m.onnx")


UNKNOWN_WORDS = {
    "auto_pad": node("Conv", ["x", "w"], ["y"], auto_pad="SAME"),
    "auto_pad of a given size": node(
        "ConvTranspose", ["x", "w"], ["y"], auto_pad="SAME", output_shape=[4, 4]
    ),
    "nearest_mode": node("Resize", ["x", "", "by"], ["y"], nearest_mode="odd"),
    "mode": node("Resize", ["x", "", "by"], ["y"], mode="odd"),
    "coordinate_transformation_mode": node(
        "RoiAlign", ["x", "boxes", "of"], ["y"], coordinate_transformation_mode="odd",
        sampling_ratio=2,
    ),
    "mode of blocks": node("DepthToSpace", ["x"], ["y"], blocksize=1, mode="odd"),
    "direction": node("BitShift", ["of", "of"], ["y"], direction="odd"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN_WORDS)
def test_words_that_mean_nothing_are_refused(tmp_path: Path, name: str) -> None:
    """None of them stands for the usual one."""
    arrays = {
        "w": np.ones((2, 2, 3, 3), np.float32), "by": np.array([1, 1, 2, 2], np.float32),
        "boxes": np.array([[0, 0, 2, 2]], np.float32), "of": np.array([0], np.int64),
    }  # fmt: skip
    known = [numpy_helper.from_array(array, key) for key, array in arrays.items()]
    with pytest.raises(DhcError, match=f"attribute '{name.split()[0]}' is '"):
        _load(tmp_path, [UNKNOWN_WORDS[name]], known=known, shape=[1, 2, 4, 4])
