"""Ranks that share a batch take the step that one rank would take with all of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.ir.graph import Array, Graph, Node, literal
from dhc.ir.types import DType, Tensor
from dhc.ops.elementwise import Add, Cast, Mul, Sub
from dhc.ops.linear import MatMul
from dhc.ops.loss import CrossEntropy
from dhc.ops.movement import Pad, Slice
from dhc.ops.reduce import ReduceMax, ReduceMean, ReduceSum
from dhc.ops.shape import Concat, Permute, Reshape
from dhc.ops.softmax import Softmax
from dhc.ops.sort import ArgSort
from dhc.recipe.average import Ema
from dhc.recipe.clip import ClipNorm
from dhc.recipe.optimizers import OPTIMIZERS
from dhc.recipe.parallel import DataParallel
from dhc.runtime.comm.base import Communicator
from dhc.runtime.comm.threads import run_ranks
from dhc.training.group import Part
from dhc.training.ranks import Ranks
from dhc.training.step import LOSS, NUMBERS, StepOptions, build_step

NET = """
model Net() {
    input image: f32[N, 3, 6, 6]
    output y = image -> conv(8, kernel=3, pad=1, bias=false) -> batchnorm() -> relu()
        -> conv(8, kernel=3, stride=2, pad=1) -> batchnorm() -> relu()
        -> global_avgpool() -> flatten() -> dropout(0.3) -> dense(4)
}
"""
SMALL = """
model Net() {
    input image: f32[N, 3, 6, 6]
    output y = image -> conv(8, kernel=3, stride=2) -> batchnorm(momentum=0.25)
        -> global_avgpool() -> flatten() -> dense(4)
}
"""
PLAIN = OPTIMIZERS["sgd"](momentum=0.0)
SYNCED = DataParallel(sync_batchnorm=True)
WIDE, FAST = Target("reference", precision="f64"), Target("cpu", threads=1)
TARGETS = {
    "numba": Target("cpu", threads=1, options={"engine": "numba"}),
    "opencl": Target("opencl"),
    "cuda": Target("cuda", options={"device": "shim"}),
}
Nodes = Mapping[str, Node]
Objective = Callable[[Nodes, Nodes], Node]


def _squares(out: Nodes, data: Nodes) -> Node:
    difference = Sub()(out["y"], data["t"])
    return Mul()(difference, difference)


def _weighted(out: Nodes, data: Nodes) -> Node:
    return CrossEntropy((0.5, 2.0, 1.0, 3.0))(out["y"], data["label"])


def _mixed(out: Nodes, data: Nodes) -> Node:
    """A mean over the whole batch, in a product with numbers of each sample."""
    return Mul()(_weighted(out, data), ReduceMean((1,))(_squares(out, data)))


def _own(out: Nodes, data: Nodes) -> Node:
    total = ReduceSum()(_squares(out, data))
    return Add()(ReduceMean()(_squares(out, data)), Mul()(total, literal(1e-3, DType.F32)))


LOSSES: dict[str, Objective] = {
    "a mean": _squares,
    "a weighted mean": _weighted,
    "a mean within a mean": _mixed,
    "sums and means as a user writes them": _own,
}


@cache
def _graph(objective: Objective, options: StepOptions, text: str = NET) -> Graph:
    model = load_text(text).model("Net").graph
    y = model.outputs[0][1].type
    data = {"t": y, "label": Tensor(DType.I64, y.shape[:1])}
    return build_step(model, data, objective, options).graph


def _batch(samples: int) -> dict[str, Array]:
    random = np.random.default_rng(samples)
    return {
        "image": random.normal(1, 2, (samples, 3, 6, 6)).astype(np.float32),
        "t": random.normal(size=(samples, 4)).astype(np.float32),
        "label": random.integers(0, 4, samples),
        "random": np.array([[7, 1, 100 + k] for k in range(samples)], np.uint32),
    }


def _numbers(options: StepOptions, step: int, part: Part) -> dict[str, Array]:
    found = options.numbers(step, 0.5, part)
    return {NUMBERS + name: np.asarray(value, np.float32) for name, value in found.items()}


@cache
def _stepped(
    target: str,
    objective: Objective,
    options: StepOptions,
    ranks: int,
    sizes: tuple[int, ...],
    text: str = NET,
) -> tuple[list[float], list[dict[str, Array]]]:
    """The losses of steps with batches of these sizes, and what each rank's parameters are then."""
    graph = _graph(objective, options, text)
    chosen = {**TARGETS, "wide": WIDE, "cpu": FAST}[target]

    def work(communicator: Communicator) -> tuple[list[float], dict[str, Array]]:
        own = Ranks(communicator)
        program = compile_graph(graph, chosen, exchange=own.exchange)
        losses = []
        for step, size in enumerate(sizes):
            share = own.share(np.arange(size))
            own.exchange.present = share.present
            whole = {name: array for name, array in _batch(size).items() if name in program.inputs}
            given = {name: array[share.numbers] for name, array in whole.items()}
            part = Part(size, step % 2 == 0, step % 2 == 1)
            losses.append(float(program(**given, **_numbers(options, 1 + step, part))[LOSS]))
        return losses, program.parameters()

    found = run_ranks(ranks, work)
    for each in found:
        if isinstance(each, BaseException):
            raise each
    results = [each for each in found if not isinstance(each, BaseException)]
    assert all(losses == results[0][0] for losses, _ in results)
    return results[0][0], [parameters for _, parameters in results]


