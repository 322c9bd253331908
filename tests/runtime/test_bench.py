"""Measurements: errors are against float64, and times are times."""

from __future__ import annotations

import numpy as np

import dhc
from dhc.api import Source
from dhc.frontend import load_text
from dhc.runtime.bench import max_error, random_inputs, time_program

TEXT = """dhm 1
model Mix() {
    input x: f32[N, 1, H, W]
    output y = (x * 3 + 0.1) / 7 - x -> conv(2, kernel=3, pad=same)
}
"""
SIZES = {"N": 1, "H": 8, "W": 9}


def test_numbers_in_a_program_are_wide_too() -> None:
    model = Source(load_text(TEXT)).model("Mix")
    program = dhc.compile(model, "cpu", SIZES)
    inputs = random_inputs(program.graph)
    assert 0 < max_error(program, inputs) < 1e-6
    exact = dhc.compile(model, "reference", SIZES, precision="f64")
    assert max_error(exact, inputs) == 0


def test_inputs_are_the_same_every_time() -> None:
    model = Source(load_text(TEXT)).model("Mix")
    program = dhc.compile(model, "reference", SIZES)
    first, second = (random_inputs(program.graph)["x"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    timing = time_program(program, {"x": first}, 3)
    assert 0 < timing.min_ms <= timing.median_ms
    assert timing.rounds == 3
