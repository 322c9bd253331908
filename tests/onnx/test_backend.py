"""ONNX's interface to backends: its own test runner, and inputs that say what a node does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import dhc.onnx.backend
from dhc.errors import ArgumentError, DhcError
from dhc.onnx.backend import MOST_PROGRAMS, prepare, run_node, supports_device

F32, I64 = TensorProto.FLOAT, TensorProto.INT64

# ONNX makes its cases once in a process, for whoever asks first, so its runner has its own one.
RUNNER = """
import sys, unittest
import onnx.backend.test
import dhc.onnx.backend
runner = onnx.backend.test.BackendTest(dhc.onnx.backend, __name__)
for pattern in sys.argv[1:]:
    runner.include(f"{pattern}_cpu")
result = unittest.TextTestRunner().run(runner.test_suite)
sys.exit(not result.wasSuccessful() or result.testsRun - len(result.skipped) < len(sys.argv) - 1)
"""
PATTERNS = (
    "test_reshape_extended_dims", "test_scan9_sum", "test_lstm_defaults", "test_loop13_seq",
    "test_if", "test_range_int32_type_negative_delta", "test_sequence_insert_at_front",
)  # fmt: skip


@pytest.mark.slow
def test_the_runner_of_onnx_takes_it() -> None:
    """On the CPU; `test_suite.py` runs all cases on the reference backend."""
    command = [sys.executable, "-c", RUNNER, *PATTERNS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def _model(
    nodes: Sequence[onnx.NodeProto], inputs: Sequence[onnx.ValueInfoProto]
) -> onnx.ModelProto:
    outputs = [helper.make_empty_tensor_value_info("y")]
    graph = helper.make_graph(nodes, "net", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def _port(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, F32, [2])


def _reshape() -> onnx.ModelProto:
    ports = [
        helper.make_tensor_value_info("x", F32, ["N", 6]),
        helper.make_tensor_value_info("shape", I64, [2]),
    ]
    return _model([helper.make_node("Reshape", ["x", "shape"], ["y"])], ports)


def test_inputs_may_say_another_shape_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model is read anew for new values alone."""
    count = []
    read = dhc.onnx.backend.read
    monkeypatch.setattr(dhc.onnx.backend, "read", lambda *args: (count.append(1), read(*args))[1])
    ready = prepare(_reshape(), "reference")
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    for shape in ([3, 4], [6, 2], [3, 4], [6, 2]):
        (found,) = ready.run([x, np.array(shape)])
        assert np.array_equal(found, x.reshape(shape))
    assert len(count) == 3  # at first without any values
    (found,) = ready.run({"x": x[:1], "shape": np.array([3, 2])})
    assert np.array_equal(found, x[:1].reshape(3, 2))


def test_values_of_initializers_may_be_replaced() -> None:
    """For one run alone."""
    ports = [helper.make_tensor_value_info(name, F32, [2]) for name in ("w", "x")]
    model = _model([helper.make_node("Mul", ["x", "w"], ["y"])], ports)
    usual, other, x = (np.full(2, value, np.float32) for value in (2, 3, 5))
    model.graph.initializer.append(onnx.numpy_helper.from_array(usual, "w"))
    ready = prepare(model, "reference")
    for inputs, expected in (([x], 10), ([other, x], 15), ([x], 10)):
        assert ready.run(inputs)[0].tolist() == [expected, expected]


def test_programs_for_other_values_are_not_kept_for_ever() -> None:
    """Nor are they mixed up when they are made again."""
    nodes = [helper.make_node("Expand", ["x", "shape"], ["y"])]
    ports = [
        helper.make_tensor_value_info("x", F32, [1]),
        helper.make_tensor_value_info("shape", I64, [1]),
    ]
    ready = prepare(_model(nodes, ports), "reference")
    for size in (*range(1, MOST_PROGRAMS + 4), 1, 2):
        (found,) = ready.run([np.ones(1, np.float32), np.array([size])])
        assert found.shape == (size,)
    assert len(ready._made) == MOST_PROGRAMS


def test_inputs_may_have_no_elements() -> None:
    """Also where the model leaves it open, and others have some before and afterwards."""
    nodes = [helper.make_node("Concat", ["a", "b"], ["y"], axis=0)]
    ports = [helper.make_tensor_value_info(name, F32, [size]) for name, size in ("am", "bn")]
    ready = prepare(_model(nodes, ports), "reference")
    full, empty = np.arange(3, dtype=np.float32), np.zeros(0, np.float32)
    for a, b in ((full, full), (empty, full), (full[:2], full), (full, empty), (empty, empty)):
        assert np.array_equal(ready.run([a, b])[0], np.concatenate([a, b]))
    with pytest.raises(DhcError, match="cannot be i64"):
        ready.run([full, np.zeros(0, np.int64)])


