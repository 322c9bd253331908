"""Models of ONNX as graphs: named sizes, functions, branches, and what is refused, all at once."""

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
from dhc.ir.graph import Array
from dhc.onnx.imported import Imported
from dhc.onnx.read import load

F32 = TensorProto.FLOAT


def _tensor(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, F32, shape)


def _whole(name: str, *numbers: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(numbers, np.int64), name)


def _write(
    folder: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    initializers: Sequence[onnx.TensorProto] = (),
    functions: Sequence[onnx.FunctionProto] = (),
    output: str = "y",
) -> Path:
    outputs = [helper.make_tensor_value_info(output, F32, None)]
    graph = helper.make_graph(nodes, "net", inputs, outputs, initializers)
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, opset_imports=imports, functions=functions)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _call(imported: Imported, **inputs: Array) -> Array:
    program = compile_graph(imported.graph, Target("cpu"), parameters=imported.values)
    return program(**inputs)["y"]


def test_arithmetic_on_shapes_is_done_while_reading(tmp_path: Path) -> None:
    """A batch of any size: what exporters write for `x.reshape(x.shape[0], -1, 2)`."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Unsqueeze", ["batch", "axes"], ["row"]),
        helper.make_node("Concat", ["row", "rest"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["x", "wanted"], ["y"]),
    ]
    zero = numpy_helper.from_array(np.array(0, np.int64), "zero")
    given = [zero, _whole("axes", 0), _whole("rest", -1, 2)]
    imported = load(_write(tmp_path, nodes, [_tensor("x", "N", 3, 4)], given))
    ((_, y),) = imported.graph.outputs
    assert str(y.type) == "f32[N, 6, 2]"
    assert [node.op.name for node in (y, *y.inputs)] == ["reshape", "input"]
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert np.array_equal(_call(imported, x=x), x.reshape(2, 6, 2))


def test_weights_are_parameters_of_their_names(tmp_path: Path) -> None:
    weight = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
    bias = np.arange(4, dtype=np.float32)
    nodes = [helper.make_node("Gemm", ["x", "fc.weight", "fc.bias"], ["y"], transB=1)]
    given = [numpy_helper.from_array(a, n) for a, n in ((weight, "fc.weight"), (bias, "fc.bias"))]
    imported = load(_write(tmp_path, nodes, [_tensor("x", 2, 3)], given))
    assert sorted(imported.values) == ["fc.bias", "fc.weight"]
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(_call(imported, x=x), x @ weight.T + bias, rtol=1e-6)


def test_names_that_dhm_cannot_tell_apart_stay_apart(tmp_path: Path) -> None:
    """Inputs, sizes and parameters: equal ones would be one tensor."""
    nodes = [
        helper.make_node("Sub", ["x.1", "x_1"], ["a"]),
        helper.make_node("Add", ["a", "w:0"], ["b"]),
        helper.make_node("Sub", ["b", "w/0"], ["y"]),
    ]
    given = [
        numpy_helper.from_array(np.full(3, value, np.float32), name)
        for name, value in (("w:0", 5), ("w/0", 1))
    ]
    inputs = [_tensor("x.1", 3), _tensor("x_1", 3)]
    imported = load(_write(tmp_path, nodes, inputs, given))
    assert len(imported.values) == 2
    one, two = np.full(3, 10, np.float32), np.full(3, 2, np.float32)
    assert _call(imported, x_1=one, x_1_2=two).tolist() == [12, 12, 12]
    sized = [_tensor("x", "n-1", "n_1"), _tensor("z", "?", "!")]
    imported = load(_write(tmp_path, [helper.make_node("Neg", ["x"], ["y"])], sized))
    sizes = [size for node in imported.graph.inputs for size in node.type.shape]
    assert len(set(map(str, sizes))) == 4


def test_functions_of_a_model_are_put_in_their_place(tmp_path: Path) -> None:
    """With an attribute that the call gives."""
    inner = helper.make_node("LeakyRelu", ["a"], ["b"])
    inner.attribute.add(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    steep = helper.make_function(
        "own", "Steep", ["a"], ["b"], [inner], [helper.make_opsetid("", 18)], ["slope"]
    )
    nodes = [helper.make_node("Steep", ["x"], ["y"], domain="own", slope=0.5)]
    imported = load(_write(tmp_path, nodes, [_tensor("x", 3)], functions=[steep]))
    found = _call(imported, x=np.array([-2, 0, 2], np.float32))
    assert found.tolist() == [-1, 0, 2]


def test_a_branch_that_is_known_is_taken(tmp_path: Path) -> None:
    branches = {
        name: helper.make_graph(
            [helper.make_node(kind, ["x"], [name])], name, [], [_tensor(name, 2)]
        )
        for name, kind in (("then_branch", "Neg"), ("else_branch", "Abs"))
    }
    condition = numpy_helper.from_array(np.array(False), "condition")
    nodes = [helper.make_node("If", ["condition"], ["y"], **branches)]
    imported = load(_write(tmp_path, nodes, [_tensor("x", 2)], [condition]))
    assert _call(imported, x=np.array([-1, 2], np.float32)).tolist() == [1, 2]


def test_settings_may_be_inputs(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    shape = helper.make_tensor_value_info("shape", TensorProto.INT64, [2])
    path = _write(tmp_path, nodes, [_tensor("x", 6), shape])
    with pytest.raises(DhcError, match="input 2 must be known before the model runs"):
        load(path)
    imported = load(path, {"shape": np.array([3, 2])})
    assert [str(node.type) for _, node in imported.graph.outputs] == ["f32[3, 2]"]


# ---- what is refused -------------------------------------------------------------------------


def test_everything_that_cannot_be_read_is_told_at_once(tmp_path: Path) -> None:
    """What follows from it needs no words of its own."""
    nodes = [
        helper.make_node("Reshape", ["x", "x"], ["a"], name="turn"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Elu", ["x"], ["c"], name="curve", steepness=2.0),
        helper.make_node("Add", ["b", "c"], ["y"]),
    ]
    with pytest.raises(DhcError) as caught:
        load(_write(tmp_path, nodes, [_tensor("x", 3)]))
    assert [each.message for each in caught.value.diagnostics] == [
        "The node 'turn' of Reshape (version 18) cannot be read: input 2 must be known before the "
        "model runs.",
        "The node 'curve' of Elu (version 18) cannot be read: it has the attribute 'steepness', "
        "which dhc does not know.",
    ]


def test_data_outside_of_the_folder_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(12))
    folder = tmp_path / "models"
    folder.mkdir()
    weight = TensorProto(name="w", data_type=F32, dims=[3], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="../secret")
    path = _write(folder, [helper.make_node("Add", ["x", "w"], ["y"])], [_tensor("x", 3)], [weight])
    with pytest.raises(DhcError, match="lie in no file of the model's folder"):
        load(path)
    (folder / "data").write_bytes(np.arange(3, dtype="<f4").tobytes())
    weight.external_data[0].value = "data"
    path = _write(folder, [helper.make_node("Add", ["x", "w"], ["y"])], [_tensor("x", 3)], [weight])
    assert load(path).values["w"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("dims", "data", "message"),
    [
        ([1 << 40], b"", "says that it is"),
        ([-3], bytes(12), "says that it is"),
        ([4], bytes(12), "has not the data that it says"),
    ],
)
def test_tensors_that_lie_are_refused(
    tmp_path: Path, dims: list[int], data: bytes, message: str
) -> None:
    weight = TensorProto(name="w", data_type=F32, dims=dims, raw_data=data)
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    with pytest.raises(DhcError, match=message):
        load(_write(tmp_path, nodes, [_tensor("x", 3)], [weight]))


def test_a_description_of_a_huge_tensor_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("ConstantOfShape", ["size"], ["y"])]
    with pytest.raises(DhcError, match="it makes a tensor of"):
        load(_write(tmp_path, nodes, [_tensor("x", 3)], [_whole("size", 1 << 20, 1 << 20)]))


def test_functions_that_call_each_other_too_deeply_are_refused(tmp_path: Path) -> None:
    functions = [
        helper.make_function(
            "own", f"F{k}", ["a"], ["b"],
            [helper.make_node(f"F{k + 1}", ["a"], ["b"], domain="own")],
            [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)],
        )
        for k in range(41)
    ]  # fmt: skip
    nodes = [helper.make_node("F0", ["x"], ["y"], domain="own")]
    with pytest.raises(DhcError, match="deep"):
        load(_write(tmp_path, nodes, [_tensor("x", 3)], functions=functions))


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x07" * 100, bytes(1000)])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(DhcError, match=r"no ONNX model"):
        load(path)
    with pytest.raises(DhcError, match="cannot be read"):
        load(tmp_path / "nowhere.onnx")


@pytest.mark.parametrize("wanted", [-1, 1])
def test_exporters_may_ask_whether_a_size_is_a_number(wanted: int, tmp_path: Path) -> None:
    """No size is -1, whatever the inputs; whether the batch is 1 is computed when it runs."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Equal", ["shape", "wanted"], ["same"]),
        helper.make_node("Where", ["same", "sevens", "shape"], ["chosen"]),
        helper.make_node("Cast", ["chosen"], ["whole"], to=F32),
        helper.make_node("ReduceSum", ["x"], ["zero"], keepdims=0),
        helper.make_node("Add", ["whole", "zero"], ["y"]),
    ]
    constants = [_whole("wanted", wanted, wanted), _whole("sevens", 7, 7)]
    imported = load(_write(tmp_path, nodes, [_tensor("x", "N", 3)], constants))
    for batch in (1, 4):
        found = _call(imported, x=np.zeros((batch, 3), np.float32))
        assert found.tolist() == [7 if wanted == batch else batch, 3]


