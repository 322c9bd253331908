"""Schedules, held to PyTorch's rates over a run (stored)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dhc.errors import ArgumentError
from dhc.recipe.schedules import SCHEDULES, Cosine, OneCycle, Progress, Schedule, Step

GOLDEN = json.loads((Path(__file__).parent / "golden" / "schedules.json").read_text())
STEPS, VALUES = GOLDEN["steps"], GOLDEN["values"]


def rates(schedule: Schedule) -> list[float]:
    state: Mapping[str, object] = {}
    found = []
    for epoch, value in enumerate(VALUES):
        for step in range(STEPS):
            progress = Progress(epoch * STEPS + step, STEPS, len(VALUES))
            found.append(schedule.rate(progress, state))
        state = json.loads(json.dumps(schedule.observe(state, value)))
    return found


def make(name: str, arguments: Mapping[str, Any]) -> Schedule:
    fixed = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}
    return SCHEDULES[name](**fixed)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda c: f"{c['name']} {c['arguments']}")
def test_equals_pytorch(case: Mapping[str, Any]) -> None:
    found = rates(make(case["name"], case["arguments"]))
    np.testing.assert_allclose(found, case["rates"], rtol=1e-9, atol=1e-12)


def test_every_schedule_is_held_to_something() -> None:
    assert {case["name"] for case in GOLDEN["cases"]} | {"constant"} == set(SCHEDULES)


def test_warmup_rises_in_equal_parts_to_the_first_rate() -> None:
    schedule = Cosine((0.4, 0.0), warmup=3)
    found = [schedule.rate(Progress(step, 10, 1), {}) for step in range(4)]
    np.testing.assert_allclose(found, [0.1, 0.2, 0.3, 0.4])


def test_the_last_step_of_a_cosine_is_nearly_at_the_second_bound() -> None:
    assert Cosine((1.0, 0.1)).rate(Progress(100, 10, 10), {}) == pytest.approx(0.1)


def test_arguments_out_of_range_are_refused() -> None:
    with pytest.raises(ArgumentError, match="'every' to be at least 1"):
        Step(0.1, every=0)
    with pytest.raises(ArgumentError, match="'rise' between 0 and 1"):
        OneCycle(0.1, rise=1.5)
