"""Sizes that a file leaves open: bound while it is read, asked for, or computed with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import dhc
from dhc.backends.base import Target
from dhc.commands.exchange import import_model
from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.ir.graph import Array
from dhc.onnx.backend import run_model
from dhc.onnx.read import load

F32, I64 = TensorProto.FLOAT, TensorProto.INT64
Node = onnx.NodeProto


def _tensor(name: str, *shape: int | str | None, type: int = F32) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, type, shape)


def _numbers(name: str, values: object, dtype: type = np.int64) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, dtype), name)


def _model(
    nodes: Sequence[Node],
    inputs: Sequence[onnx.ValueInfoProto],
    initializers: Sequence[onnx.TensorProto] = (),
    type: int = F32,
) -> onnx.ModelProto:
    outputs = [helper.make_tensor_value_info("y", type, None)]
    graph = helper.make_graph(nodes, "net", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def _written(folder: Path, model: onnx.ModelProto) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _types(path: Path, **shapes: int) -> list[str]:
    return [str(node.type) for node in load(path, shapes=shapes).graph.inputs]


def _run(path: Path, **inputs: Array) -> Array:
    imported = load(path)
    targets = [Target("reference"), Target("cpu")]
    found = [compile_graph(imported.graph, each, parameters=imported.values) for each in targets]
    one, other = (program(**inputs)["y"] for program in found)
    np.testing.assert_array_equal(one, other)
    return one


# ---- binding ---------------------------------------------------------------------------------


def test_sizes_are_bound_by_the_names_of_the_file_or_of_dhc(tmp_path: Path) -> None:
    nodes = [helper.make_node("Neg", ["x.1"], ["y"])]
    path = _written(tmp_path, _model(nodes, [_tensor("x.1", "batch size", "n", "n")]))
    assert _types(path) == ["f32[batch_size, n, n]"]
    assert _types(path, **{"batch size": 2}) == _types(path, batch_size=2) == ["f32[2, n, n]"]
    assert _types(path, n=5) == ["f32[batch_size, 5, 5]"]
    (bound,) = dhc.onnx.load(path, shapes={"n": 5}).graph.inputs
    assert str(bound.type) == "f32[batch_size, 5, 5]"


def test_sizes_without_a_name_differ(tmp_path: Path) -> None:
    """Exporters write nothing, -1, or a question mark, which is no name."""
    x = _tensor("x", None, 3, "?", "?", 4)
    x.type.tensor_type.shape.dim[4].dim_value = -1
    path = _written(tmp_path, _model([helper.make_node("Neg", ["x"], ["y"])], [x]))
    assert _types(path) == ["f32[N, 3, axis_2_of_x, axis_3_of_x, axis_4_of_x]"]
    assert _types(path, N=1, axis_4_of_x=7) == ["f32[1, 3, axis_2_of_x, axis_3_of_x, 7]"]


def test_an_unknown_size_is_told_beside_the_names_that_can_be_said(tmp_path: Path) -> None:
    path = _written(
        tmp_path, _model([helper.make_node("Neg", ["x"], ["y"])], [_tensor("x", None, "?")])
    )
    with pytest.raises(DhcError) as error:
        load(path, shapes={"bach": 1})
    assert error.value.diagnostics[0].hints == ("its sizes: N, axis_1_of_x",)


@pytest.mark.parametrize(
    ("shapes", "told"),
    [({"m": 3}, "no size 'm'"), ({"n": 0}, "positive whole"), ({"n": True}, "positive whole")],
)
def test_what_is_no_size_is_refused(tmp_path: Path, shapes: dict[str, int], told: str) -> None:
    path = _written(tmp_path, _model([helper.make_node("Neg", ["x"], ["y"])], [_tensor("x", "n")]))
    with pytest.raises(DhcError, match=told):
        load(path, shapes=shapes)


def test_a_program_is_written_for_bound_sizes_and_given_values(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    inputs = [_tensor("x", "n", 4), _tensor("shape", 2, type=I64)]
    path, program = _written(tmp_path, _model(nodes, inputs)), tmp_path / "net.dhm"
    import_model(path, program, ["n=3"], ["shape=2,-1"])
    found = dhc.compile(dhc.load(program).model("net"), "reference")
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(found(x=x)["y"], x.reshape(2, 6))


@pytest.mark.parametrize("text", ["rate", "other=1", "rate=1.5", "rate=a", "rate=", "rate=nan"])
def test_what_is_no_value_of_an_input_is_refused(tmp_path: Path, text: str) -> None:
    nodes = [helper.make_node("Cast", ["rate"], ["y"], to=F32)]
    path = _written(tmp_path, _model(nodes, [_tensor("rate", type=I64)]))
    with pytest.raises(DhcError, match=f"'{text}' gives no"):
        import_model(path, tmp_path / "net.dhm", [], [text])
    assert not (tmp_path / "net.dhm").exists()


# ---- sizes that must be numbers --------------------------------------------------------------


def _recurrent() -> onnx.ModelProto:
    """A GRU over batches of any size, with the first state of one sample."""
    random = np.random.default_rng(2)
    weights = [
        _numbers(name, random.standard_normal(shape), np.float32)
        for name, shape in (("w", (1, 6, 3)), ("r", (1, 6, 2)), ("h", (1, 1, 2)))
    ]
    node = helper.make_node("GRU", ["x", "w", "r", "", "", "h"], ["y"], hidden_size=2)
    return _model([node], [_tensor("x", "steps", "batch", 3)], weights)


def test_a_state_of_one_sample_binds_the_batch(tmp_path: Path) -> None:
    path = _written(tmp_path, _recurrent())
    assert _types(path) == ["f32[steps, 1, 3]"]
    with pytest.raises(DhcError, match="goes on with"):
        load(path, shapes={"batch": 2})


def test_sizes_are_not_asked_for_forever(tmp_path: Path) -> None:
    """Each of these layers sees its size only when the one before it could be read."""
    names, given = [_tensor("x0", "n0", "b0", 2)], []
    nodes: list[Node] = []
    for k in range(30):
        given += [_numbers(f"h{k}", np.zeros((1, 1, 2)), np.float32)]
        layer = [f"x{k}", "w", "r", "", "", f"h{k}"]
        nodes += [
            helper.make_node("GRU", layer, [f"y{k}"], hidden_size=2),
            helper.make_node("ReduceSum", [f"y{k}"], [f"s{k}"], keepdims=0),
            helper.make_node("Add", [f"z{k}", f"s{k}"], [f"x{k + 1}"]),
        ]
        names.append(_tensor(f"z{k}", f"n{k + 1}", f"b{k + 1}", 2))
    weights = [_numbers(name, np.ones((1, 6, 2)), np.float32) for name in "wr"]
    nodes.append(helper.make_node("Neg", ["x30"], ["y"]))
    path = _written(tmp_path, _model(nodes, names, [*given, *weights]))
    with pytest.raises(DhcError, match="says more than 16 times"):
        load(path)


def _squeezed() -> onnx.ModelProto:
    """What PyTorch writes for `x.squeeze(1)`: a branch of another rank for each size."""
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node(op, ["x", *axes], [name])], name, [], [_tensor(name, None)]
        )
        for name, op, axes in (("then", "Squeeze", ["one"]), ("else", "Identity", []))
    }
    nodes = [
        helper.make_node("Shape", ["x"], ["size"], start=1, end=2),
        helper.make_node("Equal", ["size", "one"], ["is_one"]),
        helper.make_node("If", ["is_one"], ["y"], **branches),
    ]
    return _model(nodes, [_tensor("x", 2, "n")], [_numbers("one", [1])])


def test_branches_of_different_ranks_need_the_size(tmp_path: Path) -> None:
    path = _written(tmp_path, _squeezed())
    with pytest.raises(DhcError, match="must be known before the model runs"):
        load(path)
    shapes = [load(path, shapes={"n": n}).graph.outputs[0][1].type for n in (1, 3)]
    assert [str(type) for type in shapes] == ["f32[2]", "f32[2, 3]"]


def test_what_squeeze_leaves_out_needs_the_size(tmp_path: Path) -> None:
    """Without axes it leaves out all that are 1, and any size may be 1."""
    nodes = [helper.make_node("Squeeze", ["x"], ["y"])]
    path = _written(tmp_path, _model(nodes, [_tensor("x", "n", 1, 3)]))
    with pytest.raises(DhcError, match="depends on whether n is 1"):
        load(path)
    types = [load(path, shapes={"n": n}).graph.outputs[0][1].type for n in (1, 2)]
    assert [str(type) for type in types] == ["f32[3]", "f32[2, 3]"]


# ---- arithmetic ------------------------------------------------------------------------------


def _counted(start: str, stop: str, step: str) -> list[Node]:
    """Numbers between two places; `n` and `half` are sizes as floats, others are given."""
    return [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Squeeze", ["shape", "axis"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["n"], to=F32),
        helper.make_node("Sub", ["n", "two"], ["less"]),
        helper.make_node("Range", [start, stop, step], ["y"]),
    ]


@pytest.mark.parametrize(
    ("start", "stop", "step"),
    [
        ("zero", "n", "one"), ("two", "n", "one"), ("zero", "n", "two"), ("n", "zero", "minus"),
        ("less", "n", "one"), ("one", "n", "three"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [7, 8, 9])
def test_counting_up_to_a_size(tmp_path: Path, start: str, stop: str, step: str, size: int) -> None:
    numbers = {"zero": 0, "one": 1, "two": 2, "three": 3, "minus": -2}
    given = [_numbers(name, value, np.float32) for name, value in numbers.items()]
    model = _model(
        _counted(start, stop, step), [_tensor("x", "n")], [*given, _numbers("axis", [0])]
    )
    values = {**numbers, "n": size, "less": size - 2}
    expected = np.arange(values[start], values[stop], values[step], dtype=np.float32)
    found = _run(_written(tmp_path, model), x=np.zeros(size, np.float32))
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("dtype", "start", "stop", "step"),
    [
        (np.int16, -30000, 30000, 7000), (np.int16, 30000, -30000, -9000), (np.int32, 3, -2, 1),
        (np.int64, -(2**62), 2**62, 2**60), (np.float32, -1.5, 2.0, 0.25), (np.float64, 0, 1, 0.1),
    ],
)  # fmt: skip
def test_counting_from_end_to_end_of_a_type(
    tmp_path: Path, dtype: type[np.generic], start: float, stop: float, step: float
) -> None:
    """The distance may be more than the type holds; what is not reached gives nothing."""
    given = [_numbers(n, v, dtype) for n, v in (("a", start), ("b", stop), ("c", step))]
    nodes = [
        helper.make_node("Range", ["a", "b", "c"], ["row"]),
        helper.make_node("Cast", ["row"], ["numbers"], to=F32),
        helper.make_node("ReduceSum", ["numbers"], ["total"], keepdims=0),
        helper.make_node("Add", ["x", "total"], ["y"]),
    ]
    model = _model(nodes, [_tensor("x", "n")], given)
    wide = np.arange(start, stop, step).astype(dtype).astype(np.float32)
    found = _run(_written(tmp_path, model), x=np.zeros(1, np.float32))
    np.testing.assert_array_equal(found, [wide.sum()])


def test_a_part_of_a_number_is_no_step_of_counting(tmp_path: Path) -> None:
    given = [_numbers("two", 2, np.float32), _numbers("part", 0.5, np.float32)]
    nodes = _counted("two", "n", "part")
    model = _model(nodes, [_tensor("x", "n")], [*given, _numbers("axis", [0])])
    with pytest.raises(DhcError, match="is no size"):
        load(_written(tmp_path, model))


@pytest.mark.parametrize(
    ("op", "number", "known"),
    [("Mul", 2.0, True), ("Div", 2.0, False), ("Add", 0.5, False), ("Mul", 0.5, False)],
)
def test_sizes_as_floats_are_whole_or_computed_when_it_runs(
    tmp_path: Path, op: str, number: float, known: bool
) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["floats"], to=F32),
        helper.make_node(op, ["floats", "number"], ["y"]),
    ]
    model = _model(nodes, [_tensor("x", "n")], [_numbers("number", [number], np.float32)])
    path = _written(tmp_path, model)
    found = _run(path, x=np.zeros(7, np.float32))
    expected = {"Mul": 7 * number, "Div": 7 / number, "Add": 7 + number}[op]
    assert found.tolist() == [expected]
    ((_, y),) = load(path).graph.outputs
    assert (y.op.name == "reshape") == known


def test_a_tensor_of_sizes_is_filled(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node(
            "ConstantOfShape", ["shape"], ["y"], value=helper.make_tensor("v", I64, [1], [3])
        ),
    ]
    path = _written(tmp_path, _model(nodes, [_tensor("x", "n", 2)], type=I64))
    found = _run(path, x=np.zeros((4, 2), np.float32))
    assert found.tolist() == [[3, 3]] * 4
    assert found.dtype == np.int64


def test_a_slice_up_to_a_huge_number_ends_with_the_axis(tmp_path: Path) -> None:
    nodes = [helper.make_node("Slice", ["x", "start", "end"], ["y"])]
    given = [_numbers("start", [1]), _numbers("end", [999_999_999])]
    path = _written(tmp_path, _model(nodes, [_tensor("x", "n")], given))
    x = np.arange(5, dtype=np.float32)
    np.testing.assert_array_equal(_run(path, x=x), x[1:])


def test_a_cast_of_sizes_gives_them_its_type(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["y"], to=TensorProto.INT32),
    ]
    path = _written(tmp_path, _model(nodes, [_tensor("x", "n", 2)], type=TensorProto.INT32))
    found = _run(path, x=np.zeros((4, 2), np.float32))
    assert (found.tolist(), found.dtype) == ([4, 2], np.int32)


def test_onnx_interface_binds_sizes_that_must_be_known() -> None:
    for size in (1, 3):
        x = np.arange(2 * size, dtype=np.float32).reshape(2, size)
        (found,) = run_model(_squeezed(), [x], "reference")
        np.testing.assert_array_equal(found, x.squeeze(1) if size == 1 else x)
