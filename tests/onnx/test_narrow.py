"""Narrow elements in models: what ONNX's own reference gives, files, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from dhc.errors import DhcError
from dhc.ir.evaluate import convert
from dhc.ir.graph import Array, Graph, Input, topological
from dhc.ir.types import DType, Tensor
from dhc.onnx.backend import run_model
from dhc.onnx.read import load, read
from dhc.onnx.write import save
from dhc.ops.base import run
from dhc.ops.elementwise import Add, Cast
from dhc.ops.foreign import ELEMENTS
from dhc.ops.narrow import EIGHT_BITS, RoundBf16
from dhc.ops.outward import NUMBERS
from tests.narrow import NARROW, beside, bits_of, every, same_bits
from tests.onnx.written import saved

BF16 = np.dtype(ml_dtypes.bfloat16)
INTEGERS = [dtype for dtype in NARROW if dtype.is_integer]


def _model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Array],
    known: Mapping[str, Array] | None = None,
    opset: int = 25,
) -> onnx.ModelProto:
    declared = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in inputs.items()
    ]
    given = [numpy_helper.from_array(a, name) for name, a in (known or {}).items()]
    results = [onnx.ValueInfoProto(name=name) for name in nodes[-1].output if name]
    graph = helper.make_graph(nodes, "net", declared, results, given)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def _results(model: onnx.ModelProto, inputs: Mapping[str, Array], target: str) -> list[Array]:
    return [np.asarray(each) for each in run_model(model, list(inputs.values()), target)]


def _node(op_type: str, inputs: str, outputs: str = "y", **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op_type, inputs.split(), outputs.split(), **attributes)


both_targets = pytest.mark.parametrize("target", ["reference", "cpu"])


def test_all_types_of_onnx_but_strings_and_complex_numbers_are_known() -> None:
    others = {"UNDEFINED", "STRING", "COMPLEX64", "COMPLEX128", "FLOAT6E2M3", "FLOAT6E3M2"}
    known = {name: number for name, number in TensorProto.DataType.items() if name not in others}
    assert set(known.values()) == set(ELEMENTS)
    for number, dtype in ELEMENTS.items():
        assert helper.tensor_dtype_to_np_dtype(number) == dtype.numpy


# ---- conversion --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", EIGHT_BITS)
@pytest.mark.parametrize("saturate", [0, 1])
def test_casts_saturate_as_a_node_says(dtype: DType, saturate: int) -> None:
    inputs = {"x": beside(dtype)}
    model = _model([_node("Cast", "x", to=NUMBERS[dtype], saturate=saturate)], inputs)
    with np.errstate(all="ignore"):
        (expected,) = ReferenceEvaluator(model).run(None, inputs)
    (found,) = _results(model, inputs, "reference")
    numbers = inputs["x"] == inputs["x"]
    same_bits(found[numbers], expected[numbers])
    assert np.isnan(found[~numbers].astype(np.float32)).all()


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("up", [0, 0, 127, 128, 128, 129, 1, 254, 255]),
        ("down", [0, 0, 127, 127, 127, 128, 0, 254, 255]),
        ("nearest", [0, 0, 127, 127, 128, 129, 1, 254, 255]),
    ],
)
@both_targets
def test_powers_of_two_are_rounded_as_a_node_says(
    mode: str, expected: list[int], target: str
) -> None:
    values = [0, 2.0**-127, 1, 1.25, 1.5, 3, 1.75 * 2.0**-127, np.inf, np.nan]
    inputs = {"x": np.array(values, np.float32)}
    node = _node("Cast", "x", to=TensorProto.FLOAT8E8M0, round_mode=mode)
    (found,) = _results(_model([node], inputs), inputs, target)
    np.testing.assert_array_equal(bits_of(found), expected)


@pytest.mark.parametrize("mode", ["up", "down", "nearest"])
def test_powers_of_two_are_those_of_the_reference(mode: str) -> None:
    """Among normal numbers: its subnormal ones are rounded by their exponent alone."""
    values = np.abs(beside(DType.F8E8M0))
    inputs = {"x": values[(values >= 2.0**-126) & (values <= 2.0**127)]}
    model = _model([_node("Cast", "x", to=TensorProto.FLOAT8E8M0, round_mode=mode)], inputs)
    (expected,) = ReferenceEvaluator(model).run(None, inputs)
    same_bits(_results(model, inputs, "reference")[0], expected)


def test_other_round_modes_are_refused() -> None:
    inputs = {"x": np.ones(3, np.float32)}
    node = _node("Cast", "x", to=TensorProto.FLOAT8E8M0, round_mode="odd")
    with pytest.raises(DhcError, match="attribute 'round_mode' is 'odd'"):
        _results(_model([node], inputs), inputs, "reference")


# ---- quantization ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*INTEGERS, *EIGHT_BITS, DType.F4E2M1])
@pytest.mark.parametrize(("axis", "block", "shape"), [(0, 0, ()), (1, 0, (5,)), (2, 3, (2, 5, 3))])
@both_targets
def test_tensors_are_quantized_and_come_back(
    dtype: DType, axis: int, block: int, shape: tuple[int, ...], target: str
) -> None:
    random = np.random.default_rng(4)
    x = random.normal(0, 3, (2, 5, 7)).astype(np.float32)
    scale = random.uniform(0.1, 2, shape).astype(np.float32)
    zero = np.zeros(shape, dtype.numpy)
    if dtype.is_integer:
        zero = random.integers(0, 2, shape).astype(np.int8).astype(dtype.numpy)
    settings = {"axis": axis} | ({"block_size": block} if block else {})
    nodes = [
        _node("QuantizeLinear", "x s z", "q", **settings),
        _node("DequantizeLinear", "q s z", "y", **settings),
        _node("Cast", "q", "c", to=TensorProto.FLOAT),
        helper.make_node("Identity", ["c"], ["d"]),
    ]
    inputs = {"x": x}
    model = _model(nodes, inputs, {"s": scale, "z": zero})
    model.graph.output.append(onnx.ValueInfoProto(name="y"))
    expected = ReferenceEvaluator(model).run(None, inputs)
    for ours, theirs in zip(_results(model, inputs, target), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("precision", [TensorProto.FLOAT16, TensorProto.BFLOAT16])
def test_a_node_says_in_which_type_it_divides(precision: int) -> None:
    x = np.random.default_rng(5).normal(0, 3, 400).astype(np.float32)
    inputs = {"x": x}
    known = {"s": np.array(0.37, np.float32)}
    node = _node("QuantizeLinear", "x s", precision=precision, output_dtype=TensorProto.INT4)
    model = _model([node], inputs, known)
    (expected,) = ReferenceEvaluator(model).run(None, inputs)
    (found,) = _results(model, inputs, "reference")
    assert found.dtype == DType.I4.numpy
    np.testing.assert_array_equal(found.astype(np.int8), expected.astype(np.int8))


@pytest.mark.parametrize("output", [TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.FLOAT])
def test_scales_may_be_powers_of_two(output: int) -> None:
    q = np.resize(every(DType.F4E2M1), (2, 32))
    known = {"s": np.array([[130], [120]], np.uint8).view(DType.F8E8M0.numpy)}
    node = _node("DequantizeLinear", "q s", axis=1, block_size=32, output_dtype=output)
    (found,) = _results(_model([node], {"q": q}, known), {"q": q}, "reference")
    expected = q.astype(np.float32) * np.array([[8], [2.0**-7]], np.float32)
    assert found.dtype == helper.tensor_dtype_to_np_dtype(output)
    np.testing.assert_array_equal(found.astype(np.float32), expected)
    silent = _model([_node("DequantizeLinear", "q s", axis=1, block_size=32)], {"q": q}, known)
    with pytest.raises(DhcError, match="no 'output_dtype' says what it gives"):
        _results(silent, {"q": q}, "reference")


def test_floats_of_eight_bits_are_not_multiplied_as_integers() -> None:
    f8 = DType.F8E4M3FN.numpy
    inputs = {"a": np.ones((2, 2), f8)}
    known = {"b": np.ones((2, 2), f8), "s": np.array(1, np.float32), "z": np.array(0, f8)}
    model = _model([_node("QLinearMatMul", "a s z b s z s z")], inputs, known)
    with pytest.raises(DhcError, match="cannot multiply f8e4m3fn as integers"):
        _results(model, inputs, "reference")


# ---- arithmetic in wider types -----------------------------------------------------------------


def _bf16(*shape: int) -> Array:
    return np.random.default_rng(6).normal(0, 2, shape).astype(BF16)


@both_targets
def test_bf16_is_computed_in_f32_and_rounded_once(target: str) -> None:
    """A sum that was rounded at each step would lose the small numbers."""
    x = np.array([[256, *[0.75] * 8]], BF16)
    (found,) = _results(_model([_node("ReduceSum", "x")], {"x": x}), {"x": x}, target)
    assert found.dtype == BF16
    np.testing.assert_array_equal(found, np.array([[262]], BF16))


def test_results_of_types_of_their_own_are_not_rounded() -> None:
    """The mean that a layer norm gives is f32, whatever its input is; indices are whole."""
    inputs = {"x": _bf16(3, 8)}
    known = {"w": _bf16(8)}
    node = _node("LayerNormalization", "x w", "y mean")
    found = _results(_model([node], inputs, known), inputs, "reference")
    assert [each.dtype for each in found] == [BF16, np.float32]
    exact = inputs["x"].astype(np.float32).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found[1], exact, rtol=1e-6)
    model = _model([_node("TopK", "x k", "values places")], inputs, {"k": np.array([2])})
    values, places = _results(model, inputs, "reference")
    assert (values.dtype, places.dtype) == (BF16, np.int64)


@both_targets
def test_branches_and_loops_carry_bf16(target: str) -> None:
    x, count = _bf16(3), np.array(4)
    step = helper.make_graph(
        [
            _node("Add", "a x", "b"),
            _node("Identity", "go", "going"),
            _node("Mul", "b x", "scanned"),
        ],
        "step",
        [onnx.ValueInfoProto(name=name) for name in ("turn", "go", "a")],
        [onnx.ValueInfoProto(name=name) for name in ("going", "b", "scanned")],
    )
    loop = helper.make_node("Loop", ["n", "", "x"], ["y", "all"], body=step)
    model = _model([loop], {"x": x}, {"n": count})
    end, scanned = _results(model, {"x": x}, target)
    sums = [x]
    for _ in range(4):
        sums.append((sums[-1].astype(np.float32) + x.astype(np.float32)).astype(BF16))
    same_bits(end, sums[-1])
    products = [(each.astype(np.float32) * x.astype(np.float32)).astype(BF16) for each in sums[1:]]
    same_bits(scanned, np.stack(products))


def test_parameters_of_bf16_are_kept_as_f32(tmp_path: Path) -> None:
    """So that they can be saved, loaded and trained; the numbers are the same."""
    weight = _bf16(4, 3)
    nodes = [_node("Transpose", "w", "t"), _node("MatMul", "x t", "y")]
    path = tmp_path / "model.onnx"
    x = _bf16(2, 3)
    path.write_bytes(_model(nodes, {"x": x}, {"w": weight}).SerializeToString())
    imported = load(path)
    assert imported.values["w"].dtype == np.float32
    np.testing.assert_array_equal(imported.values["w"], weight.astype(np.float32))
    (found,) = run(imported.graph.roots, {"x": x, **imported.values})
    expected = (x.astype(np.float32) @ weight.astype(np.float32).T).astype(BF16)
    same_bits(found, expected)


@pytest.mark.parametrize("dtype", [d for d in NARROW if d is not DType.BF16])
def test_nothing_else_computes_with_narrow_elements(dtype: DType) -> None:
    inputs = {"x": np.resize(every(dtype), (4,))}
    model = _model([_node("Add", "x x")], inputs)
    text = f"of Add .* cannot be read: 'add' does not compute with {dtype} elements"
    with pytest.raises(DhcError, match=text):
        _results(model, inputs, "reference")


def test_nodes_of_other_domains_do_not_compute_with_bf16() -> None:
    """ONNX does not say of which type their results are."""
    inputs = {"x": _bf16(3)}
    node = helper.make_node("FastGelu", ["x"], ["y"], domain="com.microsoft")
    model = _model([node], inputs)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(DhcError, match="does not know the element types of what it gives"):
        _results(model, inputs, "reference")


# ---- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("outside", [False, True])
def test_tensors_lie_close_together_in_files(tmp_path: Path, dtype: DType, outside: bool) -> None:
    """Three elements of 2 or 4 bits fill no whole byte."""
    values = every(dtype)[1:4]
    tensor = numpy_helper.from_array(values, "w")
    if outside:
        (tmp_path / "data").write_bytes(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="data")
    model = _model([_node("Identity", "w", "y")], {})
    model.graph.initializer.append(tensor)
    graph = read(model, tmp_path / "model.onnx").graph
    (found,) = run(graph.roots, load_values(model, tmp_path), graph.constants)
    same_bits(found, values)


def load_values(model: onnx.ModelProto, folder: Path) -> Mapping[str, Array]:
    return read(model, folder / "model.onnx").values


@pytest.mark.parametrize("count", [0, 3])
def test_tensors_with_too_few_or_too_many_bytes_are_refused(tmp_path: Path, count: int) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.INT4, dims=[3], raw_data=bytes(count))
    model = _model([_node("Identity", "w", "y")], {})
    model.graph.initializer.append(tensor)
    with pytest.raises(DhcError, match="has not the data that it says"):
        read(model, tmp_path / "model.onnx")


@pytest.mark.parametrize("dtype", [DType.BF16, *EIGHT_BITS, DType.F4E2M1, DType.I4, DType.U4])
@pytest.mark.parametrize("saturate", [False, True])
def test_conversions_are_written(tmp_path: Path, dtype: DType, saturate: bool) -> None:
    x = Input("x", Tensor(DType.F32, (200,)))()
    narrow = Cast(dtype, saturate and dtype is not DType.BF16)(x)
    graph = Graph("net", (x,), (("y", narrow), ("z", Cast(DType.F32)(narrow))))
    values = beside(dtype)[:200]
    if dtype.is_integer:  # ONNX says nothing of what lies beyond
        values = np.linspace(-9, 20, 200).astype(np.float32)
        values = values if saturate else np.clip(values, *((0, 15), (-8, 7))[dtype.is_signed])
    path = saved(tmp_path, graph, 23)
    (expected,) = ReferenceEvaluator(str(path)).run(["y"], {"x": values})
    again = load(path).graph
    for each in (graph, again):
        found, wide = run([node for _, node in each.outputs], {"x": values}, each.constants)
        numbers = values == values
        same_bits(found[numbers], expected.astype(dtype.numpy)[numbers])
        np.testing.assert_array_equal(wide, convert(found, DType.F32))


@pytest.mark.parametrize(
    ("dtype", "opset"),
    [(DType.F8E5M2, 18), (DType.I4, 20), (DType.F4E2M1, 22), (DType.F8E8M0, 23), (DType.U2, 23)],
)
def test_types_that_a_version_has_not_are_not_written(
    tmp_path: Path, dtype: DType, opset: int
) -> None:
    x = Input("x", Tensor(DType.F32, (3,)))()
    graph = Graph("net", (x,), (("y", Cast(dtype, True)(x)),))
    with pytest.raises(DhcError, match=f"ONNX {opset} has no elements of the type {dtype}"):
        save(graph, {}, tmp_path / "model.onnx", opset)


def test_rounding_to_bf16_is_written(tmp_path: Path) -> None:
    x = Input("x", Tensor(DType.F32, (50,)))()
    graph = Graph("net", (x,), (("y", Add()(RoundBf16()(x), x)),))
    again = load(saved(tmp_path, graph)).graph
    values = {"x": np.random.default_rng(8).normal(0, 1, 50).astype(np.float32)}
    expected = values["x"].astype(BF16).astype(np.float32) + values["x"]
    np.testing.assert_array_equal(run(again.roots, values, again.constants)[0], expected)
    assert any(node.type.dtype is DType.BF16 for node in topological(again.roots))
