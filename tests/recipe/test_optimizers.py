"""Optimizers, held to PyTorch's over 20 steps (stored), and to the papers where it has none."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dhc.ir.graph import Array, Input, Node
from dhc.ir.types import DType, Tensor
from dhc.ops.base import run
from dhc.recipe.optimizers import OPTIMIZERS, Optimizer

GOLDEN = json.loads((Path(__file__).parent / "golden" / "optimizers.json").read_text())
GRADIENTS = np.array(GOLDEN["gradients"])
START = np.linspace(-1, 1, GRADIENTS.shape[1])


def follow(optimizer: Optimizer, start: Array, gradients: Array, rate: float) -> Array:
    """The value after the steps, computed by the graph in float64."""
    type = Tensor(DType.F64, start.shape)
    inputs = {name: Input(name, type)() for name in ("value", "gradient", *optimizer.moments)}
    names = optimizer.numbers(1, rate)
    numbers = {name: Input(f"number {name}", Tensor(DType.F64, ()))() for name in names}
    moments: dict[str, Node] = {name: inputs[name] for name in optimizer.moments}
    updated = optimizer.update(inputs["value"], inputs["gradient"], moments, numbers)
    assert updated.moments.keys() == optimizer.moments.keys()
    values: dict[str, Any] = {
        name: np.full(start.shape, v) for name, v in optimizer.moments.items()
    }
    values["value"] = start
    for step, gradient in enumerate(gradients, 1):
        values["gradient"] = gradient
        values |= {f"number {n}": np.float64(v) for n, v in optimizer.numbers(step, rate).items()}
        results = run([updated.value, *updated.moments.values()], values)
        values |= dict(zip(("value", *updated.moments), results, strict=True))
    return np.asarray(values["value"])


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda c: f"{c['name']} {c['arguments']}")
def test_equals_pytorch(case: Mapping[str, Any]) -> None:
    optimizer = OPTIMIZERS[case["name"]](**case["arguments"])
    value = follow(optimizer, START, GRADIENTS, case["arguments"]["lr"])
    single = case["name"] == "nadam"  # PyTorch keeps its product of momenta in float32
    np.testing.assert_allclose(value, case["value"], rtol=1e-6 if single else 1e-11, atol=1e-12)


def test_every_optimizer_is_held_to_something() -> None:
    assert {case["name"] for case in GOLDEN["cases"]} | {"lion", "lamb"} == set(OPTIMIZERS)


def test_lion_follows_its_paper() -> None:
    rate, b1, b2, decay = 0.01, 0.9, 0.99, 0.1
    value, mean = START.copy(), np.zeros_like(START)
    for gradient in GRADIENTS:
        update = np.sign(b1 * mean + (1 - b1) * gradient)
        mean = b2 * mean + (1 - b2) * gradient
        value = value - rate * (update + decay * value)
    found = follow(OPTIMIZERS["lion"](weight_decay=decay), START, GRADIENTS, rate)
    np.testing.assert_allclose(found, value, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("start", [START, np.zeros_like(START)], ids=["some", "zero"])
def test_lamb_follows_its_paper(start: Array) -> None:
    rate, b1, b2, eps, decay = 0.02, 0.9, 0.999, 1e-6, 0.01
    value, mean, square = start.copy(), np.zeros_like(START), np.zeros_like(START)
    for step, gradient in enumerate(GRADIENTS, 1):
        mean = b1 * mean + (1 - b1) * gradient
        square = b2 * square + (1 - b2) * gradient**2
        pace = (mean / (1 - b1**step)) / (np.sqrt(square / (1 - b2**step)) + eps)
        pace = pace + decay * value
        sizes = np.linalg.norm(value), np.linalg.norm(pace)
        trust = min(sizes[0], 10.0) / sizes[1] if all(sizes) else 1.0
        value = value - rate * trust * pace
    found = follow(OPTIMIZERS["lamb"](), start, GRADIENTS, rate)
    np.testing.assert_allclose(found, value, rtol=1e-11, atol=1e-13)


def test_numbers_of_late_steps_are_finite() -> None:
    for name, optimizer in OPTIMIZERS.items():
        late = optimizer().numbers(10**7, 1e-3)
        assert all(math.isfinite(value) for value in late.values()), name
