"""Stretches of other tensors' memory need no kernel, and all backends read them where they lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.ir.graph import Graph, Input, Node
from dhc.ir.types import DType, Tensor
from dhc.lower.plan import Plan
from dhc.lower.planner import make_plan
from dhc.lower.schedule import Loops
from dhc.ops.activation import Relu, Sigmoid
from dhc.ops.elementwise import Add
from dhc.ops.movement import Slice
from dhc.ops.shape import Reshape

SHAPE = (4, 3, 2, 5)


def _source() -> Node:
    return Input("x", Tensor(DType.F32, SHAPE))()


def _plan(*views: Node) -> Plan:
    """What runs for results that are computed from these."""
    outputs = tuple((f"y{k}", Sigmoid()(view)) for k, view in enumerate(views))
    return make_plan(Graph("net", (_source(),), outputs), Loops())


def _kernels(plan: Plan) -> list[str]:
    return [launch.kernel.name.split("_", 1)[1] for launch in plan.launches]


def test_views_are_not_computed() -> None:
    """A part of the rows of the second of four images, as one long row."""
    image = Slice((1, 0, 0, 0), (1, 3, 2, 5), (1, 1, 1, 1))(Relu()(_source()))
    rows = Slice((0, 1, 0, 0), (1, 2, 2, 5), (1, 1, 1, 1))(image)
    plan = _plan(Reshape((20,))(rows))
    assert _kernels(plan) == ["relu", "sigmoid"]
    relu, sigmoid = plan.launches
    view = plan.slot(sigmoid.operands[1])
    assert (view.within, view.offset) == (relu.operands[0], 30 + 10)
    assert view.arena == plan.slot(relu.operands[0]).arena


@pytest.mark.parametrize(
    ("start", "size", "step"),
    [
        ((0, 1, 0, 0), (4, 2, 2, 5), (1, 1, 1, 1)),  # of every image
        ((0, 0, 0, 0), (2, 3, 2, 5), (2, 1, 1, 1)),  # every other image
        ((1, 0, 0, 1), (1, 1, 2, 4), (1, 1, 1, 1)),  # with gaps between rows
    ],
)
def test_what_is_not_one_stretch_is_computed(
    start: tuple[int, ...], size: tuple[int, ...], step: tuple[int, ...]
) -> None:
    assert _kernels(_plan(Slice(start, size, step)(Relu()(_source())))) == [
        "relu", "slice", "sigmoid",
    ]  # fmt: skip


def test_results_and_what_callers_own_are_copied() -> None:
    source = _source()
    outputs = (("y", Reshape((12, 10))(Relu()(source))), ("z", Relu()(Reshape((120,))(source))))
    plan = make_plan(Graph("net", (source,), outputs), Loops())
    assert _kernels(plan) == ["relu", "reshape", "reshape", "relu"]


@pytest.mark.parametrize(
    "target",
    [Target("cpu"), Target("cpu", options={"engine": "numba"}), Target("opencl"), Target("fpga")],
    ids=str,
)
@settings(deadline=None, max_examples=8)
@given(st.data())
def test_views_have_the_values_of_what_they_show(target: Target, data: st.DataObject) -> None:
    """Of other views too, while what they show is read again afterwards."""
    bounds = [sorted(data.draw(st.tuples(*[st.integers(0, n - 1)] * 2))) for n in SHAPE]
    start, stop = zip(*((low, high + 1) for low, high in bounds), strict=True)
    size = tuple(high - low for low, high in zip(start, stop, strict=True))
    source = _source()
    shown = Relu()(source)
    part = Slice(start, size, (1, 1, 1, 1))(shown)
    flat = Sigmoid()(Reshape((int(np.prod(size)),))(part))
    outputs = (("flat", flat), ("both", Add()(Sigmoid()(shown), shown)))
    array = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    graph = Graph("net", (source,), outputs)
    found, expected = (
        compile_graph(graph, each)(x=array) for each in (target, Target("reference"))
    )
    for name in ("flat", "both"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)
