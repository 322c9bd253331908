"""Programs from graphs: they give the same graph again, and read as a person would write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dhc
from dhc.decompile import decompile
from dhc.errors import DhcError
from dhc.frontend import format_text, load_text
from dhc.ir.graph import Constant, Graph, Input, Param, literal
from dhc.ir.types import DType, Tensor
from dhc.ops.base import operators

MODELS = Path(dhc.__file__).parent / "models"
LOOPS = ("report_lstm",)  # which have no words yet


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.dhm")), ids=lambda path: path.stem)
def test_every_model_is_written_and_read_again(path: Path) -> None:
    """`decompile` itself builds what it wrote, and compares the graphs."""
    source = dhc.load(path)
    graph = source.model(source.models[0]).graph
    if path.stem in LOOPS:
        with pytest.raises(DhcError, match="'scan' cannot be written"):
            decompile(graph)
        return
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
    """Constants and numbers that stand beside no tensor of their type are kept like weights."""
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


def test_names_never_meet_words_of_the_language() -> None:
    x = Input("input", Tensor(DType.F32, (2, 3)))()
    y = operators["relu"]()(x)
    graph = Graph("Model", (x,), (("output", operators["add"]()(y, x)), ("y", y)))
    assert "relu_out = input -> relu()" in decompile(graph).text


def test_an_input_that_hides_an_operator_is_refused() -> None:
    x = Input("relu", Tensor(DType.F32, (2, 3)))()
    with pytest.raises(DhcError, match="has the name of an operator"):
        decompile(Graph("Model", (x,), (("y", operators["relu"]()(x)),)))


@pytest.mark.parametrize("number", [-0.5, -0.0, 0.0, float("inf"), float("nan"), 1e-7, 3e9])
def test_every_number_comes_back_as_it_was(number: float) -> None:
    """Numbers that the language cannot write beside a tensor are kept like weights."""
    x = Input("x", Tensor(DType.F32, (2, 3)))()
    graph = Graph("Scaled", (x,), (("y", operators["mul"]()(x, literal(number, DType.F32))),))
    made = decompile(graph)
    kept = [node.op for node in made.leaves.values()]
    assert kept in ([], [literal(number, DType.F32).op])
    assert bool(kept) == (not np.isfinite(number) or str(number) == "-0.0")
