"""Sequences, optionals, and tensors without elements, which are all known while reading."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dhc.errors import DhcError
from dhc.ir.graph import topological
from dhc.onnx.backend import run_model
from dhc.onnx.imported import Imported, NotKnownError
from dhc.onnx.read import load

F32 = TensorProto.FLOAT
node = helper.make_node
X = np.arange(10, dtype=np.float32).reshape(5, 2)


def _model(
    nodes: Sequence[onnx.NodeProto], output: str = "y", **constants: object
) -> onnx.ModelProto:
    given = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", F32, [5, 2])],
        [helper.make_empty_tensor_value_info(output)], given,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def _run(nodes: Sequence[onnx.NodeProto], **constants: object) -> Any:
    (found,) = run_model(_model(nodes, **constants), [X], "reference")
    return found


def _load(folder: Path, model: onnx.ModelProto) -> Imported:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return load(path)


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [(2, [X[:2], X[2:4], X[4:]]), ([1, 4], [X[:1], X[1:]]), ([0, 5], [X[:0], X])],
)
def test_tensors_become_sequences(sizes: object, parts: Sequence[Any]) -> None:
    """The last part may be smaller, and parts may be empty."""
    found = _run([node("SplitToSequence", ["x", "sizes"], ["y"], axis=0)], sizes=sizes)
    for part, wanted in zip(found, parts, strict=True):
        assert np.array_equal(part, wanted)
        assert part.shape == wanted.shape


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [(0, "parts of 0"), ([2, 2], r"an axis of 5 into \[2, 2\]"), ([-1, 6], "into")],
)
def test_parts_that_do_not_fit_are_refused(sizes: object, reason: str) -> None:
    with pytest.raises(DhcError, match=reason):
        _run([node("SplitToSequence", ["x", "sizes"], ["y"], axis=0)], sizes=sizes)


def _edited(place: int, kind: str, *more: str) -> Any:
    """The rows of x as a sequence, in which one is changed, joined again."""
    return _run(
        [
            node("SplitToSequence", ["x"], ["rows"], axis=0, keepdims=0),
            node("Neg", ["row"], ["negative"]),
            node(kind, ["rows", *more, "place"], ["changed"]),
            node("ConcatFromSequence", ["changed"], ["y"], axis=-1, new_axis=1),
        ],
        row=X[0] + 1,
        place=place,
    )


@pytest.mark.parametrize("place", [0, 3, 5, -1, -5])
def test_tensors_are_put_before_a_place(place: int) -> None:
    expected = list(X)
    expected.insert(place, -(X[0] + 1))
    assert np.array_equal(_edited(place, "SequenceInsert", "negative"), np.stack(expected, -1))


@pytest.mark.parametrize("place", [0, 4, -1, -5])
def test_tensors_are_taken_out(place: int) -> None:
    expected = list(X)
    del expected[place]
    assert np.array_equal(_edited(place, "SequenceErase"), np.stack(expected, -1))


@pytest.mark.parametrize(("kind", "place"), [("SequenceInsert", 6), ("SequenceErase", -6)])
def test_places_outside_are_refused(kind: str, place: int) -> None:
    with pytest.raises(DhcError, match=f"no place {place}"):
        _edited(place, kind, *(["negative"] if kind == "SequenceInsert" else []))


def test_a_graph_is_mapped_over_sequences() -> None:
    """With a tensor that is the same for all."""
    ports = [helper.make_empty_tensor_value_info(name) for name in ("row", "other", "sum")]
    body = helper.make_graph([node("Add", ["row", "other"], ["sum"])], "body", ports[:2], ports[2:])
    nodes = [
        node("SplitToSequence", ["x"], ["rows"], axis=0),
        node("SequenceMap", ["rows", "one"], ["y"], body=body),
    ]
    found = _run(nodes, one=np.ones(2, np.float32))
    assert np.array_equal(np.concatenate(found), X + 1)


@pytest.mark.parametrize(("inputs", "full"), [(["x"], True), ([], False)])
def test_optionals_say_whether_they_hold_something(inputs: list[str], full: bool) -> None:
    kind = helper.make_tensor_type_proto(F32, [5, 2])
    optional = node("Optional", inputs, ["o"], **({} if full else {"type": kind}))
    assert _run([optional, node("OptionalHasElement", ["o"], ["y"])]).item() is full
    if full:
        assert np.array_equal(_run([optional, node("OptionalGetElement", ["o"], ["y"])]), X)
    else:
        with pytest.raises(DhcError, match="does not hold"):
            _run([optional, node("OptionalGetElement", ["o"], ["y"])])


def test_a_sequence_is_no_tensor(tmp_path: Path) -> None:
    nodes = [node("SequenceConstruct", ["x", "x"], ["s"]), node("Relu", ["s"], ["y"])]
    with pytest.raises(DhcError, match="input 1 is a sequence"):
        _load(tmp_path, _model(nodes))


def test_outputs_that_are_sequences_are_several_of_the_graph(tmp_path: Path) -> None:
    nodes = [node("Neg", ["x"], ["a"]), node("SequenceConstruct", ["a", "x"], ["y"])]
    imported = _load(tmp_path, _model(nodes))
    assert imported.outputs == {"y": ["y_0", "y_1"]}
    assert [name for name, _ in imported.graph.outputs] == ["y_0", "y_1"]


def test_inputs_that_are_sequences_must_be_given(tmp_path: Path) -> None:
    model = _model([node("ConcatFromSequence", ["s"], ["y"], axis=0)])
    model.graph.input.add(name="s", type=helper.make_sequence_type_proto(
        helper.make_tensor_type_proto(F32, None)))  # fmt: skip
    with pytest.raises(NotKnownError) as caught:
        _load(tmp_path, model)
    assert caught.value.inputs == {"s"}
    (found,) = run_model(model, [X, [X[:1], X[1:]]], "reference")
    assert np.array_equal(found, X)


# ---- tensors without elements ----------------------------------------------------------------


def test_parts_without_elements_add_nothing(tmp_path: Path) -> None:
    """The graph does not even see them."""
    nodes = [
        node("Slice", ["x", "five", "five"], ["nothing"]),
        node("Concat", ["nothing", "x", "nothing"], ["y"], axis=0),
    ]
    model = _model(nodes, five=[5])
    assert np.array_equal(run_model(model, [X], "reference")[0], X)
    ((_, y),) = _load(tmp_path, model).graph.outputs
    assert [each.op.name for each in topological([y])] == ["input"]


def test_their_shape_and_type_count() -> None:
    nodes = [
        node("Slice", ["x", "five", "five"], ["nothing"]),
        node("Shape", ["nothing"], ["y"]),
    ]
    assert _run(nodes, five=[5]).tolist() == [0, 2]
    nodes[1] = node("CastLike", ["number", "nothing"], ["y"])
    assert _run(nodes, five=[5], number=[1, 2]).dtype == np.float32


def test_their_sizes_may_be_exchanged() -> None:
    nodes = [
        node("Slice", ["x", "five", "five"], ["nothing"]),
        node("Reshape", ["nothing", "shape"], ["y"], allowzero=1),
    ]
    assert _run(nodes, five=[5], shape=[3, 0, 7]).shape == (3, 0, 7)
    with pytest.raises(DhcError, match="do not fit together"):
        _run(nodes, five=[5], shape=[0, -1])


def test_outputs_without_elements_are_what_they_are() -> None:
    found = _run([node("Slice", ["x", "five", "five"], ["y"])], five=[5])
    assert (found.shape, found.dtype) == ((0, 2), np.float32)


def test_inputs_without_elements_are_known(tmp_path: Path) -> None:
    model = _model([node("Concat", ["x", "past"], ["y"], axis=0)])
    model.graph.input.append(helper.make_tensor_value_info("past", F32, [0, 2]))
    assert _load(tmp_path, model).inputs == ("x",)
    assert np.array_equal(run_model(model, [X, X[:0]], "reference")[0], X)


def test_computing_with_them_is_refused() -> None:
    """An unknown tensor of a batch of none."""
    nodes = [
        node("Slice", ["x", "five", "five"], ["nothing"]),
        node("MatMul", ["x", "turned"], ["z"]),
        node("Transpose", ["nothing"], ["turned"]),
    ]
    with pytest.raises(DhcError):
        _run([nodes[0], nodes[2], nodes[1], node("Relu", ["z"], ["y"])], five=[5])
