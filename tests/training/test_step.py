"""The compiled step: equal on every backend, and true to what frozen, idle and broken mean."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.ir.graph import Array, Graph, Node
from dhc.ops.elementwise import Mul, Sub
from dhc.recipe.clip import ClipNorm, ClipValue
from dhc.recipe.optimizers import OPTIMIZERS
from dhc.runtime.program import Program
from dhc.training.step import LOSS, NUMBERS, Step, StepOptions, build_step

NET = """
model Net(width=16) {
    input image: f32[N, 3, H, W]
    output y = image -> conv(width, kernel=3, pad=1, bias=false) -> batchnorm() -> relu()
        -> maxpool(2) -> conv(2*width, kernel=3, stride=2, pad=1) -> batchnorm() -> relu()
        -> global_avgpool() -> flatten() -> dropout(0.3) -> dense(5)
}
"""
BACKENDS = {
    "cpu": Target("cpu"),
    "opencl": Target("opencl"),
    "cuda": Target("cuda", options={"device": "shim"}),
    "fpga": Target("fpga"),
    "numba": Target("cpu", options={"engine": "numba"}),
}
SIZES = {"H": 16, "W": 16}
RATE = 0.05
MOMENTUM = OPTIMIZERS["sgd"](momentum=0.9)
PLAIN = OPTIMIZERS["sgd"](momentum=0.0)


def _model(text: str = NET) -> Graph:
    return load_text(text).model("Net").graph


def _squares(out: Mapping[str, Node], data: Mapping[str, Node]) -> Node:
    difference = Sub()(out["y"], data["t"])
    return Mul()(difference, difference)


def _step(text: str = NET, **options: object) -> Step:
    model = _model(text)
    truth = model.outputs[0][1].type
    settings = {"optimizer": MOMENTUM, **options}
    return build_step(model, {"t": truth}, _squares, StepOptions(**settings))  # type: ignore[arg-type]


def _batch(samples: int, number: int) -> dict[str, Array]:
    random = np.random.default_rng([samples, number])
    counters = [[7, number, k] for k in range(samples)]
    return {
        "image": random.normal(size=(samples, 3, 16, 16)).astype(np.float32),
        "t": random.normal(size=(samples, 5)).astype(np.float32),
        "random": np.array(counters, np.uint32),
        **_numbers(number),
    }


def _numbers(number: int, rate: float = RATE) -> dict[str, Array]:
    found = MOMENTUM.numbers(number, rate)
    return {NUMBERS + name: np.asarray(value, np.float32) for name, value in found.items()}


def _train(program: Program, sizes: tuple[int, ...]) -> list[float]:
    return [float(program(**_batch(n, k))[LOSS]) for k, n in enumerate(sizes, 1)]


BATCHES = (4, 4, 4, 3, 4)  # the short one is the last of an epoch


@cache
def _expected() -> tuple[list[float], dict[str, Array]]:
    program = compile_graph(_step().graph, Target("reference", precision="f64"), SIZES)
    return _train(program, BATCHES), program.parameters()


@pytest.mark.parametrize(
    "backend",
    [pytest.param(b, marks=[pytest.mark.slow] if b == "numba" else []) for b in BACKENDS],
)
def test_every_backend_trains_alike(backend: str) -> None:
    losses, parameters = _expected()
    program = compile_graph(_step().graph, BACKENDS[backend], SIZES)
    np.testing.assert_allclose(_train(program, BATCHES), losses, rtol=2e-5)
    found = program.parameters()
    assert found.keys() == parameters.keys()
    for path, expected in parameters.items():
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found[path], expected, 0, 2e-5 * scale + 1e-6, err_msg=path)


def test_the_loss_falls() -> None:
    program = compile_graph(_step().graph, Target("cpu"), SIZES)
    batch = _batch(8, 1)
    losses = [float(program(**{**batch, **_numbers(k)})[LOSS]) for k in range(1, 41)]
    assert losses[-1] < 0.2 * losses[0]


def test_frozen_weights_and_their_statistics_stay() -> None:
    paths = [param.path for param in _model().params]
    first = frozenset(path for path in paths if path.startswith(("y.conv.", "y.batchnorm.")))
    assert len(first) == 5
    step = _step(frozen=first)
    program = compile_graph(step.graph, Target("cpu"), SIZES)
    before = program.parameters()
    _train(program, BATCHES)
    after = program.parameters()
    same = {path for path in before if np.array_equal(before[path], after[path])}
    assert same == first
    assert not any(path.endswith(tuple(first)) for path in before if path not in paths)


def test_a_batch_without_a_number_for_its_loss_changes_nothing() -> None:
    program = compile_graph(_step().graph, Target("cpu"), SIZES)
    _train(program, (4, 4))
    before = {path: array.copy() for path, array in program.parameters().items()}
    broken = _batch(4, 3)
    broken["image"][2, 1, 5, 5] = np.nan
    assert np.isnan(program(**broken)[LOSS])
    for path, array in program.parameters().items():
        np.testing.assert_array_equal(array, before[path], err_msg=path)
    assert np.isfinite(_train(program, (4,))[0])


def test_what_the_loss_does_not_reach_is_named() -> None:
    text = """
    model Net() {
        input image: f32[N, 3, 4, 4]
        output y = image -> flatten() -> dense(5)
        output other = image -> flatten() -> dense(2)
    }
    """
    step = _step(text)
    assert set(step.idle) == {"other.dense.weight", "other.dense.bias"}
    assert set(step.trained) == {"y.dense.weight", "y.dense.bias"}


def test_a_loss_that_nothing_can_change_is_an_error() -> None:
    text = """
    model Net() {
        input image: f32[N, 5]
        output y = image -> relu()
    }
    """
    with pytest.raises(DhcError, match="depends on no parameter"):
        _step(text)


LINEAR = """
model Net() {
    input image: f32[N, 3]
    output y = image -> dense(5)
}
"""


def _ones(samples: int) -> dict[str, Array]:
    image, truth = np.ones((samples, 3), np.float32), np.ones((samples, 5), np.float32)
    return {"image": image, "t": truth, **_numbers(1)}


@pytest.mark.parametrize("samples", [2, 4])
def test_the_mean_of_the_loss_does_not_depend_on_the_size_of_a_batch(samples: int) -> None:
    """The same sample several times gives the same step as once."""
    program = compile_graph(_step(LINEAR).graph, Target("reference", precision="f64"))
    batch = _ones(samples)
    loss = float(program(**batch)[LOSS])
    once = compile_graph(_step(LINEAR).graph, Target("reference", precision="f64"))
    assert loss == pytest.approx(float(once(**_ones(1))[LOSS]), rel=1e-12)
    for path, array in once.parameters().items():
        np.testing.assert_allclose(program.parameters()[path], array, rtol=1e-12, err_msg=path)


def _gradient(adjust: object) -> dict[str, Array]:
    """The gradients of the linear model: sgd with rate 1 subtracts them."""
    options = {"optimizer": PLAIN, "adjust": (adjust,) if adjust else ()}
    program = compile_graph(_step(LINEAR, **options).graph, Target("reference", precision="f64"))
    before = program.parameters()
    random = np.random.default_rng(1)
    image, truth = (random.normal(0, 9, (4, n)).astype(np.float32) for n in (3, 5))
    program(image=image, t=truth, **_numbers(1, rate=1.0))
    return {path: before[path] - array for path, array in program.parameters().items()}


def test_clipping_by_norm_keeps_the_direction() -> None:
    plain, clipped = _gradient(None), _gradient(ClipNorm(0.5))
    norm = np.sqrt(sum(np.sum(g**2) for g in plain.values()))
    assert norm > 5
    for path, gradient in plain.items():
        np.testing.assert_allclose(clipped[path], gradient * 0.5 / norm, rtol=1e-5)


def test_clipping_by_value() -> None:
    plain, clipped = _gradient(None), _gradient(ClipValue(0.25))
    assert max(np.abs(g).max() for g in plain.values()) > 0.25
    for path, gradient in plain.items():
        np.testing.assert_allclose(clipped[path], np.clip(gradient, -0.25, 0.25), atol=1e-12)


def test_running_statistics_follow_the_batches() -> None:
    text = """
    model Net() {
        input image: f32[N, 3, 4, 4]
        output y = image -> batchnorm(momentum=0.25) -> global_avgpool() -> flatten() -> dense(5)
    }
    """
    program = compile_graph(_step(text).graph, Target("reference", precision="f64"))
    image = np.random.default_rng(2).normal(3, 2, (6, 3, 4, 4)).astype(np.float32)
    program(image=image, t=np.zeros((6, 5), np.float32), **_numbers(1))
    found = program.parameters()
    np.testing.assert_allclose(found["y.batchnorm.mean"], 0.25 * image.mean((0, 2, 3)), rtol=1e-6)
    variance = 0.75 + 0.25 * image.var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(found["y.batchnorm.variance"], variance, rtol=1e-6)


def test_dropout_draws_by_sample_and_step_not_by_place() -> None:
    """The zeros of a sample are the same wherever it stands in a batch."""
    text = """
    model Net() {
        input image: f32[N, 64]
        output y = image -> dropout(0.5)  -> dense(5)
    }
    """
    step = _step(text)

    def loss(order: list[int], number: int) -> float:
        program = compile_graph(step.graph, Target("cpu"))
        counters = np.array([[1, number, k] for k in order], np.uint32)
        image = np.arange(4 * 64, dtype=np.float32).reshape(4, 64)[order]
        truth = np.zeros((4, 5), np.float32)
        return float(program(image=image, t=truth, random=counters, **_numbers(1))[LOSS])

    assert loss([0, 1, 2, 3], 1) == pytest.approx(loss([2, 0, 3, 1], 1), rel=1e-6)
    assert loss([0, 1, 2, 3], 1) != pytest.approx(loss([0, 1, 2, 3], 2), rel=1e-3)
