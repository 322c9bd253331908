"""Branches and loops of ONNX give what onnxruntime gives, or are refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.ir.graph import Array, topological
from dhc.onnx.imported import Imported, NotKnownError
from dhc.onnx.read import load

F32, I64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
Node = onnx.NodeProto
node = helper.make_node


def _port(name: str, *shape: int | str, type: int = F32) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, type, shape)


def _constant(name: str, value: object) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(value), name)


def _graph(
    nodes: Sequence[Node], inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[str]
) -> onnx.GraphProto:
    ports = [helper.make_empty_tensor_value_info(name) for name in outputs]
    return helper.make_graph(nodes, "body", inputs, ports)


def _model(
    nodes: Sequence[Node],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[str],
    constants: Sequence[onnx.TensorProto] = (),
) -> onnx.ModelProto:
    ports = [helper.make_tensor_value_info(name, F32, None) for name in outputs]
    graph = helper.make_graph(nodes, "net", inputs, ports, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _load(folder: Path, model: onnx.ModelProto) -> Imported:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return load(path)


def _compare(folder: Path, model: onnx.ModelProto, **inputs: Array) -> Imported:
    """Runs the compiled model and onnxruntime."""
    runtime = pytest.importorskip("onnxruntime")
    expected = runtime.InferenceSession(model.SerializeToString()).run(None, inputs)
    imported = _load(folder, model)
    program = compile_graph(imported.graph, Target("cpu"), parameters=imported.values)
    found = program(**inputs)
    for each, wanted in zip(model.graph.output, expected, strict=True):
        result = found[str(imported.outputs[each.name])]
        assert result.shape == wanted.shape
        np.testing.assert_allclose(result, wanted, rtol=1e-5, atol=1e-6)
    return imported


def _names(imported: Imported) -> set[str]:
    return {each.op.name for each in topological(imported.graph.roots)}


def _random(*shape: int) -> Array:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


# ---- loops -----------------------------------------------------------------------------------


def _loop(nodes: Sequence[Node], steps: object, outputs: Sequence[str]) -> onnx.ModelProto:
    """A loop that carries `y` from `x`; its body sees `i`, `going`, `y`, and `w` around it."""
    inputs = [_port("i", type=I64), _port("going", type=BOOL), _port("y_in", 3)]
    body = _graph(nodes, inputs, ["go_on", "y_out", "made"])
    names = ["steps" if steps is not None else "", "", "x"]
    constants = [_constant("w", np.full(3, 0.5, np.float32)), _constant("three", 3)]
    if steps is not None:
        constants.append(_constant("steps", steps))
    loop = node("Loop", names, ["y", "every"], body=body)
    return _model([loop], [_port("x", 3)], outputs, constants)


HALVE = [
    node("Mul", ["y_in", "w"], ["half"]),
    node("Cast", ["i"], ["number"], to=F32),
    node("Add", ["half", "number"], ["y_out"]),
    node("Neg", ["y_out"], ["made"]),
]
GO_ON = node("Identity", ["going"], ["go_on"])


def test_a_loop_of_equal_steps_is_a_scan(tmp_path: Path) -> None:
    """It carries a value, makes one in each step, and reads its number and what is around it."""
    model = _loop([*HALVE, GO_ON], 100, ["y", "every"])
    imported = _compare(tmp_path, model, x=_random(3))
    assert "scan" in _names(imported)


def test_a_loop_may_have_as_many_steps_as_an_input_has_rows(tmp_path: Path) -> None:
    """Which are known when the model runs: each step reads its own row."""
    body = _graph(
        [
            node("Gather", ["x", "i"], ["row"], axis=0),
            node("Add", ["y_in", "row"], ["y_out"]),
            node("Neg", ["y_out"], ["made"]),
            GO_ON,
        ],
        [_port("i", type=I64), _port("going", type=BOOL), _port("y_in", 3)],
        ["go_on", "y_out", "made"],
    )
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["steps"]),
        node("Loop", ["steps", "", "start"], ["y", "every"], body=body),
    ]
    constants = [_constant("zero", 0), _constant("start", np.zeros(3, np.float32))]
    model = _model(nodes, [_port("x", "N", 3)], ["y", "every"], constants)
    for rows in (5, 20):
        _compare(tmp_path, model, x=_random(rows, 3))


def test_a_loop_that_must_know_its_step_is_written_out(tmp_path: Path) -> None:
    nodes = [
        node("Constant", [], ["ones"], value_ints=[1]),
        node("Reshape", ["i", "ones"], ["start"]),
        node("Add", ["start", "ones"], ["stop"]),
        node("Slice", ["w", "start", "stop"], ["element"]),
        node("Add", ["y_in", "element"], ["y_out"]),
        node("Identity", ["y_out"], ["made"]),
        GO_ON,
    ]
    imported = _compare(tmp_path, _loop(nodes, 3, ["y", "every"]), x=_random(3))
    assert "scan" not in _names(imported)


@pytest.mark.parametrize("steps", [None, 10, 2])
def test_a_loop_ends_when_its_condition_does(tmp_path: Path, steps: int | None) -> None:
    """The condition counts steps: it is known, and may end the loop before its last step."""
    nodes = [*HALVE, node("Less", ["i", "three"], ["go_on"])]
    model = _loop(nodes, steps, ["y", "every"])
    imported = _load(tmp_path, model)
    count = {None: 4, 10: 4, 2: 2}[steps]
    assert imported.graph.outputs[1][1].type.shape == (count, 3)
    if steps is not None:
        _compare(tmp_path, model, x=_random(3))


def test_a_loop_without_steps_gives_what_it_starts_with(tmp_path: Path) -> None:
    _compare(tmp_path, _loop([*HALVE, GO_ON], 0, ["y"]), x=_random(3))


def test_a_loop_that_ends_with_its_data_is_refused(tmp_path: Path) -> None:
    nodes = [
        *HALVE,
        node("ReduceSum", ["y_out"], ["sum"], keepdims=0),
        node("Cast", ["sum"], ["go_on"], to=BOOL),
    ]
    with pytest.raises(DhcError, match="whether it goes on must be known"):
        _load(tmp_path, _loop(nodes, 10, ["y"]))


def test_endless_loops_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DhcError, match="more than 1024 steps"):
        _load(tmp_path, _loop([*HALVE, GO_ON], None, ["y"]))


def test_loops_within_loops_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of three loops has 1024 steps that must all be read."""
    monkeypatch.setattr("dhc.onnx.read.MOST_INNER", 5000)
    nodes = [*HALVE, GO_ON]
    for _ in range(2):
        inputs = [_port("i", type=I64), _port("going", type=BOOL), _port("y_in", 3)]
        inner = node("Loop", ["", "", "y_in"], ["y_out", "made"],
                     body=_graph(nodes, inputs, ["go_on", "y_out", "made"]))  # fmt: skip
        nodes = [inner, node("Less", ["i", "three"], ["go_on"])]
    with pytest.raises(DhcError, match="more than"):
        _load(tmp_path, _loop(nodes, None, ["y"]))