def _alike(found: Mapping[str, Array], expected: Mapping[str, Array], tolerance: float) -> None:
    """Compares what one step has changed: with rate 1 and no momentum these are gradients."""
    assert found.keys() == expected.keys()
    for path, array in expected.items():
        np.testing.assert_allclose(found[path], array, 0, tolerance, err_msg=path)


def _largest_gradient(objective: Objective, sizes: tuple[int, ...], text: str = NET) -> float:
    plain = StepOptions(PLAIN)
    before = compile_graph(_graph(objective, plain, text), WIDE).parameters()
    (after,) = _stepped("wide", objective, plain, 1, sizes, text)[1]
    return max(float(np.abs(after[path] - before[path]).max()) for path in before) / 0.5


# Ranks and samples: even shares are rare, and fewer samples than ranks happen.
CASES = {
    "a mean": [(1, 7), (2, 7), (3, 7), (3, 2), (2, 1)],
    "a weighted mean": [(3, 2)],
    "a mean within a mean": [(3, 7)],
    "sums and means as a user writes them": [(3, 7)],
}


@pytest.mark.parametrize(
    ("loss", "ranks", "size"), [(loss, *case) for loss, cases in CASES.items() for case in cases]
)
def test_gradients_are_those_of_one_rank(loss: str, ranks: int, size: int) -> None:
    objective, shared = LOSSES[loss], StepOptions(PLAIN, parallel=SYNCED)
    losses, (expected,) = _stepped("wide", objective, StepOptions(PLAIN), 1, (size,))
    found, parameters = _stepped("wide", objective, shared, ranks, (size,))
    assert found == pytest.approx(losses, rel=1e-12)
    for own in parameters:
        _alike(own, expected, 1e-12 * max(1.0, _largest_gradient(objective, (size,))))


@pytest.mark.parametrize(
    ("target", "ranks"),
    [
        ("cpu", 1),
        ("cpu", 2),
        ("cpu", 3),
        ("opencl", 2),
        pytest.param("cuda", 2, marks=pytest.mark.slow),
        pytest.param("numba", 2, marks=pytest.mark.slow),
    ],
)
def test_every_backend_that_runs_models_adds_up_over_ranks(target: str, ranks: int) -> None:
    shared = StepOptions(PLAIN, parallel=SYNCED)
    _, (expected,) = _stepped("wide", _squares, StepOptions(PLAIN), 1, (7,), SMALL)
    _, parameters = _stepped(target, _squares, shared, ranks, (7,), SMALL)
    for own in parameters:
        _alike(own, expected, 1e-6 * max(1.0, _largest_gradient(_squares, (7,), SMALL)))


def test_ranks_stay_alike_bit_by_bit() -> None:
    options = StepOptions(OPTIMIZERS["adam"](), parallel=DataParallel())
    _, (first, *others) = _stepped("cpu", _squares, options, 3, (7, 2), SMALL)
    for other in others:
        for path, array in first.items():
            assert array.tobytes() == other[path].tobytes(), path


def test_clipping_averaging_and_accumulation_see_all_ranks() -> None:
    adjust, average = (ClipNorm(0.05),), Ema(0.5)
    adam = OPTIMIZERS["adam"]()
    plain = StepOptions(adam, adjust=adjust, average=average, accumulate=True)
    shared = replace(plain, parallel=SYNCED)
    losses, (expected,) = _stepped("wide", _weighted, plain, 1, (5, 2, 4, 5))
    found, parameters = _stepped("wide", _weighted, shared, 3, (5, 2, 4, 5))
    assert found == pytest.approx(losses, rel=1e-9)
    _alike(parameters[1], expected, 1e-9)


