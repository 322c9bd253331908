"""The state of a run survives as JSON; what is no state is refused."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest

from dhc.errors import DhcError
from dhc.runtime.trainer import State, state_from


@pytest.mark.parametrize("best", [None, 0.5, -math.inf])
def test_every_state_survives_as_json(best: float | None) -> None:
    state = State(3, 1, 2, 0.1 + 0.2, 8, 2.5, best, 0, 1, {"factor": 1 / 3})
    assert state_from(json.loads(json.dumps({"run": asdict(state)}))) == state


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step", -1),
        ("step", "7"),
        ("step", True),
        ("epoch", 1.5),
        ("position", None),
        ("total", "x"),
        ("total", 3),
        ("largest", None),
        ("best", []),
        ("schedule", None),
    ],
)
def test_a_value_of_another_kind_is_named(name: str, value: object) -> None:
    with pytest.raises(DhcError, match=f"no state of a run: '{name}'"):
        state_from({"run": {**asdict(State()), name: value}})


@pytest.mark.parametrize(
    "content",
    [{}, {"run": None}, {"run": {}}, {"run": {"step": 1}}, {"run": {**asdict(State()), "x": 1}}],
)
def test_content_without_a_state(content: dict[str, object]) -> None:
    with pytest.raises(DhcError, match="holds no state of a run"):
        state_from(content)