# ---- scans -----------------------------------------------------------------------------------

SUM = [
    node("Add", ["state", "element"], ["sum"]),
    node("Mul", ["sum", "w"], ["next"]),
    node("Sub", ["next", "element"], ["made"]),
]


def _scan(**attributes: object) -> onnx.ModelProto:
    body = _graph(SUM, [_port("state", 3), _port("element", 3)], ["next", "made"])
    scan = node("Scan", ["s", "x"], ["last", "every"], num_scan_inputs=1, body=body, **attributes)
    constants = [_constant("w", np.full(3, 0.5, np.float32))]
    return _model([scan], [_port("s", 3), _port("x", *SHAPES[attributes.get("scan_input_axes") is
                  None])], ["last", "every"], constants)  # fmt: skip


SHAPES = {True: (5, 3), False: (3, 5)}


@pytest.mark.parametrize("forward", [0, 1])
@pytest.mark.parametrize("back", [0, 1])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_scans_go_along_any_axis_both_ways(
    tmp_path: Path, forward: int, back: int, axis: int
) -> None:
    axes = {"scan_input_axes": [axis], "scan_output_axes": [axis]} if axis else {}
    model = _scan(scan_input_directions=[forward], scan_output_directions=[back], **axes)
    _compare(tmp_path, model, s=_random(3), x=_random(*SHAPES[not axis]))


def test_scans_within_scans(tmp_path: Path) -> None:
    inner = _graph(SUM, [_port("state", 3), _port("element", 3)], ["next", "made"])
    nodes = [node("Scan", ["outer", "row"], ["after", "all"], num_scan_inputs=1, body=inner)]
    body = _graph(nodes, [_port("outer", 3), _port("row", 4, 3)], ["after", "all"])
    scan = node("Scan", ["s", "x"], ["last", "every"], num_scan_inputs=1, body=body)
    constants = [_constant("w", np.full(3, 0.5, np.float32))]
    model = _model([scan], [_port("s", 3), _port("x", 2, 4, 3)], ["last", "every"], constants)
    _compare(tmp_path, model, s=_random(3), x=_random(2, 4, 3))


# ---- branches --------------------------------------------------------------------------------


def _if(then: Sequence[Node], otherwise: Sequence[Node]) -> onnx.ModelProto:
    branch = node(
        "If", ["c"], ["y"], then_branch=_graph(then, [], ["a"]),
        else_branch=_graph(otherwise, [], ["b"]),
    )  # fmt: skip
    return _model([branch], [_port("c", type=BOOL), _port("x", 3)], ["y"])


def test_a_branch_that_is_not_known_is_chosen_when_the_model_runs(tmp_path: Path) -> None:
    """Also where the other one divides by zero."""
    model = _if([node("Reciprocal", ["x"], ["a"])], [node("Neg", ["x"], ["b"])])
    for condition in (True, False):
        _compare(tmp_path, model, c=np.array(condition), x=np.array([1, 0, 2], np.float32))


def test_branches_of_different_types_must_be_known(tmp_path: Path) -> None:
    model = _if([node("Neg", ["x"], ["a"])], [node("ReduceSum", ["x"], ["b"])])
    with pytest.raises(NotKnownError, match="must be known before the model runs") as caught:
        _load(tmp_path, model)
    assert caught.value.inputs == {"c"}
    imported = load(tmp_path / "model.onnx", {"c": np.array(False)})
    assert imported.inputs == ("x",)
    assert str(imported.graph.outputs[0][1].type) == "f32[1]"
