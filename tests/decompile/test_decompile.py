"""Programs from graphs: they give the same graph again, and read as a person would write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dhc
from dhc.decompile import decompile
from dhc.frontend import format_text, load_text
from dhc.ir.graph import Constant, Graph, Input, Param, literal
from dhc.ir.types import DType, Tensor
from dhc.ops.base import operators

MODELS = Path(dhc.__file__).parent / "models"


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.dhm")), ids=lambda path: path.stem)
def test_every_model_is_written_and_read_again(path: Path) -> None:
    """`decompile` itself builds what it wrote, and compares the graphs."""
    source = dhc.load(path)
    graph = source.model(source.models[0]).graph
    made = decompile(graph)
    assert format_text(made.text) == made.text
    assert len(made.text.splitlines()) < len(graph.params) + 60
    leaves = {node.op.path for node in made.leaves.values() if isinstance(node.op, Param)}
    assert leaves == {param.path for param in graph.params}


def _residual(levels: int) -> Graph:
    text = """
    block unit(c, stride=1) {
        input x: f32[N, ?, H, W]
        y = x -> conv(c, stride=stride, pad=1, name="conv1") -> relu()
            -> conv(c, pad=1, name="conv2")
        short = x -> conv(c, kernel=1, stride=stride, name="short")
        output (y + short) -> relu()
    }
    model Residual() {
        input image: f32[N, 3, 32, 32]
        x = image -> conv(8, pad=1, name="stem")
        LEVELS
        output map = x
    }
    """
    calls = [f'x = x -> unit({8 << k}, stride=2, name="layer{k}")' for k in range(levels)]
    return load_text(text.replace("LEVELS", "\n".join(calls))).model("Residual").graph


def test_what_repeats_is_a_block_whose_numbers_are_parameters() -> None:
    assert decompile(_residual(3)).text == (
        "dhm 1\n"
        "\n"
        "block layer_block(filters) {\n"
        "    input x: f32\n"
        '    short = x -> conv(filters, kernel=1, stride=2, name="short")\n'
        '    output x -> conv(filters, stride=2, pad=1, name="conv1") -> relu()\n'
        '        -> conv(filters, pad=1, name="conv2") -> add(short) -> relu()\n'
        "}\n"
        "\n"
        "model Residual() {\n"
        "    input image: f32[N, 3, 32, 32]\n"
        '    stem = image -> conv(8, pad=1, name="stem")\n'
        '    layer0 = stem -> layer_block(8, name="layer0")\n'
        '    layer1 = layer0 -> layer_block(16, name="layer1")\n'
        '    output map = layer1 -> layer_block(32, name="layer2")\n'
        "}\n"
    )


def test_a_single_use_makes_no_block() -> None:
    assert "block" not in decompile(_residual(1)).text


def test_tensors_that_no_layer_makes_are_parameters() -> None:
    """Constants are kept like weights; numbers are not."""
    x = Input("x", Tensor(DType.F32, (2, 3)))()
    table = np.arange(3, dtype=np.float32)
    constant = Constant("a" * 64, Tensor(DType.F32, (3,)))()
    scaled = operators["mul"]()(x, constant)
    chosen = operators["where"]()(operators["less"]()(x, literal(0.5, DType.F32)), scaled, x)
    graph = Graph("Kept", (x,), (("y", chosen),), constants={"a" * 64: table})
    made = decompile(graph)
    assert 'parameter([3], name="constant.aaaaaaaa")' in made.text
    assert "x -> less(0.5)" in made.text or "x < 0.5" in made.text
    assert made.leaves == {"constant.aaaaaaaa": constant}


def test_weights_that_are_computed_flow_into_the_layer() -> None:
    """A layer's name with its weights as further tensors is the operator alone."""
    x = Input("x", Tensor(DType.F32, (1, 2, 5, 5)))()
    weight = Input("w", Tensor(DType.F32, (4, 2, 3, 3)))()
    conv = operators["conv"]((1, 1), ((1, 0), (0, 1)), (1, 1))(x, weight)  # type: ignore[call-arg]
    text = decompile(Graph("Given", (x, weight), (("y", conv),))).text
    assert (
        "output y = (x, w) -> conv(stride=[1, 1], pads=[[1, 0], [0, 1]], dilation=[1, 1])" in text
    )


def test_constants_are_the_weights_of_layers_too() -> None:
    """Exporters keep weights in nodes, where they have no names; which layer it is stays clear."""
    x = Input("x", Tensor(DType.F32, (1, 2, 5, 5)))()
    digests = ("abcdefab" * 8, "b" * 64)
    weight = Constant(digests[0], Tensor(DType.F32, (4, 2, 3, 3)))()
    bias = Constant(digests[1], Tensor(DType.F32, (4,)))()
    layer = operators["conv"]((2, 2), ((1, 1), (1, 1)), (1, 1))  # type: ignore[call-arg]
    constants = dict(zip(digests, (np.ones((4, 2, 3, 3)), np.ones(4)), strict=True))
    made = decompile(Graph("Kept", (x,), (("y", layer(x, weight, bias)),), constants=constants))
    assert "output y = x -> conv(4, stride=2, pad=1)\n" in made.text
    assert set(made.leaves.values()) == {weight, bias}


def test_names_never_meet_words_of_the_language() -> None:
    x = Input("input", Tensor(DType.F32, (2, 3)))()
    y = operators["relu"]()(x)
    graph = Graph("Model", (x,), (("output", operators["add"]()(y, x)), ("y", y)))
    text = decompile(graph).text
    assert "y = input -> relu()" in text
    assert text.endswith("    output output = y + input\n    output y\n}\n")