def test_the_size_of_buckets_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DataParallel, "bucket_bytes", 64)
    small = StepOptions(PLAIN, parallel=DataParallel(buckets=2, sync_batchnorm=True))
    _, (expected,) = _stepped("wide", _squares, StepOptions(PLAIN), 1, (7,))
    _, parameters = _stepped("wide", _squares, small, 2, (7,))
    _alike(parameters[0], expected, 1e-12)


# ---- without synchronised statistics ---------------------------------------------------------

STATISTICS = """
model Net() {
    input image: f32[N, 3, 6, 6]
    output y = image -> batchnorm(momentum=0.25) -> global_avgpool() -> flatten() -> dense(4)
}
"""


def test_running_statistics_are_means_over_the_ranks() -> None:
    options = StepOptions(PLAIN, parallel=DataParallel())
    _, (found, _) = _stepped("wide", _squares, options, 2, (5,), STATISTICS)
    image = _batch(5)["image"].astype(np.float64)
    parts = [image[:2], image[2:]]
    means = sum(len(x) * x.mean((0, 2, 3)) for x in parts) / 5
    variances = sum(len(x) * x.var((0, 2, 3), ddof=1) for x in parts) / 5
    np.testing.assert_allclose(found["y.batchnorm.mean"], 0.25 * means, rtol=1e-12)
    np.testing.assert_allclose(found["y.batchnorm.variance"], 0.75 + 0.25 * variances, rtol=1e-12)


# ---- what ranks cannot do --------------------------------------------------------------------


def _refused(objective: Objective, text: str = NET) -> str:
    with pytest.raises(DhcError) as raised:
        _graph(objective, StepOptions(PLAIN, parallel=DataParallel()), text)
    return str(raised.value)


def test_a_loss_that_compares_samples_is_refused() -> None:
    def hardest(out: Nodes, data: Nodes) -> Node:
        return ReduceMax((0,))(ReduceMean((1,))(_squares(out, data)))

    assert "'reduce_max' puts the samples of a batch together" in _refused(hardest)


def test_it_is_found_within_composites_too() -> None:
    def across(out: Nodes, data: Nodes) -> Node:
        return Mul()(Softmax(0)(out["y"]), data["t"])

    assert "puts the samples of a batch together" in _refused(across)


def _flat(node: Node) -> Node:
    return Reshape((math.prod(node.type.shape),))(node)


@pytest.mark.parametrize(
    ("name", "together"),
    [
        ("argsort", lambda y: ArgSort()(_flat(y))),
        ("matmul", lambda y: MatMul()(y, Permute((1, 0))(y))),
        ("concat", lambda y: Concat(0)(y, y)),
        ("slice", lambda y: Slice((y.type.shape[0] - 1, 0), y.type.shape, (-1, 1))(y)),
        ("pad", lambda y: Pad(((1, 0), (0, 0)))(y)),
    ],
)
def test_samples_that_meet_and_stay_apart_are_refused(
    name: str, together: Callable[[Node], Node]
) -> None:
    """Each rank would relate its own samples only, which no sum over ranks sets right."""

    def related(out: Nodes, data: Nodes) -> Node:
        found = Cast(DType.F32)(together(out["y"]))
        return Mul()(ReduceMean()(Mul()(found, found)), ReduceMean()(_squares(out, data)))

    assert f"'{name}' puts the samples of a batch together" in _refused(related)


def test_what_works_within_samples_is_shared() -> None:
    def sorted_within(out: Nodes, data: Nodes) -> Node:
        places = Cast(DType.F32)(ArgSort()(out["y"]))
        return Add()(_squares(out, data), places)

    _graph(sorted_within, StepOptions(PLAIN, parallel=DataParallel()))


def test_a_model_for_one_size_of_batch_is_refused() -> None:
    text = NET.replace("f32[N, 3", "f32[8, 3")
    assert "is for batches of 8" in _refused(_squares, text)


@pytest.mark.parametrize(("target", "text"), [("fpga", "FPGA"), ("cuda", "GPU")])
def test_devices_that_cannot_stop_say_so(target: str, text: str) -> None:
    graph = _graph(_squares, StepOptions(PLAIN, parallel=DataParallel()))
    with pytest.raises(DhcError, match=text):
        compile_graph(graph, target, {"N": 2})
