"""Quantized layers on the processor: native, and equal to numpy's to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.backends.cpu import planner
from dhc.backends.cpu.kernels.conv import ConvKernel
from dhc.driver import compile_graph
from dhc.ir.graph import Array, Graph, Input, Node, Param, literal
from dhc.ir.types import DType, Tensor
from dhc.lower.plan import Plan
from dhc.ops.base import run
from dhc.ops.conv import Conv
from dhc.ops.elementwise import Add, Cast, Mul, Round
from dhc.ops.linear import MatMul
from tests.backends.test_packing import CASES

RESULTS = (DType.I32, DType.F32, DType.U8, DType.I8)


def _step(total: Node, result: DType) -> Node:
    """What quantized networks make of sums: the sums, numbers, or bytes again."""
    if result is DType.I32:
        return Add()(total, literal(3, DType.I32))
    scaled = Mul()(Cast(DType.F32)(total), literal(2.0**-10, DType.F32))
    return scaled if result is DType.F32 else Cast(result, True)(Round()(scaled))


def _bytes(shape: tuple[int, ...], dtype: DType, seed: int) -> Array:
    low, high = (0, 256) if dtype is DType.U8 else (-128, 128)
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype.numpy)


def _graph(name: str, result: DType) -> Graph:
    """Bytes about a zero point times signed bytes; the weights are parameters."""
    op, x_shape, w_shape = CASES[name]
    x = Input("x", Tensor(DType.U8, x_shape))()
    weight = Param("w", Tensor(DType.I8, w_shape))()
    moved = Add()(Cast(DType.I32)(x), literal(-131, DType.I32))
    total = op(moved, Cast(DType.I32)(weight))
    return Graph(name, (x,), (("y", _step(total, result)),))


def _compiled(
    graph: Graph, weights: dict[str, Array], isa: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[object, list[Plan]]:
    """The program of a graph, and the plan that it was made from."""
    plans: list[Plan] = []
    plain = planner.make_cpu_plan

    def kept(*given: object) -> Plan:
        plans.append(plain(*given))  # type: ignore[arg-type]
        return plans[-1]

    monkeypatch.setattr(planner, "make_cpu_plan", kept)
    target = Target("cpu", threads=2, options={"isa": isa} if isa else {})
    return compile_graph(graph, target, parameters=weights), plans


@pytest.mark.parametrize("isa", ["avx2", ""])
@pytest.mark.parametrize("result", RESULTS, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_quantized_layers(
    name: str, result: DType, isa: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where channels do not fill vectors, and whatever the sums become."""
    _, x_shape, w_shape = CASES[name]
    graph = _graph(name, result)
    values = {"x": _bytes(x_shape, DType.U8, 1), "w": _bytes(w_shape, DType.I8, 2)}
    monkeypatch.setenv("DHC_CACHE", str(tmp_path))
    program, plans = _compiled(graph, {"w": values["w"]}, isa, monkeypatch)
    (wanted,) = run([graph.outputs[0][1]], values)
    np.testing.assert_array_equal(program(x=values["x"])["y"], wanted)  # type: ignore[operator]
    native = [s for plan in plans for s in plan.steps if isinstance(s.kernel, ConvKernel)]
    assert native


FLOATS = {
    **{name: CASES[name] for name in ("conv_plane", "conv_line", "double_cut", "dense")},
    "depthwise": (Conv((1, 1), ((1, 1), (1, 1)), (1, 1), 19), (2, 19, 9, 8), (19, 1, 3, 3)),
    "fewer_products": (Conv((1, 1), ((1, 1), (1, 1)), (1, 1)), (1, 40, 32, 32), (36, 40, 3, 3)),
}


@pytest.mark.parametrize("isa", ["avx2", ""])
@pytest.mark.parametrize("result", [DType.U8, DType.I8, DType.I32], ids=str)
@pytest.mark.parametrize("name", FLOATS)
def test_sums_of_floats_that_become_bytes(name: str, result: DType, isa: str) -> None:
    """Whole numbers are summed, and none lies half way between two bytes."""
    op, x_shape, w_shape = FLOATS[name]
    chance = np.random.default_rng(5)
    x, w = (chance.integers(-3, 4, shape).astype(np.float32) for shape in (x_shape, w_shape))
    node, weight = (
        Input("x", Tensor(DType.F32, x_shape))(),
        Param("w", Tensor(DType.F32, w_shape))(),
    )
    scaled = Mul()(op(node, weight), literal(0.25, DType.F32))
    moved = Round()(Add()(scaled, literal(20.1, DType.F32)))
    graph = Graph(name, (node,), (("y", Cast(result, True)(moved)),))
    target = Target("cpu", threads=2, options={"isa": isa} if isa else {})
    (wanted,) = run([graph.outputs[0][1]], {"x": x, "w": w})
    found = compile_graph(graph, target, parameters={"w": w})(x=x)["y"]
    np.testing.assert_array_equal(found, wanted)
    assert len(np.unique(found)) > 5


@pytest.mark.parametrize("isa", ["avx2", ""])
def test_sums_beyond_32_bits_wrap(isa: str) -> None:
    """As numpy's do, and those of every other backend."""
    chance = np.random.default_rng(3)
    a, b = (
        chance.integers(-(2**31), 2**31, shape).astype(np.int32) for shape in ((7, 70), (70, 37))
    )
    x, m = (Input(n, Tensor(DType.I32, each.shape))() for n, each in (("x", a), ("m", b)))
    graph = Graph("wide", (x, m), (("y", MatMul()(x, m)),))
    target = Target("cpu", threads=2, options={"isa": isa} if isa else {})
    np.testing.assert_array_equal(compile_graph(graph, target)(x=a, m=b)["y"], a @ b)
