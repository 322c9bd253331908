"""Fifty steps of a small network, held to PyTorch's (stored by `bench/step_trace.py`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from bench.step_trace import RATE, STEPS, batch, weights
from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.frontend import load_text
from dhc.ir.graph import Array, Node
from dhc.ir.types import DType, Tensor
from dhc.ops.loss import CrossEntropy
from dhc.recipe.optimizers import OPTIMIZERS
from dhc.training.step import LOSS, NUMBERS, StepOptions, build_step

GOLDEN = json.loads((Path(__file__).parent / "golden" / "steps.json").read_text())
NET = """
model Net() {
    input image: f32[N, 1, 16, 16]
    a = image -> conv(8, kernel=3, pad=1, bias=false) -> batchnorm() -> relu()
    b = a -> conv(12, kernel=3, stride=2, pad=1, bias=false) -> batchnorm() -> relu()
    output y = b -> avgpool(4) -> flatten() -> dense(4)
}
"""
WIDE, ONE, TWO = GOLDEN["f64"], GOLDEN["f32, one thread"], GOLDEN["f32, two threads"]
Trace = tuple[Array, Mapping[str, Array]]


def _spread(first: Mapping[str, object], second: Mapping[str, object], path: str = "") -> float:
    """The largest difference of the losses, or of a parameter, between two of PyTorch's runs."""
    one, two = (r["parameters"][path] if path else r["losses"] for r in (first, second))  # type: ignore[index]
    return float(np.abs(np.subtract(one, two)).max())


@cache
def _train(target: str, precision: str) -> Trace:
    def objective(out: Mapping[str, Node], data: Mapping[str, Node]) -> Node:
        return CrossEntropy()(out["y"], data["label"])

    options = StepOptions(OPTIMIZERS["adam"](lr=RATE))
    model = load_text(NET).model("Net").graph
    label = Tensor(DType.I64, (model.inputs[0].type.shape[0],))
    step = build_step(model, {"label": label}, objective, options)
    program = compile_graph(step.graph, Target(target, precision=precision, threads=2))
    start = {path: array.astype(np.float32) for path, array in weights().items()}
    program.load_parameters(program.parameters() | start)
    losses = []
    for number in range(1, STEPS + 1):
        images, labels = batch(number)
        found = options.numbers(number, RATE)
        numbers = {NUMBERS + name: np.asarray(v, np.float32) for name, v in found.items()}
        results = program(image=images.astype(np.float32), label=labels, **numbers)
        losses.append(float(results[LOSS]))
    return np.array(losses), program.parameters()


def test_in_float64_it_equals_pytorch() -> None:
    losses, parameters = _train("reference", "f64")
    np.testing.assert_allclose(losses, WIDE["losses"], 0, 1e-6)
    for path, array in WIDE["parameters"].items():
        np.testing.assert_allclose(parameters[path].ravel(), array, 0, 1e-6, err_msg=path)


def test_in_float32_it_is_as_near_as_pytorch_to_itself() -> None:
    losses, parameters = _train("cpu", "f32")
    most = 10 * _spread(ONE, TWO)
    assert 0 < most < 1e-5
    np.testing.assert_allclose(losses, ONE["losses"], 0, most)
    spread = max(_spread(ONE, TWO, path) for path in WIDE["parameters"])
    for path, array in ONE["parameters"].items():
        np.testing.assert_allclose(parameters[path].ravel(), array, 0, 10 * spread, err_msg=path)


@pytest.mark.parametrize("precision", ["f64", "f32"])
def test_it_learns(precision: str) -> None:
    losses, _ = _train("reference" if precision == "f64" else "cpu", precision)
    assert losses[-5:].mean() < 0.3 * losses[:5].mean()
