"""Nodes whose number of results depends on values, held to ONNX Runtime: none, some and all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from dhc import api
from dhc.errors import DhcError
from dhc.ir.graph import Array
from dhc.onnx.backend import prepare
from dhc.onnx.models import load, save

onnxruntime = pytest.importorskip("onnxruntime")

TARGETS = ("reference", "cpu", "opencl")


def _whole(name: str, numbers: object) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(numbers, np.int64), name)


def _real(name: str, number: float) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array([number], np.float32), name)


def _input(name: str, array: Array) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
    )


def _model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[str],
    initializers: Sequence[onnx.TensorProto] = (),
) -> onnx.ModelProto:
    made = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph(nodes, "net", inputs, made, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _runtime(model: onnx.ModelProto, arrays: Sequence[Array]) -> list[Array]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    names = [each.name for each in session.get_inputs()]
    return list(session.run(None, dict(zip(names, arrays, strict=True))))


def _same(found: Sequence[object], wanted: Sequence[Array]) -> None:
    for ours, theirs in zip(found, wanted, strict=True):
        array = np.asarray(ours)
        assert (array.shape, array.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_array_equal(array, theirs)


def _boxes(random: np.random.Generator, batch: int, count: int, centred: bool) -> Array:
    places = random.random((batch, count, 2), np.float32) * 6
    sizes = random.random((batch, count, 2), np.float32) * 3 + np.float32(0.1)
    parts = (places, sizes) if centred else (places - sizes / 2, places + sizes / 2)
    return np.concatenate(parts, -1).astype(np.float32)


# ---- a detector as exporters write it --------------------------------------------------------


def _detector(boxes: Array, scores: Array, top: int = 0) -> onnx.ModelProto:
    """Boxes that are left, with their scores and classes: [K, 6]; perhaps the best of them."""
    node = helper.make_node
    nodes = [
        node("Transpose", ["raw"], ["scores"], perm=[0, 2, 1]),
        node("NonMaxSuppression", ["boxes", "scores", "most", "iou", "least"], ["chosen"]),
        node("Slice", ["chosen", "one", "two", "one"], ["class"]),
        node("Gather", ["chosen", "sample_and_box"], ["where"], axis=1),
        node("GatherND", ["boxes", "where"], ["corners"]),
        node("GatherND", ["scores", "chosen"], ["score"]),
        node("Unsqueeze", ["score", "one"], ["column"]),
        node("Cast", ["class"], ["number"], to=TensorProto.FLOAT),
        node("Concat", ["corners", "column", "number"], ["found"], axis=1),
        node("Shape", ["score"], ["count"]),
        node("Squeeze", ["count"], ["how_many"]),
    ]
    outputs = ["found", "chosen", "how_many"]
    if top:
        nodes += [
            node("Min", ["count", "top"], ["k"]),
            node("TopK", ["score", "k"], ["best", "rank"], axis=0),
            node("Gather", ["found", "rank"], ["best_found"], axis=0),
        ]
        outputs += ["best", "best_found"]
    known = [_whole("most", [5]), _real("iou", 0.4), _real("least", 0.3), _whole("one", [1])]
    known += [_whole("two", [2]), _whole("sample_and_box", [0, 2]), _whole("top", [top])]
    return _model(nodes, [_input("boxes", boxes), _input("raw", scores)], outputs, known)


@pytest.mark.parametrize("target", TARGETS)
def test_a_detector_gives_what_onnx_runtime_gives(target: str) -> None:
    random = np.random.default_rng(3)
    boxes = _boxes(random, 2, 20, centred=False)
    scores = random.random((2, 20, 3), np.float32)
    model = _detector(boxes, scores, top=7)
    ours = prepare(model, target)
    counts = []
    for scale in (1.0, 0.32, 0.2):
        arrays = [boxes, (scores * scale).astype(np.float32)]
        wanted = _runtime(model, arrays)
        _same(ours.run(arrays), wanted)
        counts.append(len(wanted[0]))
    assert counts[0] > 7 > counts[1] > counts[2] == 0


def test_a_detector_goes_out_again(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    arrays = [_boxes(random, 1, 12, centred=False), random.random((1, 12, 2), np.float32)]
    model = _detector(*arrays, top=4)
    onnx.save(model, tmp_path / "a.onnx")
    save(load(tmp_path / "a.onnx"), tmp_path / "b.onnx")
    written = onnx.load(tmp_path / "b.onnx")
    onnx.checker.check_model(written, full_check=True)
    assert "NonMaxSuppression" in {node.op_type for node in written.graph.node}
    _same(_runtime(written, arrays), _runtime(model, arrays))


# ---- non-maximum suppression -----------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 99),
    most=st.integers(0, 9),
    iou=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    least=st.sampled_from([None, 0.0, 0.5, 1.0]),
    centred=st.booleans(),
    levels=st.sampled_from([1, 3, 1000]),
)
def test_suppression(
    seed: int, most: int, iou: float, least: float | None, centred: bool, levels: int
) -> None:
    """Few levels of scores make ties; boxes may be given by any two opposite corners."""
    random = np.random.default_rng(seed)
    boxes = _boxes(random, 2, 9, centred)
    if not centred and seed % 2:
        boxes = boxes[..., [2, 1, 0, 3]]
    scores = (random.integers(0, levels + 1, (2, 2, 9)) / levels).astype(np.float32)
    names = ["boxes", "scores", "most", "iou", *(["least"] if least is not None else [])]
    node = helper.make_node("NonMaxSuppression", names, ["y"], center_point_box=int(centred))
    known = [_whole("most", [most]), _real("iou", iou)]
    known += [_real("least", least)] if least is not None else []
    model = _model([node], [_input("boxes", boxes), _input("scores", scores)], ["y"], known)
    _same(prepare(model, "reference").run([boxes, scores]), _runtime(model, [boxes, scores]))


@pytest.mark.parametrize("target", TARGETS)
def test_limits_may_come_when_it_runs(target: str) -> None:
    random = np.random.default_rng(0)
    boxes, scores = _boxes(random, 1, 9, False), random.random((1, 2, 9), np.float32)
    names = ["boxes", "scores", "most", "iou", "least"]
    node = helper.make_node("NonMaxSuppression", names, ["y"])
    limits = [np.array([3], np.int64), np.array([0.5], np.float32), np.array([0.2], np.float32)]
    arrays = [boxes, scores, *limits]
    inputs = [_input(name, array) for name, array in zip(names, arrays, strict=True)]
    model = _model([node], inputs, ["y"])
    ours = prepare(model, target)
    for most, iou, least in ((3, 0.5, 0.2), (0, 0.5, 0.2), (9, 1.0, 0.0), (2, 0.1, 0.99)):
        limits[0][0], limits[1][0], limits[2][0] = most, iou, least
        _same(ours.run([boxes, scores, *limits]), _runtime(model, [boxes, scores, *limits]))


# ---- elements that are not zero, chosen or different -----------------------------------------

few = st.lists(st.integers(0, 2), min_size=12, max_size=12)


@settings(max_examples=20, deadline=None)
@given(numbers=few | st.sampled_from([[0] * 12, [1] * 12]), rank=st.integers(1, 3))
def test_elements_that_are_not_zero(numbers: list[int], rank: int) -> None:
    x = np.array(numbers, np.float32).reshape({1: (12,), 2: (3, 4), 3: (2, 3, 2)}[rank])
    model = _model([helper.make_node("NonZero", ["x"], ["y"])], [_input("x", x)], ["y"])
    _same(prepare(model, "reference").run([x]), _runtime(model, [x]))


@settings(max_examples=20, deadline=None)
@given(
    chosen=st.lists(st.booleans(), min_size=2, max_size=3),
    axis=st.sampled_from([None, 0, 1, -1]),
)
def test_chosen_entries(chosen: list[bool], axis: int | None) -> None:
    """Conditions may be fewer than entries."""
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    said = {} if axis is None else {"axis": axis}
    condition = np.array(chosen)
    node = helper.make_node("Compress", ["x", "c"], ["y"], **said)
    model = _model([node], [_input("x", x), _input("c", condition)], ["y"])
    _same(prepare(model, "reference").run([x, condition]), _runtime(model, [x, condition]))


@settings(max_examples=30, deadline=None)
@given(
    numbers=few,
    in_order=st.booleans(),
    axis=st.sampled_from([None, 0, 1]),
    dtype=st.sampled_from([np.float32, np.int64]),
)
def test_different_entries(
    numbers: list[int], in_order: bool, axis: int | None, dtype: type[np.generic]
) -> None:
    x = np.array(numbers, dtype).reshape(6, 2)
    said = {"sorted": int(in_order)} | ({} if axis is None else {"axis": axis})
    names = ["y", "first", "back", "often"]
    model = _model([helper.make_node("Unique", ["x"], names, **said)], [_input("x", x)], names)
    _same(prepare(model, "reference").run([x]), _runtime(model, [x]))


@pytest.mark.parametrize("in_order", [True, False])
def test_numbers_that_are_none_are_one_and_come_last(in_order: bool) -> None:
    x = np.array([np.nan, 1, np.inf, np.nan, -0.0, np.inf, 0.0, -1], np.float32)
    names = ["y", "first", "back", "often"]
    node = helper.make_node("Unique", ["x"], names, sorted=int(in_order))
    found = prepare(_model([node], [_input("x", x)], names), "reference").run([x])
    wanted = [-1, 0, 1, np.inf, np.nan] if in_order else [np.nan, 1, np.inf, 0, -1]
    counts = [1, 2, 1, 2, 2] if in_order else [2, 1, 2, 2, 1]
    np.testing.assert_array_equal(np.asarray(found[0]), np.array(wanted, np.float32))
    np.testing.assert_array_equal(np.asarray(found[3]), counts)
    back = np.asarray(found[0])[np.asarray(found[2])]
    np.testing.assert_array_equal(back, x)


@pytest.mark.parametrize("target", ["cpu", "opencl"])
def test_backends_find_the_same(target: str) -> None:
    x = np.array([[2, 0], [1, 1], [2, 0], [0, 3]], np.float32)
    node = helper.make_node
    names = ["y", "first", "back", "often"]
    nodes = [
        node("Unique", ["x"], names, axis=0, sorted=0),
        node("NonZero", ["x"], ["places"]),
        node("Greater", ["x", "one"], ["more"]),
        node("Compress", ["x", "more_row"], ["kept"]),
        node("ReduceMax", ["y"], ["highest"], axes=[0], keepdims=0),
        node("ReduceSum", ["often"], ["all"], keepdims=0),
    ]
    nodes.insert(3, node("Reshape", ["more", "row"], ["more_row"]))
    outputs = [*names, "places", "kept", "highest", "all"]
    known = [_real("one", 1.0), _whole("row", [-1])]
    model = _model(nodes, [_input("x", x)], outputs, known)
    ours = prepare(model, target)
    for array in (x, x * 0 + 1, -x):
        _same(ours.run([array]), _runtime(model, [array]))


def test_a_known_condition_without_anything_chosen_leaves_nothing() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    nodes = [helper.make_node("Compress", ["x", "c"], ["y"], axis=0)]
    known = numpy_helper.from_array(np.array([False, False]), "c")
    model = _model(nodes, [_input("x", x)], ["y"], [known])
    (found,) = prepare(model, "reference").run([x])
    assert np.asarray(found).shape == (0, 3)


# ---- sizes that are found, in other nodes ----------------------------------------------------


def _halves() -> list[onnx.NodeProto]:
    """One half for each element of x that is not zero."""
    node = helper.make_node
    return [
        node("NonZero", ["x"], ["places"]),
        node("Shape", ["places"], ["shape"]),
        node("Gather", ["shape", "one"], ["count"], axis=0),
        node("Unsqueeze", ["count", "zero"], ["listed"]),
        node("Expand", ["half", "listed"], ["halves"]),
    ]


@pytest.mark.parametrize("target", TARGETS)
def test_tensors_of_a_size_that_is_found(target: str) -> None:
    """Numbers, constants and repetitions of as many entries as there are."""
    x = np.array([3, 0, -1, 2, 0], np.float32)
    node = helper.make_node
    nodes = [
        *_halves(),
        node("Concat", ["listed", "two"], ["wide"], axis=0),
        node("Expand", ["half", "wide"], ["pairs"]),
        node("Mul", ["count", "count"], ["square"]),
    ]
    known = [_whole("one", 1), _whole("zero", [0]), _whole("two", [2]), _real("half", 0.5)]
    outputs = ["count", "halves", "pairs", "square"]
    model = _model(nodes, [_input("x", x)], outputs, known)
    ours = prepare(model, target)
    for array in (x, x * 0, x + 9):
        _same(ours.run([array]), _runtime(model, [array]))


@pytest.mark.parametrize("target", TARGETS)
def test_elements_by_a_mask(target: str) -> None:
    """What exporters make of `x[mask]` and `x[mask] = value`, and a sum of what is left."""
    x = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
    mask = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 0, 1]], bool)
    node = helper.make_node
    nodes = [
        node("NonZero", ["mask"], ["places"]),
        node("Transpose", ["places"], ["rows"], perm=[1, 0]),
        node("GatherND", ["x", "rows"], ["chosen"]),
        node("ReduceSum", ["chosen", "zero"], ["sum"], keepdims=0),
        node("Mul", ["chosen", "chosen"], ["squares"]),
        node("ScatterND", ["x", "rows", "squares"], ["changed"]),
    ]
    inputs = [_input("x", x), _input("mask", mask)]
    model = _model(nodes, inputs, ["chosen", "changed", "sum"], [_whole("zero", [0])])
    ours = prepare(model, target)
    for each in (mask, mask & False, mask | True):
        *found, total = ours.run([x, each])
        *wanted, sum_of_all = _runtime(model, [x, each])
        _same(found, wanted)
        np.testing.assert_allclose(total, sum_of_all, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_suppression_of_boxes_that_were_chosen(target: str) -> None:
    """Boxes with good scores alone, at most five of those that are left, and crops of a network."""
    random = np.random.default_rng(2)
    boxes, scores = _boxes(random, 1, 16, False)[0], random.random(16, np.float32)
    weight = numpy_helper.from_array(random.normal(size=(4, 3)).astype(np.float32), "weight")
    node = helper.make_node
    nodes = [
        node("Greater", ["scores", "least"], ["good"]),
        node("NonZero", ["good"], ["listed"]),
        node("Squeeze", ["listed", "zero"], ["places"]),
        node("Gather", ["boxes", "places"], ["some"]),
        node("Gather", ["scores", "places"], ["of_some"]),
        node("Unsqueeze", ["some", "zero"], ["one_sample"]),
        node("Unsqueeze", ["of_some", "zero_one"], ["one_class"]),
        node("NonMaxSuppression", ["one_sample", "one_class", "many", "iou"], ["left"]),
        node("Gather", ["left", "last"], ["number"], axis=1),
        node("Slice", ["number", "zero", "five", "zero"], ["best"]),
        node("Gather", ["some", "best"], ["found"]),
        node("MatMul", ["found", "weight"], ["features"]),
        node("Softmax", ["features"], ["classes"], axis=1),
        node("ArgMax", ["classes"], ["class"], axis=1, keepdims=0),
        node("Concat", ["best", "places"], ["both"], axis=0),
    ]
    known = [_real("least", 0.4), _real("iou", 0.3), _whole("zero", [0]), _whole("five", [5])]
    known += [_whole("zero_one", [0, 1]), _whole("many", [99]), _whole("last", 2), weight]
    inputs = [_input("boxes", boxes), _input("scores", scores)]
    model = _model(nodes, inputs, ["left", "found", "class", "both"], known)
    ours = prepare(model, target)
    for array in (scores, scores * np.float32(0.3), scores + 1, scores * np.float32(0.45)):
        _same(ours.run([boxes, array]), _runtime(model, [boxes, array]))


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_what_is_made_of_a_size_may_find_another(target: str) -> None:
    """Ones for each element that is not zero, of which those before the last are chosen."""
    x = np.array([3, 0, -1, 2, 0], np.float32)
    node = helper.make_node
    nodes = [
        *_halves(),
        node("CumSum", ["halves", "one_less"], ["sums"]),
        node("Greater", ["sums", "half"], ["later"]),
        node("NonZero", ["later"], ["again"]),
        node("Shape", ["again"], ["shape_again"]),
    ]
    known = [_whole("one", 1), _whole("zero", [0]), _whole("one_less", 0), _real("half", 0.5)]
    model = _model(nodes, [_input("x", x)], ["again", "shape_again"], known)
    ours = prepare(model, target)
    for array in (x, x * 0, x + 9):
        _same(ours.run([array]), _runtime(model, [array]))


def test_models_with_named_sizes_find_sizes(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    boxes, scores = _boxes(random, 1, 9, False), random.random((1, 9, 2), np.float32)
    model = _detector(boxes, scores)
    for each in model.graph.input:
        each.type.tensor_type.shape.dim[1].dim_param = "boxes"
    onnx.save(model, tmp_path / "a.onnx")
    program = api.compile(load(tmp_path / "a.onnx"), "cpu")
    for count in (9, 4):
        arrays = [boxes[:, :count].copy(), scores[:, :count].copy()]
        found = program(boxes=arrays[0], raw=arrays[1])
        _same(list(found.values()), _runtime(model, arrays))


def test_what_must_have_entries_is_refused() -> None:
    """The first two of what may be none."""
    x = np.ones(5, np.float32)
    nodes = [
        helper.make_node("NonZero", ["x"], ["places"]),
        helper.make_node("TopK", ["places", "two"], ["y", "rank"], axis=1),
    ]
    model = _model(nodes, [_input("x", x)], ["y"], [_whole("two", [2])])
    with pytest.raises(DhcError, match="it takes 2 of"):
        prepare(model, "reference").run([x])