@pytest.mark.parametrize("name", ["unk__214", "p2o.DynamicDimension.0", "?", "s77", ""])
def test_a_batch_that_an_exporter_has_only_numbered_is_called_n(tmp_path: Path, name: str) -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    (x,) = load(_write(tmp_path, [node], [_tensor("x", name, 3)])).graph.inputs
    assert [str(size) for size in x.type.shape] == ["N", "3"]


def test_weights_that_stand_in_nodes_are_parameters_unless_constants_follow_of_them(
    tmp_path: Path,
) -> None:
    """Paddle writes its weights as constants; other constants have names of an exporter's own."""
    table = np.arange(3, dtype=np.float32)
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(table))
        for name in ("norm.w_0", "p2o.constant.4", "shift.w_1")
    ]
    nodes += [
        helper.make_node("Mul", ["x", "norm.w_0"], ["a"]),
        helper.make_node("Add", ["a", "p2o.constant.4"], ["b"]),
        helper.make_node("Exp", ["shift.w_1"], ["c"]),
        helper.make_node("Sub", ["b", "c"], ["y"]),
    ]
    read = load(_write(tmp_path, nodes, [_tensor("x", 2, 3)]))
    assert list(read.values) == ["norm.w_0"]
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(_call(read, x=x), x * table + table - np.exp(table), rtol=1e-6)
