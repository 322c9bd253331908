"""Sums over ranks travel in buckets, in one order, and without copies."""

from __future__ import annotations

import math

import pytest

from dhc.backends.base import StagedBackend, Target
from dhc.driver import COMMON_PASSES
from dhc.frontend import load_text
from dhc.ir.graph import Graph, Input, Node, topological
from dhc.ir.types import DType, Tensor
from dhc.lower.plan import Collective, Launch, Plan
from dhc.ops.base import TypeRuleError, run
from dhc.ops.collective import AllReduce, AllReduceStart, AllReduceWait, BucketPart, Shared
from dhc.ops.elementwise import Add, Mul, Sub
from dhc.passes.bind_sizes import bind_sizes
from dhc.passes.buckets import Buckets
from dhc.passes.manager import run_passes
from dhc.recipe.optimizers import OPTIMIZERS
from dhc.recipe.parallel import DataParallel
from dhc.targets import make_backend
from dhc.training.step import StepOptions, build_step

NET = """
model Net() {
    input image: f32[N, 3, 8, 8]
    output y = image -> conv(16, kernel=3, bias=false) -> batchnorm() -> relu()
        -> conv(16, kernel=3) -> relu() -> flatten() -> dense(4)
}
"""


def _step(parallel: DataParallel, samples: int = 4) -> Graph:
    model = load_text(NET).model("Net").graph
    truth = model.outputs[0][1].type
    options = StepOptions(OPTIMIZERS["adam"](), parallel=parallel)

    def squares(out: dict[str, Node], data: dict[str, Node]) -> Node:
        difference = Sub()(out["y"], data["t"])
        return Mul()(difference, difference)

    graph = build_step(model, {"t": truth}, squares, options).graph  # type: ignore[arg-type]
    return bind_sizes(graph, {"N": samples})


def _starts(graph: Graph) -> list[Node]:
    found = [n for n in topological(graph.roots) if isinstance(n.op, AllReduceStart)]
    return sorted(found, key=lambda node: node.op.number)  # type: ignore[attr-defined]


def _plan(graph: Graph, target: Target) -> Plan:
    backend = make_backend(target)
    assert isinstance(backend, StagedBackend)
    return backend.lower(run_passes(graph, COMMON_PASSES)).plan


def test_no_sum_is_left_outside_of_buckets() -> None:
    graph = _step(DataParallel(sync_batchnorm=True))
    assert not [n for n in topological(graph.roots) if isinstance(n.op, (AllReduce, Shared))]
    numbers = [node.op.number for node in _starts(graph)]  # type: ignore[attr-defined]
    assert numbers == list(range(len(numbers)))


def test_without_synchronised_statistics_only_the_count_comes_before_the_gradients() -> None:
    first, gradients = _starts(_step(DataParallel()))
    assert [source.type.shape for source in first.inputs] == [(), ()]  # samples, and elements
    weights = [s for s in gradients.inputs if s.type.rank in (2, 4)]
    assert [s.type.shape for s in weights] == [(4, 256), (16, 16, 3, 3), (16, 3, 3, 3)]


def test_gradients_are_sent_in_the_order_in_which_they_become_known() -> None:
    """The last layer's come first, and with small buckets they do not wait for the others."""
    graph = Buckets(limit=4 * 1024)(_plain())
    buckets = [[s.type.static_shape for s in node.inputs] for node in _starts(graph)]
    assert buckets == [[(1024,)], [(512,), (256,)], [(2048,)], [(8,)]]


def _plain() -> Graph:
    """Four tensors that become known one after another, and are summed."""
    nodes = []
    inputs = []
    for depth, size in enumerate((1024, 512, 256, 2048, 8)):
        node = Input(f"x{size}", Tensor(DType.F32, (size,)))()
        inputs.append(node)
        for _ in range(depth):
            node = Add()(node, node)
        nodes.append((f"y{size}", AllReduce()(node)))
    return Graph("plain", tuple(inputs), tuple(reversed(nodes)))


def test_what_waits_for_a_sum_has_a_later_bucket() -> None:
    x = Input("x", Tensor(DType.F32, (3,)))()
    first = AllReduce()(x)
    second = AllReduce()(Mul()(first, x))
    other = AllReduce()(Add()(x, x))
    graph = Graph("chain", (x,), (("second", second), ("other", other)))
    urgent, late = (node.inputs for node in _starts(Buckets()(graph)))
    assert urgent == (x,)
    assert late[0] is Add()(x, x), "it is known sooner"
    assert len(late) == 2


def test_the_meaning_on_one_rank_stays() -> None:
    import numpy as np

    graph = _plain()
    values = {n.op.label: np.arange(n.type.static_shape[0], dtype=np.float32) for n in graph.inputs}  # type: ignore[attr-defined]
    for before, after in zip(
        run(graph.roots, values), run(Buckets(limit=64)(graph).roots, values), strict=True
    ):
        np.testing.assert_array_equal(before, after)


TARGETS = [Target("cpu"), Target("opencl"), Target("cpu", options={"engine": "numba"})]


@pytest.mark.parametrize("target", TARGETS, ids=["cpu", "opencl", "numba"])
@pytest.mark.parametrize("sync", [False, True])
def test_gradients_are_computed_in_their_buckets(target: Target, sync: bool) -> None:
    """A kernel writes each tensor where it is summed, and reads the sum there."""
    plan = _plan(_step(DataParallel(sync_batchnorm=sync)), target)
    slots = {slot.name: slot for slot in plan.slots}
    buckets = [step.bucket for step in plan.steps if isinstance(step, Collective)]
    for name in dict.fromkeys(buckets):
        written = {
            operand: slots[operand]
            for step in plan.launches
            for operand in step.written
            if slots[operand].within == name
        }
        whole = sum(math.prod(slot.type.static_shape) for slot in written.values())
        assert whole == slots[name].type.static_shape[0], "no gaps"
    copied = [slots[s.written[0]] for s in plan.launches if s.kernel.name.endswith("bucket")]
    small = [math.prod(slot.type.static_shape) for slot in copied]
    assert all(size <= 16 for size in small), "only what other kernels read too"


@pytest.mark.parametrize("target", TARGETS[:2], ids=["cpu", "opencl"])
def test_all_ranks_begin_their_buckets_in_one_order(target: Target) -> None:
    """Whatever the number of samples of a rank: it may change what passes make of its step."""
    count = len(_starts(_step(DataParallel(1, True))))
    for samples in (1, 5):
        plan = _plan(_step(DataParallel(buckets=1, sync_batchnorm=True), samples), target)
        met = [(s.kind, s.number) for s in plan.steps if isinstance(s, Collective)]
        starts = [number for kind, number in met if kind == "start"]
        assert starts == list(range(len(starts)))
        assert all(met.index(("start", n)) < met.index(("wait", n)) for n in starts)
        assert len(met) == 2 * len(starts) == 2 * count


def test_stretches_of_launches_end_where_ranks_meet() -> None:
    plan = _plan(_step(DataParallel()), Target("cpu"))
    flat: list[object] = []
    for part in plan.stretches:
        flat += part if isinstance(part, tuple) else [part]
        assert not isinstance(part, tuple) or all(isinstance(step, Launch) for step in part)
    assert flat == list(plan.steps)


def test_parts_lie_inside_of_their_bucket() -> None:
    x = Input("x", Tensor(DType.F32, (3,)))()
    bucket = AllReduceWait(0)(AllReduceStart(0)(x))
    with pytest.raises(TypeRuleError, match="lies outside"):
        BucketPart(2, (2,))(bucket)
