"""Narrow element types on every backend: what converts and moves them, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.ir.evaluate import convert
from dhc.ir.graph import Array, Graph, Input, Node, literal
from dhc.ir.types import DType, Tensor
from dhc.ops.elementwise import Add, Cast, Mul, Where
from dhc.ops.lookup import Gather
from dhc.ops.movement import Pad, slice_axis
from dhc.ops.narrow import PowerOfTwo, RoundBf16
from dhc.ops.shape import Concat, Permute, Reshape
from tests.narrow import NARROW, beside, bits_of, every, halves

BACKENDS = {
    "reference": Target("reference"),
    "cpu": Target("cpu", threads=2),
    "numba": Target("cpu", options={"engine": "numba"}),
    "opencl": Target("opencl"),
    "cuda": Target("cuda", options={"device": "shim"}),
    "gpu": Target("cuda"),
    "fpga": Target("fpga"),
}
Values = dict[str, Array]


def _marked() -> Iterator[object]:
    for backend in BACKENDS:
        marks = [pytest.mark.gpu] if backend == "gpu" else []
        if backend in ("numba", "fpga"):  # whose compilers take long
            marks.append(pytest.mark.slow)
        yield pytest.param(backend, marks=marks, id=backend)


every_backend = pytest.mark.parametrize("backend", list(_marked()))


def _input(label: str, array: Array, dtype: DType) -> Node:
    return Input(label, Tensor(dtype, array.shape))()


def _run(backend: str, outputs: dict[str, Node], values: Values) -> Values:
    inputs = {
        node.op.label: node
        for output in outputs.values()
        for node in _leaves(output)
        if isinstance(node.op, Input)
    }
    graph = Graph("narrow", tuple(inputs.values()), tuple(outputs.items()))
    found = compile_graph(graph, BACKENDS[backend], parameters={})(**values)
    return dict(found)


def _leaves(node: Node) -> Iterator[Node]:
    yield node
    for source in node.inputs:
        yield from _leaves(source)


def _agree(found: Values, expected: Values) -> None:
    """Compares bits; of a wide type numbers, where any NaN is one."""
    for label, array in expected.items():
        assert found[label].dtype == array.dtype, label
        if array.dtype.kind == "V" or array.dtype.name.startswith("float8"):
            np.testing.assert_array_equal(bits_of(found[label]), bits_of(array), label)
        else:
            np.testing.assert_array_equal(found[label], array, label)


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b != "gpu"])
def test_every_pattern_widens(backend: str) -> None:
    outputs, values, expected = dict[str, Node](), Values(), Values()
    for dtype in NARROW:
        array = every(dtype)
        values[f"in_{dtype}"] = array
        for wide in (DType.F32, DType.I32, DType.BOOL):
            if wide is DType.I32 and dtype.is_float:
                continue
            label = f"{dtype}_as_{wide}"
            outputs[label] = Cast(wide)(_input(f"in_{dtype}", array, dtype))
            expected[label] = convert(array, wide)
    _agree(_run(backend, outputs, values), expected)


@every_backend
@pytest.mark.parametrize("saturate", [False, True])
def test_numbers_are_rounded(backend: str, saturate: bool) -> None:
    outputs, values, expected = dict[str, Node](), Values(), Values()
    for dtype in NARROW:
        array = beside(dtype)
        if dtype.is_integer and not saturate:  # beyond the range of i32 there is no result
            array = array[np.abs(array) < 2.0**31]
        values[f"in_{dtype}"] = array
        outputs[f"{dtype}"] = Cast(dtype, saturate)(_input(f"in_{dtype}", array, DType.F32))
        expected[f"{dtype}"] = convert(array, dtype, saturate)
    _agree(_run(backend, outputs, values), expected)


@every_backend
def test_integers_are_narrowed(backend: str) -> None:
    array = np.arange(-400, 400, dtype=np.int32)
    x = _input("x", array, DType.I32)
    outputs, expected = dict[str, Node](), Values()
    for dtype in NARROW:
        for saturate in (False, True):
            outputs[f"{dtype}_{saturate}"] = Cast(dtype, saturate)(x)
            expected[f"{dtype}_{saturate}"] = convert(array, dtype, saturate)
    _agree(_run(backend, outputs, {"x": array}), expected)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_halves_are_rounded_and_come_back(backend: str) -> None:
    """Other backends have no f16, or not on all devices."""
    array = halves()
    x = _input("x", array, DType.F16)
    outputs, expected = dict[str, Node](), Values()
    for dtype in NARROW:
        if dtype.is_float:
            outputs[f"{dtype}"] = Cast(dtype, True)(x)
            outputs[f"{dtype}_back"] = Cast(DType.F16)(outputs[f"{dtype}"])
            expected[f"{dtype}"] = convert(array, dtype, True)
            expected[f"{dtype}_back"] = convert(expected[f"{dtype}"], DType.F16)
    _agree(_run(backend, outputs, {"x": array}), expected)


@pytest.mark.parametrize("backend", ["reference", "cpu", "opencl", "cuda"])
def test_doubles_are_rounded_once(backend: str) -> None:
    array = np.array([1 + 2.0**-8 + 2.0**-40, 1 + 2.0**-8, 2.0**-134, 1e300, -5e-324, np.nan])
    outputs = {"y": Cast(DType.BF16)(_input("x", array, DType.F64))}
    _agree(_run(backend, outputs, {"x": array}), {"y": convert(array, DType.BF16)})
    assert convert(array, DType.BF16)[0] == 1 + 2.0**-7


@every_backend
def test_elements_move(backend: str) -> None:
    outputs, values = dict[str, Node](), Values({"where": np.array([2, 0, 2], np.int64)})
    where = _input("where", values["where"], DType.I64)
    for dtype in NARROW:
        array = np.resize(every(dtype), (4, 6))
        x = _input(f"in_{dtype}", array, dtype)
        values[f"in_{dtype}"] = array
        one = literal(1, dtype) if dtype.is_integer else literal(1.0, dtype)
        outputs[f"{dtype}_turned"] = Permute((1, 0))(slice_axis(x, 0, 1, 3))
        outputs[f"{dtype}_taken"] = Gather(0)(x, where)
        outputs[f"{dtype}_joined"] = Concat(0)(x, Reshape((1, 6))(slice_axis(x, 0, 0, 1)))
        outputs[f"{dtype}_padded"] = Pad(((1, 0), (0, 2)), value=1.0)(x)
        small = Cast(DType.BOOL)(slice_axis(x, 0, 0, 1))
        outputs[f"{dtype}_chosen"] = Where()(small, x, one)
    _agree(_run(backend, outputs, values), _run("reference", outputs, values))
    turned = _run("reference", outputs, values)["f8e5m2_turned"]
    assert bits_of(turned).tolist() == bits_of(values["in_f8e5m2"])[1:3].T.tolist()


@every_backend
@pytest.mark.parametrize("dtype", [DType.BF16, DType.F8E5M2, DType.F8E4M3FN, DType.I4])
def test_arrays_may_have_gaps(backend: str, dtype: DType) -> None:
    """And weights may be kept in another order than they are given in."""
    array = np.resize(every(dtype), (6, 8))[::2, ::-2]
    x = _input("x", array, dtype)
    outputs = {"y": Cast(DType.F32)(x), "z": Permute((1, 0))(x)}
    found = _run(backend, outputs, {"x": array})
    _agree(found, {"y": convert(array, DType.F32), "z": array.T})


@every_backend
def test_narrow_values_between_operators(backend: str) -> None:
    """They meet in one kernel where passes fuse, and are rounded all the same."""
    array = beside(DType.F8E4M3FN)[:200]
    x = _input("x", array, DType.F32)
    small = Cast(DType.F8E4M3FN)(Mul()(x, literal(3.0, DType.F32)))
    other = Cast(DType.BF16)(Cast(DType.F32)(small))
    total = Add()(Cast(DType.F32)(other), Cast(DType.F32)(Cast(DType.BF16)(x)))
    outputs = {"y": total, "z": Cast(DType.F8E5M2)(other), "r": RoundBf16()(x)}
    outputs |= {f"p_{up}": PowerOfTwo(up)(x) for up in (True, False)}
    found = _run(backend, outputs, {"x": array})
    _agree(found, _run("reference", outputs, {"x": array}))
    with np.errstate(all="ignore"):
        first = convert(convert(array * np.float32(3), DType.F8E4M3FN), DType.F32)
        expected = first + convert(convert(array, DType.BF16), DType.F32)
    np.testing.assert_array_equal(found["y"], expected)
