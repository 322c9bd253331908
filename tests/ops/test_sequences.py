"""Layers for sequences give what PyTorch gives, forward and backward, in float64.

The golden values come from bench/sequence_values.py.
"""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.ir.graph import Array, Graph, Input, Node, Param, input_label, topological
from dhc.ir.types import DType
from dhc.ops.base import run
from dhc.ops.differentiate import pull_back
from dhc.ops.elementwise import Mul
from dhc.ops.reduce import ReduceSum
from dhc.ops.shape import Concat, Reshape
from dhc.passes.bind_sizes import bind_sizes
from dhc.passes.widen import widen

GOLDEN = Path(__file__).parent / "golden" / "sequences.json"
ENCODER = """
model M() {
    input x: f32[N, T, 6]
    input lengths: i64[N]
    real = sequence_mask(lengths, size=T)
    output y = x -> transformer_encoder(heads=2, hidden=8, mask=real, norm_first=FIRST)
}
"""
DECODER = """
model M() {
    input x: f32[N, T, 6]
    input memory: f32[N, S, 6]
    output y = (x, memory) -> transformer_decoder(heads=2, hidden=8, norm_first=FIRST)
}
"""

RECURRENT = """
model All() {
    input x: f32[N, T, 6]
    input lengths: i64[N]
    output y = x -> KIND(4, OPTIONS)
}

model Last() {
    input x: f32[N, T, 6]
    input lengths: i64[N]
    output y = x -> KIND(4, give=last, OPTIONS)
}
"""
RECURRENT_CASES = [
    f"{kind}{both}{masked}"
    for kind in ("rnn", "lstm", "gru")
    for both in ("", "-both")
    for masked in ("", "-masked")
]


@cache
def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return found


def model(text: str) -> Graph:
    return load_text(f'import "std/transformer.dhm"\n{text}').model("M").graph


def text_of(case: str) -> str:
    kind, *options = case.split("-")
    first = "true" if "first" in options else "false"
    return {"encoder": ENCODER, "decoder": DECODER}[kind].replace("FIRST", first)


def recurrent(case: str) -> Graph:
    """A recurrent layer: all outputs, then the last state of every direction."""
    kind, *options = case.split("-")
    both = f"bidirectional={'true' if 'both' in options else 'false'}"
    settings = both + (", lengths=lengths" if "masked" in options else "")
    program = load_text(RECURRENT.replace("KIND", kind).replace("OPTIONS", settings))
    parts = [program.model(name).graph for name in ("All", "Last")]
    rows = [
        Reshape((node.type.shape[0], math.prod(node.type.shape[1:])))(node)
        for node in (part.outputs[0][1] for part in parts)
    ]
    return Graph("both", parts[0].inputs, (("y", Concat(1)(*rows)),))


def arrays(case: str) -> dict[str, Array]:
    """The inputs and weights of a case, in float64."""
    recorded = golden()["cases"][case]
    given = {**recorded["inputs"], **_full_names(case, recorded["weights"])}
    found = {name: np.array(value) for name, value in given.items()}
    return {**found, "lengths": np.array(golden()["lengths"])}


def _full_names(case: str, values: dict[str, Any]) -> dict[str, Any]:
    """Weights of recurrent layers are recorded without the path of the layer."""
    prefix = f"y.{case.split('-')[0]}." if case in RECURRENT_CASES else ""
    return {(name if name == "x" else prefix + name): each for name, each in values.items()}


def bound(graph: Graph, values: dict[str, Array]) -> Graph:
    """The graph in float64, for inputs of these sizes."""
    sizes: dict[str, int] = {}
    for node in graph.inputs:
        pairs = zip(node.type.shape, values[input_label(node)].shape, strict=True)
        sizes |= {str(size): known for size, known in pairs if not isinstance(size, int)}
    return widen(bind_sizes(graph, sizes))


