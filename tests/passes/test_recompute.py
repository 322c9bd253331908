"""Recomputation: the same training in less memory, bit for bit, on every backend."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest

from dhc.backends.base import StagedBackend, Target
from dhc.driver import COMMON_PASSES, compile_graph
from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.ir.graph import Array, Graph, Node, topological
from dhc.ops.after import After
from dhc.ops.elementwise import Mul, Sub
from dhc.passes.bind_sizes import bind_sizes
from dhc.passes.legalise import Legalise
from dhc.passes.manager import run_passes
from dhc.passes.recompute import Recompute, recomputable, recomputed
from dhc.recipe.optimizers import OPTIMIZERS
from dhc.targets import make_backend
from dhc.training.step import LOSS, NUMBERS, StepOptions, build_step

NET = """
block unit(c) { conv(c, kernel=3, pad=1, bias=false) -> batchnorm() -> relu() }
model Net() {
    input image: f32[N, 3, 16, 16]
    a = image -> unit(8) -> unit(8) -> dropout(0.3)
    b = a -> unit(8)
    output y = a + b -> unit(8) -> global_avgpool() -> flatten() -> dense(5)
}
"""
BACKENDS = {
    "cpu": Target("cpu"),
    "opencl": Target("opencl"),
    "cuda": Target("cuda", options={"device": "shim"}),
}
SGD = OPTIMIZERS["sgd"](momentum=0.9)
SIZES = {"N": 4}


@cache
def _step() -> Graph:
    def squares(out: Mapping[str, Node], data: Mapping[str, Node]) -> Node:
        difference = Sub()(out["y"], data["t"])
        return Mul()(difference, difference)

    model = load_text(NET).model("Net").graph
    return build_step(model, {"t": model.outputs[0][1].type}, squares, StepOptions(SGD)).graph


@cache
def _legal() -> Graph:
    return run_passes(bind_sizes(_step(), dict(SIZES)), (*COMMON_PASSES, Legalise()))


def _measure(graph: Graph, backend: str = "cpu") -> int:
    made = make_backend(BACKENDS[backend])
    assert isinstance(made, StagedBackend)
    return made.measure(graph)


def _train(target: Target) -> tuple[list[float], dict[str, Array]]:
    program = compile_graph(_step(), target, SIZES)
    losses = []
    for number in range(1, 4):
        random = np.random.default_rng(number)
        numbers = {NUMBERS + n: np.float32(v) for n, v in SGD.numbers(number, 0.1).items()}
        results = program(
            image=random.normal(size=(4, 3, 16, 16)).astype(np.float32),
            t=random.normal(size=(4, 5)).astype(np.float32),
            random=np.array([[1, number, k] for k in range(4)], np.uint32),
            **numbers,
        )
        losses.append(float(results[LOSS]))
    return losses, program.parameters()


@pytest.mark.parametrize(
    "backend",
    [b if b == "cpu" else pytest.param(b, marks=pytest.mark.slow) for b in BACKENDS],
)
def test_it_trains_the_same_in_less_memory(backend: str) -> None:
    """Also dropout: its zeros are drawn a second time from the same counters."""
    target = BACKENDS[backend]
    whole = _measure(_legal(), backend)
    budget = int(0.85 * whole)
    made = make_backend(target)
    assert isinstance(made, StagedBackend)
    fitted = Recompute(budget, made.measure)(_legal())
    assert _measure(fitted, backend) <= budget
    small = Target(target.backend, options=target.options, memory=budget)
    (losses, parameters), (expected, plain) = _train(small), _train(target)
    assert losses == expected
    for path, array in plain.items():
        np.testing.assert_array_equal(parameters[path], array, err_msg=path)


def test_nothing_is_recomputed_where_there_is_room() -> None:
    assert Recompute(_measure(_legal()), _measure)(_legal()) is _legal()


def test_only_cheap_values_are_recomputed() -> None:
    graph = recomputed(_legal(), frozenset(recomputable(_legal())))
    again = {node for node in topological(graph.roots) if isinstance(node.op, After)}
    assert again
    counts = [
        sum(node.op.name == "conv" for node in topological(g.roots)) for g in (_legal(), graph)
    ]
    assert counts[0] == counts[1]


def test_what_cannot_fit_is_an_error() -> None:
    with pytest.raises(DhcError, match="even when it computes cheap ones again; 1000 are"):
        Recompute(1000, _measure)(_legal())


def test_the_reference_places_nothing() -> None:
    with pytest.raises(DhcError, match="so it limits none"):
        compile_graph(_step(), Target("reference", memory=10**9), SIZES)
