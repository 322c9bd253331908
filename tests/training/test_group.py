"""Several batches for one update equal one large batch; averages of weights follow updates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.frontend import load_text
from dhc.ir.graph import Array, Node
from dhc.ir.types import DType, Tensor
from dhc.ops.loss import CrossEntropy
from dhc.recipe.average import Ema
from dhc.recipe.clip import ClipNorm
from dhc.recipe.optimizers import OPTIMIZERS
from dhc.runtime.program import Program
from dhc.training.group import Part
from dhc.training.step import LOSS, NUMBERS, WEIGHT, StepOptions, build_step

NET = """
model Net() {
    input image: f32[N, 1, 6, 6]
    output y = image -> conv(4, kernel=3) -> tanh() -> dropout(0.2) -> flatten() -> dense(3)
}
"""
SAMPLES = 11
RATE = 0.3
WIDE = Target("reference", precision="f64")
LOSSES = {
    "mean": CrossEntropy(),
    "weighted mean": CrossEntropy(weights=(1.0, 4.0, 0.5), ignore_index=2),
}


def _program(options: StepOptions, loss: CrossEntropy, target: Target = WIDE) -> Program:
    def objective(out: Mapping[str, Node], data: Mapping[str, Node]) -> Node:
        return loss(out["y"], data["label"])

    model = load_text(NET).model("Net").graph
    batch = model.inputs[0].type.shape[0]
    step = build_step(model, {"label": Tensor(DType.I64, (batch,))}, objective, options)
    return compile_graph(step.graph, target)


def _data(number: int) -> dict[str, Array]:
    random = np.random.default_rng(number)
    return {
        "image": random.normal(size=(SAMPLES, 1, 6, 6)).astype(np.float32),
        "label": random.integers(0, 3, SAMPLES),
        "random": np.array([[1, number, k] for k in range(SAMPLES)], np.uint32),
    }


def _train(program: Program, options: StepOptions, size: int, updates: int = 3) -> list[float]:
    """The mean loss of each update from batches of at most a size."""
    losses = []
    for number in range(1, updates + 1):
        data = _data(number)
        total, weights = 0.0, 0.0
        for first in range(0, SAMPLES, size):
            own = {name: array[first : first + size] for name, array in data.items()}
            part = Part(len(own["label"]), first == 0, first + size >= SAMPLES)
            found = options.numbers(number, RATE, part)
            numbers = {NUMBERS + n: np.asarray(v, np.float32) for n, v in found.items()}
            results = program(**own, **numbers)
            weight = float(results.get(WEIGHT, 1.0))
            total, weights = total + float(results[LOSS]) * weight, weights + weight
        losses.append(total / weights)
    return losses


def _options(accumulate: bool, average: Ema | None = None) -> StepOptions:
    optimizer = OPTIMIZERS["sgd"](momentum=0.9)
    return StepOptions(optimizer, adjust=(ClipNorm(0.7),), average=average, accumulate=accumulate)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("size", [4, 6])
def test_a_group_equals_one_large_batch(loss: str, size: int) -> None:
    """Eleven samples in batches of 4, the last of 3; and of 6, the last of 5."""
    once, often = _options(accumulate=False), _options(accumulate=True)
    whole, parts = _program(once, LOSSES[loss]), _program(often, LOSSES[loss])
    expected = _train(whole, once, SAMPLES)
    assert _train(parts, often, size) == pytest.approx(expected, rel=1e-12)
    found = parts.parameters()
    for path, array in whole.parameters().items():
        np.testing.assert_allclose(found[path], array, rtol=1e-11, atol=1e-13, err_msg=path)


def test_nothing_but_the_sum_changes_before_the_end_of_a_group() -> None:
    options = _options(accumulate=True, average=Ema(0.5))
    program = _program(options, LOSSES["mean"], Target("cpu"))
    before = program.parameters()
    found = options.numbers(1, RATE, Part(SAMPLES, first=True, last=False))
    numbers = {NUMBERS + name: np.asarray(v, np.float32) for name, v in found.items()}
    program(**_data(1), **numbers)
    after = program.parameters()
    changed = {path for path in before if not np.array_equal(before[path], after[path])}
    assert changed
    assert all(path.startswith("group/") for path in changed)


def test_a_broken_batch_of_a_group_changes_nothing() -> None:
    options = _options(accumulate=True)
    program = _program(options, LOSSES["mean"], Target("cpu"))
    _train(program, options, 4, updates=1)
    before = program.parameters()
    broken = _data(2)
    broken["image"][3] = np.nan
    found = options.numbers(2, RATE, Part(SAMPLES, first=True, last=False))
    numbers = {NUMBERS + name: np.asarray(v, np.float32) for name, v in found.items()}
    assert np.isnan(program(**broken, **numbers)[LOSS])
    for path, array in program.parameters().items():
        np.testing.assert_array_equal(array, before[path], err_msg=path)


# ---- moving averages -------------------------------------------------------------------------


def test_the_average_forgets_early_weights_sooner() -> None:
    ema = Ema(0.99)
    assert ema.share(1) == pytest.approx(1 - 2 / 11)
    assert ema.share(10**6) == pytest.approx(0.01)
    assert Ema(0.99, warmup=False).share(1) == pytest.approx(0.01)


def test_averages_follow_each_update() -> None:
    options = _options(accumulate=True, average=Ema(0.6))
    program = _program(options, LOSSES["mean"])
    start = {p: a for p, a in program.parameters().items() if "/" not in p}
    averages = {f"average/{path}": array for path, array in start.items()}
    program.load_parameters(program.parameters() | averages)
    expected, weights = dict(start), []
    for number in (1, 2, 3):
        other = _program(options, LOSSES["mean"])
        _train(other, options, 4, updates=number)
        weights.append({path: other.parameters()[path] for path in start})
    for number, own in enumerate(weights, 1):
        share = options.average.share(number) if options.average else 0.0
        expected = {path: (1 - share) * a + share * own[path] for path, a in expected.items()}
    _train(program, options, 4, updates=3)
    found = program.parameters()
    for path, array in expected.items():
        np.testing.assert_allclose(found[f"average/{path}"], array, 0, 1e-7, err_msg=path)