def test_an_input_that_hides_an_operator_gets_another_name() -> None:
    x = Input("relu", Tensor(DType.F32, (2, 3)))()
    made = decompile(Graph("Model", (x,), (("y", operators["relu"]()(x)),)))
    assert made.inputs == ("relu_in",)
    assert "output y = relu_in -> relu()" in made.text


def test_words_of_the_language_are_no_names() -> None:
    x = Input("not", Tensor(DType.F32, (2, 3)))()
    made = decompile(Graph("for", (x,), (("and", operators["relu"]()(x)),)))
    assert (made.name, made.inputs) == ("for_model", ("not_in",))
    assert "output and_out = not_in -> relu()" in made.text


def test_outputs_keep_their_order() -> None:
    x = Input("x", Tensor(DType.F32, (2, 3)))()
    first, second = operators["relu"]()(x), operators["sigmoid"]()(x)
    graph = Graph("Model", (x,), (("a", operators["add"]()(first, second)), ("b", second)))
    built = load_text(decompile(graph).text).model("Model").graph
    assert [name for name, _ in built.outputs] == ["a", "b"]


@pytest.mark.parametrize("number", [-0.5, -0.0, 0.0, float("inf"), float("nan"), 1e-7, 3e9])
def test_every_number_comes_back_as_it_was(number: float) -> None:
    """`decompile` compares; numbers are no weights, also those that no digits can write."""
    x = Input("x", Tensor(DType.F32, (2, 3)))()
    graph = Graph("Scaled", (x,), (("y", operators["mul"]()(x, literal(number, DType.F32))),))
    assert not decompile(graph).leaves


def _loop(text: str) -> str:
    program = f"model M() {{ input x: f32[N, 5, 4] {text} }}"
    return decompile(load_text(program).model("M").graph).text


def test_loops_are_scans_with_their_weights_inside() -> None:
    text = _loop(
        "ys, h = scan(axis=0, reverse=true, last=true) s in x with h = zeros(5, 3) {"
        ' h2 = (s -> dense(3, name="in")) + (h -> dense(3, bias=false, name="back"))'
        " carry h = h2 yield h2 -> tanh() } output ys output h"
    )
    assert "scan(axis=0, reverse=true, last=true) step in x with" in text
    assert 'dense(3, name="ys.in")' in text
    assert 'dense(3, bias=false, name="ys.back")' in text
    assert "        carry kept = " in text
    assert "        yield tanh_out" in text


def test_weights_that_a_step_reads_twice_stand_before_the_loop() -> None:
    text = _loop(
        'w = parameter([4], name="w")'
        " ys = scan(axis=0) s in x with h = zeros(5, 4) { carry h = h * w yield (h + s) * w }"
        " output ys"
    )
    assert text.count('parameter([4], name="w")') == 1
    assert text.index("parameter") < text.index("scan")


def test_loops_stand_within_loops() -> None:
    text = _loop(
        "ys = scan(axis=0) s in x with a = zeros(4) {"
        " zs, b = scan(axis=0, last=true) t in s with b = a { carry b = b + t yield b * 2 }"
        " carry a = b yield zs } output ys"
    )
    assert text.count("scan(axis=0") == 2


def test_several_results_of_a_step_have_names() -> None:
    text = _loop(
        "a, b = scan s, t in (x, x) with h = zeros(4) {"
        " carry h = s yield u = s + h yield v = t * h } output a output b"
    )
    assert "yield made1 =" in text
    assert "yield made2 =" in text


@pytest.mark.parametrize(
    "call",
    [
        "lstm(3)",
        "gru(3, bidirectional=true)",
        "rnn(3, activation=relu, bias=false)",
        "lstm(3, reverse=true, give=last)",
        "gru(3, lengths=n, h=h)",
        "lstm(3, lengths=n, bidirectional=true, give=last)",
        "lstm(3, h=h, c=h, time_first=true)",
    ],
)
def test_recurrent_layers_are_written_as_such(call: str) -> None:
    batch = "input x: f32[T, N, 4]" if "time_first" in call else "input x: f32[N, T, 4]"
    program = f"model M() {{ {batch} input h: f32[N, 3] input n: i64[N] output y = x -> {call} }}"
    text = decompile(load_text(program).model("M").graph).text
    assert "scan" not in text
    name, _, said = call.partition("(")
    written = next(line for line in text.splitlines() if f"-> {name}(" in line)
    assert all(part in written for part in said.rstrip(")").split(", "))


def test_all_results_of_a_layer_come_of_one_call() -> None:
    program = (
        "model M() { input x: f32[N, T, 4] ys, h, c = x -> lstm(3, give=all)"
        " output y = ys * 2 output z = h + c }"
    )
    text = decompile(load_text(program).model("M").graph).text
    assert text.count("lstm(3, give=all") == 1
    assert "scan" not in text


def test_a_layer_whose_results_are_changed_within_is_a_loop() -> None:
    program = (
        "model M() { input x: f32[N, T, 4] ys = scan s in x with h = zeros(3) {"
        " h2 = gru_cell(s, h) carry h = h2 yield h2 * 2 } output ys }"
    )
    text = decompile(load_text(program).model("M").graph).text
    assert "scan(axis=0)" in text


@pytest.mark.parametrize(
    "call",
    [
        "slice([1, 2], step=2)",
        "slice([1, 2], start=[1, 0], stop=[4, 3])",
        "slice([0, 2], start=1)",
        "slice(2, step=-1)",
    ],
)
def test_slices_of_several_axes_are_one_call(call: str) -> None:
    program = f"model M() {{ input x: f32[6, 5, 4] output y = x -> {call} }}"
    assert f"output y = x -> {call}\n" in decompile(load_text(program).model("M").graph).text
