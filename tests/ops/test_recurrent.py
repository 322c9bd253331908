"""Recurrent layers: lengths, directions, states and cells; and that every backend agrees."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.ir.graph import Array, Graph
from dhc.ops.elementwise import Mul, Sub
from dhc.recipe.optimizers import OPTIMIZERS
from dhc.runtime.parameters import initial_values
from dhc.training.step import LOSS, NUMBERS, StepOptions, build_step

KINDS = ("rnn", "lstm", "gru")
F64 = Target("reference", precision="f64")


def model(body: str) -> Graph:
    text = f"model M() {{ input x: f32[N, T, 3] input lengths: i64[N] {body} }}"
    return load_text(text).model("M").graph


def draw(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("options", ["", ", bidirectional=true", ", reverse=true"])
@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing_of_what_is_real(kind: str, options: str) -> None:
    graph = model(
        f"output y = x -> {kind}(4, lengths=lengths{options})"
        f" output last = x -> {kind}(4, lengths=lengths, give=last{options})"
    )
    x = draw(2, 5, 3)
    x[1, 2:] = 1e6
    program = compile_graph(graph, F64)
    padded = program(x=x, lengths=np.array([5, 2]))
    short = program(x=x[1:, :2], lengths=np.array([2]))
    np.testing.assert_allclose(padded["y"][1, :2], short["y"][0], rtol=1e-12)
    np.testing.assert_array_equal(padded["y"][1, 2:], 0)
    np.testing.assert_allclose(padded["last"][1], short["last"][0], rtol=1e-12)


def test_the_other_direction_is_the_sequence_turned_round() -> None:
    graph = model("output y = x -> gru(4, reverse=true)")
    forward = model("output y = x -> gru(4)")
    x, weights = draw(2, 5, 3), initial_values(graph.params)
    turned = compile_graph(graph, F64, parameters=weights)(x=x, lengths=np.array([5, 5]))
    plain = compile_graph(forward, F64, parameters=weights)(x=x[:, ::-1], lengths=np.array([5, 5]))
    np.testing.assert_allclose(turned["y"], plain["y"][:, ::-1], rtol=1e-12)


@pytest.mark.parametrize(("kind", "states"), [("rnn", ["h"]), ("lstm", ["h", "c"]), ("gru", ["h"])])
def test_a_cell_in_a_scan_is_the_layer(kind: str, states: list[str]) -> None:
    starts = ", ".join(f"{s} = zeros(4)" for s in states)
    new = ", ".join(f"{s}2" for s in states)
    carries = " ".join(f"carry {s} = {s}2" for s in states)
    looped = model(
        f"y = scan step in x with {starts} {{ {new} = {kind}_cell(step, {', '.join(states)})"
        f" {carries} yield h2 }} output y"
    )
    layer = model(f"output y = x -> {kind}(4)")
    weights = initial_values(layer.params)
    named = {path.replace(f"y.{kind}", f"y.h2.{kind}_cell"): w for path, w in weights.items()}
    given = {"x": draw(2, 4, 3), "lengths": np.array([4, 4])}
    one = compile_graph(looped, F64, parameters=named)(**given)["y"]
    other = compile_graph(layer, F64, parameters=weights)(**given)["y"]
    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_layer_goes_on_from_the_state_of_another() -> None:
    """A sequence in two pieces gives what it gives in one."""
    whole = model("output y = x -> lstm(4)")
    first = model("h, c = x -> lstm(4, give=state) output h output c")
    text = """model M() {
        input x: f32[N, T, 3]
        input h: f32[N, 4]
        input c: f32[N, 4]
        output y = x -> lstm(4, h=h, c=c)
    }"""
    second = load_text(text).model("M").graph
    weights, x, all_steps = initial_values(whole.params), draw(2, 6, 3), np.array([6, 6])
    named = {path.replace("y.", "h."): value for path, value in weights.items()}
    states = compile_graph(first, F64, parameters=named)(x=x[:, :2], lengths=all_steps)
    narrow = {name: value.astype(np.float32) for name, value in states.items()}
    rest = compile_graph(second, F64, parameters=weights)(x=x[:, 2:], **narrow)["y"]
    expected = compile_graph(whole, F64, parameters=weights)(x=x, lengths=all_steps)["y"]
    np.testing.assert_allclose(rest, expected[:, 2:], atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("lstm(4, bidirectional=true, reverse=true)", "goes both ways already"),
        ("gru(0)", "needs units"),
        ("rnn(4, lengths=x)", "needs a length for each sample"),
        ("flatten() -> lstm(4)", "takes sequences"),
        ("lstm(4, h=x)", "needs the start"),
        ("lstm(4, give=some)", "its words are 'sequence'"),
    ],
)
def test_mistakes(call: str, message: str) -> None:
    with pytest.raises(DhcError, match=message):
        load_text(f"model M() {{ input x: f32[N, 2, 3] output y = x -> {call} }}").model("M")


# ---- backends --------------------------------------------------------------------------------

BACKENDS = {
    "cpu": Target("cpu"),
    "numba": Target("cpu", options={"engine": "numba"}),
    "opencl": Target("opencl"),
    "cuda": Target("cuda", options={"device": "shim"}),
    "fpga": Target("fpga"),
}
NET = """
model M() {
    input x: f32[N, T, 3]
    input lengths: i64[N]
    both = x -> lstm(2, lengths=lengths, bidirectional=true) -> gru(2)
    output y = both -> rnn(2, lengths=lengths, give=last)
}
"""


@pytest.mark.parametrize(
    "backend",
    [name if name == "cpu" else pytest.param(name, marks=pytest.mark.slow) for name in BACKENDS],
)
def test_every_backend_trains_alike(backend: str) -> None:
    graph = load_text(NET).model("M").graph
    optimizer = OPTIMIZERS["sgd"](momentum=0.9)
    step = build_step(
        graph,
        {"t": graph.outputs[0][1].type},
        lambda out, data: Mul()(Sub()(out["y"], data["t"]), Sub()(out["y"], data["t"])),
        StepOptions(optimizer=optimizer),
    )
    batch = {"x": draw(3, 2, 3), "t": draw(3, 2, seed=1), "lengths": np.array([2, 1, 2])}
    numbers = {
        NUMBERS + name: np.asarray(value, np.float32)
        for name, value in optimizer.numbers(1, 0.1).items()
    }
    found, expected = (
        [float(program(**batch, **numbers)[LOSS]) for _ in range(4)]
        for program in (
            compile_graph(step.graph, BACKENDS[backend]),
            compile_graph(step.graph, F64),
        )
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found[-1] < found[0]