@pytest.mark.parametrize(
    ("op_type", "kind", "expected"),
    [
        ("ReduceMax", F32, -np.inf), ("ReduceMin", F32, np.inf),
        ("ReduceMax", TensorProto.INT32, -(2**31)), ("ReduceMin", TensorProto.UINT8, 255),
    ],
)  # fmt: skip
def test_extremes_of_no_elements_are_the_ends_of_their_type(
    op_type: str, kind: int, expected: float
) -> None:
    nodes = [helper.make_node(op_type, ["x", "axes"], ["y"], keepdims=0)]
    nodes[:0] = [helper.make_node("Constant", [], ["axes"], value_ints=[1])]
    model = _model(nodes, [helper.make_tensor_value_info("x", kind, [2, 0, 3])])
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    (found,) = prepare(model, "reference").run([np.zeros((2, 0, 3), dtype)])
    assert found.dtype == dtype
    assert found.tolist() == [[expected] * 3] * 2


def test_a_model_without_nodes_of_onnx_need_not_say_their_version() -> None:
    model = _model([helper.make_node("Twice", ["x"], ["y"], domain="own")], [_port("x")])
    own, usual = helper.make_opsetid("own", 1), helper.make_opsetid("", 18)
    body = [helper.make_node("Add", ["x", "x"], ["y"])]
    model.functions.append(helper.make_function("own", "Twice", ["x"], ["y"], body, [own, usual]))
    del model.opset_import[:]
    model.opset_import.append(own)
    assert prepare(model, "reference").run([np.ones(2, np.float32)])[0].tolist() == [2, 2]
    del model.functions[0].opset_import[1]
    with pytest.raises(DhcError, match="does not say which version"):
        prepare(model, "reference").run([np.ones(2, np.float32)])


def test_whole_tensors_do_not_become_part_of_a_program() -> None:
    """A matrix that would have to be known is refused, however it is given."""
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["whole"], to=I64),
        helper.make_node("Unsqueeze", ["whole", "axes"], ["shape"]),
        helper.make_node("Expand", ["x", "shape"], ["y"]),
    ]
    ports = [
        helper.make_tensor_value_info("x", F32, [1, 1]),
        helper.make_tensor_value_info("axes", I64, [1]),
    ]
    with pytest.raises(DhcError, match="must be known before the model runs"):
        prepare(_model(nodes, ports), "reference").run([np.ones((1, 1), np.float32), np.array([0])])


@pytest.mark.parametrize(
    "inputs",
    [
        [np.ones((2, 6), np.float32)],
        [np.ones((2, 6), np.float32), np.array([3, 4]), np.ones(1)],
        {"z": np.ones((2, 6), np.float32), "shape": np.array([3, 4])},
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs: object) -> None:
    with pytest.raises((ArgumentError, DhcError)):
        prepare(_reshape(), "reference").run(inputs)  # type: ignore[arg-type]


def test_a_setting_of_another_type_is_refused() -> None:
    x = np.ones((2, 6), np.float32)
    with pytest.raises(DhcError, match="cannot be i32"):
        prepare(_reshape(), "reference").run([x, np.array([3, 4], np.int32)])
    with pytest.raises(DhcError, match="cannot be i64"):
        prepare(_reshape(), "reference").run([x, np.array([3, 4, 1])])


def test_single_nodes_run() -> None:
    node = helper.make_node("Squeeze", ["x", "axes"], ["y"])
    (found,) = run_node(node, [np.ones((1, 3), np.float32), np.array([0])], "reference")
    assert found.shape == (3,)
    old = helper.make_node("Squeeze", ["x"], ["y"], axes=[0])
    x = np.ones((1, 3), np.float32)
    (found,) = run_node(old, [x], "reference", opset_version=11)
    assert found.shape == (3,)


def test_devices_are_targets() -> None:
    assert supports_device("CPU")
    assert supports_device("reference")
    assert not supports_device("QUANTUM")
    with pytest.raises(DhcError, match="no device 'QUANTUM'"):
        prepare(_reshape(), "QUANTUM")
