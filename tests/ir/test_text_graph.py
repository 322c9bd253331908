"""Graphs print and parse back to the same graph, whatever their operators hold."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dhc.ops  # registers the operators that texts name
from dhc.errors import DhcError
from dhc.ir.graph import (
    Constant,
    Graph,
    Initializer,
    Input,
    Literal_,
    Node,
    Op,
    Origin,
    Param,
    literal,
    topological,
)
from dhc.ir.scalar import Scalar, Var, exp
from dhc.ir.size import Size, symbol
from dhc.ir.text import graph_digest, parse_graph, print_graph
from dhc.ir.types import DType, Tensor

F32 = DType.F32
N, H = symbol("N"), symbol("H")
relaxed = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)

assert dhc.ops


@dataclass(frozen=True)
class Everything(Op):
    """An operator with an attribute of each kind."""

    name: ClassVar[str] = "test_everything"

    number: int
    ratio: float
    flag: bool
    word: str
    kind: Literal["same", "valid"]
    dtype: DType
    size: Size
    shape: tuple[Size, ...]
    pads: tuple[tuple[int, int], ...]
    either: int | tuple[int, ...]
    maybe: str | None
    body: Scalar
    inner: Graph | None
    start: Initializer
    like: Tensor
    default: float = 0.5

    def infer(self, *inputs: Tensor) -> Tensor:
        return self.like


def _sizes() -> st.SearchStrategy[Size]:
    leaves: st.SearchStrategy[Size] = st.sampled_from([N, H, symbol("odd name")])
    return st.recursive(
        leaves | st.integers(-9, 99),
        lambda inner: (
            st.builds(lambda a, b: a + b, inner, inner)
            | st.builds(lambda a, b: a * b, inner, inner)
            | st.builds(lambda a, b: a - b, inner, inner)
            | st.builds(lambda a, d: a // d, inner, st.integers(1, 5))
        ),
        max_leaves=5,
    )


def _types() -> st.SearchStrategy[Tensor]:
    shapes = st.lists(_sizes(), max_size=3).map(tuple)
    return st.builds(Tensor, st.sampled_from(list(DType)), shapes)


def _attributes() -> st.SearchStrategy[Everything]:
    x = Var("x0", F32)
    leaf = Input("0", Tensor(F32, (N,)))()
    inner = Graph("inner", (leaf,), (("r", Node(Literal_(-0.0, F32), (), Tensor(F32, ()))),))
    ints = st.integers(-(2**63) + 1, 2**63 - 1)
    return st.builds(
        Everything,
        ints,
        st.floats(allow_nan=True) | st.integers(0, 3),
        st.booleans(),
        st.text(),
        st.sampled_from(["same", "valid"]),
        st.sampled_from(list(DType)),
        _sizes(),
        st.lists(_sizes(), max_size=3).map(tuple),
        st.lists(st.tuples(ints, ints), max_size=2).map(tuple),
        ints | st.lists(ints, max_size=3).map(tuple),
        st.none() | st.text(),
        st.sampled_from([x, exp(x) * exp(x) + 1e-6, Var("y", DType.BOOL)]),
        st.none() | st.just(inner),
        st.builds(Initializer, st.sampled_from(["constant", "he_normal"]), st.floats(), ints, ints),
        _types(),
        st.sampled_from([0.5, -0.0, 0.25]),
    )


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    labels = draw(st.lists(st.text(max_size=5), unique=True, max_size=3))
    inputs = [Input(label, draw(_types()))() for label in labels]
    nodes: list[Node] = [*inputs, Param("e1.conv[0].weight", Tensor(F32, (3,)))(), literal(1, F32)]
    for _ in range(draw(st.integers(0, 4))):
        operands = tuple(draw(st.lists(st.sampled_from(nodes), max_size=3)))
        nodes.append(Node(draw(_attributes()), operands, draw(_types())))
    outputs = tuple((name, draw(st.sampled_from(nodes))) for name in draw(st.lists(st.text())))
    return Graph(draw(st.text()), tuple(inputs), outputs, (("mean", nodes[-1]),))


@relaxed
@given(graphs())
def test_graphs_come_back(graph: Graph) -> None:
    text = print_graph(graph)
    again = parse_graph(text)
    assert again == graph, text
    assert graph_digest(again) == graph_digest(graph)


def _network() -> Graph:
    from dhc.ops.activation import Relu
    from dhc.ops.conv import Conv
    from dhc.ops.region import Region

    x = Input("x", Tensor(F32, (N, 3, H, 16)))()
    weight = Param("e1.weight", Tensor(F32, (4, 3, 3, 3)), Initializer("he_normal", fan_in=27))()
    conv = Conv((2, 1), ((1, 1), (1, 1)), (1, 1))(x, weight)
    leaf = Input("0", conv.type)()
    region = Region(Graph("body", (leaf,), (("out", Relu()(leaf)),)))(conv)
    scale = Constant("abc", Tensor(F32, (2,)))()
    origins = {conv: (Origin(None, "e1.conv"), Origin(None, "odd\nplace"))}
    outputs = (("y", region), ("scale", scale))
    return Graph("net", (x,), outputs, (), origins, {"abc": np.zeros(2, np.float32)})


TEXT = """\
dhc-graph 1
graph "net" {
  %x = input {label: "x"} : f32[N, 3, H, 16]
  %e1.weight = param {path: "e1.weight", initializer: Initializer {kind: "he_normal", fan_in: 27}} \
: f32[4, 3, 3, 3]
  %2 = conv(%x, %e1.weight) {stride: (2, 1), pads: ((1, 1), (1, 1)), dilation: (1, 1)} \
: f32[N, 4, (H + 1) // 2, 16]  # e1.conv; odd?place
  %3 = region(%2) {body: graph "body" {
    %0 = input {label: "0"} : f32[N, 4, (H + 1) // 2, 16]
    %1 = relu(%0) : f32[N, 4, (H + 1) // 2, 16]
    inputs (%0)
    outputs ("out" = %1)
  }} : f32[N, 4, (H + 1) // 2, 16]
  %4 = constant {digest: "abc"} : f32[2]
  inputs (%x)
  outputs ("y" = %3, "scale" = %4)
}
"""


def test_graphs_are_readable() -> None:
    graph = _network()
    assert print_graph(graph) == TEXT
    assert parse_graph(TEXT) == graph
    assert "#" not in print_graph(graph, origins=False)


def test_the_digest_ignores_origins_and_sees_attributes() -> None:
    graph = _network()
    parsed = parse_graph(print_graph(graph, origins=False))
    assert graph_digest(parsed) == graph_digest(graph)
    other = parse_graph(TEXT.replace("fan_in: 27", "fan_in: 28"))
    assert graph_digest(other) != graph_digest(graph)


def test_the_digest_is_the_same_in_another_process() -> None:
    program = (
        "import sys, dhc.ops\nfrom dhc.ir.text import graph_digest, parse_graph\n"
        "print(graph_digest(parse_graph(sys.stdin.read())))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], input=TEXT, text=True, capture_output=True, check=True
    )
    assert found.stdout.strip() == graph_digest(_network())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("dhc-graph 1", "dhc-graph 2"), "version 2"),
        (("dhc-graph 1", "<html>"), "not the text of a graph"),
        (("= conv(", "= konv("), "perhaps 'conv'"),
        (("stride:", "strides:"), "perhaps 'stride'"),
        (("stride: (2, 1), ", ""), "'stride' is missing"),
        (("stride: (2, 1)", "stride: (2, 1), stride: (2, 1)"), "given twice"),
        (("stride: (2, 1)", "stride: (2, 1.0)"), "not"),
        (("stride: (2, 1)", "stride: 2"), "not tuple[int, ...]"),
        (('kind: "he_normal"', 'kind: "normal"'), "not one of"),
        (("Initializer {", "Tensor {"), "no record 'Tensor'"),
        (("(%x, %e1.weight)", "(%x, %9)"), "'%9' is not a node"),
        (("%2 = conv", "%x = conv"), "defined twice"),
        (("inputs (%x)", "inputs (%2)"), "must be an 'input' node"),
        (("%1 = relu(%0)", "%1 = relu(%2)"), "'%2' is not a node"),
        (("(H + 1) // 2", "(H + 1) // 0"), "positive numbers"),
        (("(H + 1) // 2", "H * 99999999999999999999"), "too large"),
        (('"abc"} : f32[2]', '"abc} : f32[2]'), "No token"),
        (('"abc"', '"\\q"'), "not a valid string"),
        (("f32[2]\n", "f32[2\n"), "Expected ','"),
        (('outputs ("y"', 'outputs ("y" "z"'), "Expected '='"),
    ],
)
def test_wrong_graphs_are_refused(change: tuple[str, str], message: str) -> None:
    assert change[0] in TEXT
    with pytest.raises(DhcError) as caught:
        parse_graph(TEXT.replace(change[0], change[1], 1 if "stride" in change[0] else -1))
    assert message in str(caught.value)


@relaxed
@given(st.integers(0, len(TEXT) - 1), st.integers(0, 12), st.text(max_size=3))
def test_damaged_text_gives_nothing_but_an_error(start: int, length: int, new: str) -> None:
    """Any other exception fails this test."""
    with contextlib.suppress(DhcError):
        graph = parse_graph(TEXT[:start] + new + TEXT[start + length :])
        assert list(topological(graph.roots))


def test_nested_graphs_are_limited() -> None:
    opening = 'graph "g" { %0 = region {body: '
    with pytest.raises(DhcError, match="nests"):
        parse_graph("dhc-graph 1 " + opening * 100 + "} : f32[] } " * 100)


@pytest.fixture
def many() -> str:
    lines = ["dhc-graph 1", 'graph "g" {', '%x = input {label: "x"} : f32[2]']
    lines += [f"%{k} = relu(%{k - 1 if k else 'x'}) : f32[2]" for k in range(3000)]
    return "\n".join([*lines, "inputs (%x)", 'outputs ("y" = %2999)', "}"])


def test_long_graphs_need_no_stack(many: str) -> None:
    graph = parse_graph(many)
    assert parse_graph(print_graph(graph)) == graph