def check(graph: Graph, case: str) -> None:
    """Holds the result and all gradients of a graph with one output to the golden ones."""
    recorded, values = golden()["cases"][case], arrays(case)
    expected = _full_names(case, recorded["gradients"])
    wide = bound(graph, values)
    [(_, output)] = wide.outputs
    up = Input("up", output.type)()
    leaves = {name: node for name, node in _leaves(wide).items() if node.type.dtype is DType.F64}
    assert leaves.keys() == expected.keys()
    gradients = pull_back(ReduceSum(())(Mul()(output, up)), _one(), list(leaves.values()))
    assert all(gradient is not None for gradient in gradients)
    [found, *slopes] = run(
        [output, *(g for g in gradients if g is not None)],
        {**values, "up": np.array(recorded["up"])},
    )
    np.testing.assert_allclose(found, recorded["output"], rtol=0, atol=1e-10)
    for name, slope in zip(leaves, slopes, strict=True):
        np.testing.assert_allclose(slope, expected[name], rtol=0, atol=1e-9, err_msg=name)


def _one() -> Node:
    from dhc.ir.graph import literal

    return literal(1.0, DType.F64)


def _leaves(graph: Graph) -> dict[str, Node]:
    found = {}
    for node in topological((*graph.inputs, *graph.roots)):
        if isinstance(node.op, Param):
            found[node.op.path] = node
        elif isinstance(node.op, Input):
            found[node.op.label] = node
    return found


@pytest.mark.parametrize("case", ["encoder-first", "encoder-last", "decoder-first", "decoder-last"])
def test_transformers_are_those_of_torch(case: str) -> None:
    check(model(text_of(case)), case)


@pytest.mark.parametrize("case", RECURRENT_CASES)
def test_recurrent_layers_are_those_of_torch(case: str) -> None:
    check(recurrent(case), case)


# ---- what padding means ----------------------------------------------------------------------


def test_padding_changes_nothing_of_what_is_real() -> None:
    """The same sentence, with and without two places of padding full of large numbers."""
    graph = model(text_of("encoder-first"))
    x = np.random.default_rng(3).normal(size=(1, 5, 6)).astype(np.float32)
    x[:, 3:] = 1e4
    program = compile_graph(graph, Target("reference"))
    padded = program(x=x, lengths=np.array([3]))["y"]
    short = program(x=x[:, :3], lengths=np.array([3]))["y"]
    np.testing.assert_allclose(padded[:, :3], short, rtol=1e-6)


def test_a_query_that_sees_nothing_takes_nothing() -> None:
    text = """model M() {
        input x: f32[N, T, 4]
        input mask: bool[N, T, T]
        output y = attention(x, x, x, mask)
    }"""
    x = np.random.default_rng(0).normal(size=(1, 2, 4)).astype(np.float32)
    mask = np.array([[[False, False], [True, False]]])
    found = compile_graph(model(text), Target("reference"))(x=x, mask=mask)["y"]
    np.testing.assert_array_equal(found[0, 0], 0)
    np.testing.assert_allclose(found[0, 1], x[0, 0], rtol=1e-6)


def test_the_number_of_padding_has_no_vector_and_teaches_nothing() -> None:
    graph = (
        load_text("""model M() {
        input words: i64[N, T]
        output y = words -> embedding(5, 3, padding=2)
    }""")
        .model("M")
        .graph
    )
    words = np.array([[0, 2, 4, 2]])
    table = np.arange(15.0).reshape(5, 3) + 1
    wide = bound(graph, {"words": words})
    [(_, output)] = wide.outputs
    [param] = [node for node in topological([output]) if isinstance(node.op, Param)]
    gradients = pull_back(ReduceSum(())(output), _one(), [param])
    assert gradients[0] is not None
    found, slope = run([output, gradients[0]], {"words": words, param.op.path: table})  # type: ignore[attr-defined]
    np.testing.assert_array_equal(found[0], [table[0], [0] * 3, table[4], [0] * 3])
    np.testing.assert_array_equal(slope[:, 0], [1, 0, 0, 0, 1])


def test_learned_positions_end_with_an_error() -> None:
    graph = model("model M() { input x: f32[N, T, 4] output y = x -> learned_positions(3) }")
    with pytest.raises(DhcError, match="which has 3 elements"):
        compile_graph(graph, "reference", {"T": 4})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("multi_head_attention(4)", "cannot split 6 features by 4"),
        ("multi_head_attention(2, mask=argmax(x, axis=2))", "needs a mask of bool"),
        ("sinusoidal_positions() -> dense(3) -> sinusoidal_positions()", "even number of features"),
    ],
)
def test_mistakes(call: str, message: str) -> None:
    with pytest.raises(DhcError, match=message):
        model(f"model M() {{ input x: f32[N, T, 6] output y = x -> {call} }}")
