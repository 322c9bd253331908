"""Small graphs before and after a pass, as text: one golden file for each.

A golden file has the graph, a line `=> name of the pass`, and what the pass makes of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import dhc.ops  # noqa: F401  (registers the operators)
from dhc.ir.graph import Graph, Input, Node, Param, literal, topological
from dhc.ir.text import parse_graph, print_graph
from dhc.ir.types import DType, Tensor
from dhc.ops.activation import Relu
from dhc.ops.base import run
from dhc.ops.conv import Conv
from dhc.ops.dropout import Dropout
from dhc.ops.elementwise import Add, Cast, Clip, Div, Mul, Neg, Pow, Sub, Where
from dhc.ops.linear import Dense
from dhc.ops.movement import Expand, Pad, Slice, Tile
from dhc.ops.norm import BatchNorm
from dhc.ops.shape import Concat, Permute, Reshape
from dhc.ops.softmax import Softmax
from dhc.passes.canonicalize import Canonicalize
from dhc.passes.fold_batchnorm import FoldBatchNorm
from dhc.passes.fuse import Fuse
from dhc.passes.legalise import Legalise
from dhc.passes.manager import Pass
from dhc.passes.prepare import split_prepare

GOLDEN = Path(__file__).with_name("golden")
F32 = DType.F32

X = Input("x", Tensor(F32, (2, 3, 4)))()
I = Input("i", Tensor(DType.I32, (4,)))()  # noqa: E741
IMAGE = Input("image", Tensor(F32, (1, 3, 8, 8)))()
CONDITION = Input("condition", Tensor(DType.BOOL, (2, 3, 4)))()
WEIGHT = Param("w", Tensor(F32, (4, 3, 3, 3)))()
BIAS = Param("b", Tensor(F32, (4,)))()
MATRIX = Param("d", Tensor(F32, (5, 4)))()
STATISTICS = tuple(Param(name, Tensor(F32, (4,)))() for name in ("scale", "shift", "mean", "var"))
CONV = Conv((1, 1), ((1, 1), (1, 1)), (1, 1))
NORMAL = BatchNorm(1e-3)


def number(value: float, dtype: DType = F32) -> Node:
    return literal(value if dtype.is_float else int(value), dtype)


FLIPPED = Slice((1, 0, 3), (2, 3, 2), (-1, 1, -2))
IDENTITIES: dict[str, Node] = {
    "reshape of reshape": Reshape((6, 4))(Reshape((24,))(X)),
    "reshape there and back": Reshape((2, 3, 4))(Reshape((24,))(X)),
    "permute of permute": Permute((1, 0, 2))(Permute((2, 0, 1))(X)),
    "permute there and back": Permute((1, 2, 0))(Permute((2, 0, 1))(X)),
    "permute of ones": Permute((0, 2, 3, 1))(Reshape((2, 1, 3, 4))(X)),
    "permute of more stays": Permute((1, 0, 2))(X),
    "slice of slice": Slice((0, 1, 1), (1, 2, 1), (1, 1, -1))(FLIPPED(X)),
    "slice of everything": Slice((0, 0, 0), (2, 3, 4), (1, 1, 1))(X),
    "slice in opposite order stays": Slice((1, 0, 0), (2, 3, 4), (-1, 1, 1))(X),
    "pad with nothing": Pad(((0, 0),) * 3)(X),
    "convolution of padding": CONV(Pad(((0, 0), (0, 0), (1, 2), (0, 3)))(IMAGE), WEIGHT, BIAS),
    "convolution of a border stays": CONV(
        Pad(((0, 0), (0, 0), (1, 1), (1, 1)), "replicate")(IMAGE), WEIGHT
    ),
    "convolution of padding with ones stays": CONV(
        Pad(((0, 0), (0, 0), (1, 1), (1, 1)), value=1.0)(IMAGE), WEIGHT
    ),
    "convolution of more channels stays": CONV(
        Pad(((0, 0), (0, 3), (0, 0), (0, 0)))(IMAGE), Param("w6", Tensor(F32, (4, 6, 3, 3)))()
    ),
    "expand to its own shape": Expand((2, 3, 4))(X),
    "tile once": Tile((1, 1, 1))(X),
    "concat of one": Concat(1)(X),
    "add negative zero": Add()(X, number(-0.0)),
    "add zero stays": Add()(X, number(0.0)),
    "add integer zero": Add()(number(0, DType.I32), I),
    "subtract zero": Sub()(X, number(0.0)),
    "zero minus stays": Sub()(number(0.0), X),
    "times one": Mul()(number(1.0), X),
    "divided by one": Div()(X, number(1.0)),
    "one divided stays": Div()(number(1.0), X),
    "power of one": Pow()(X, number(1.0)),
    "negation twice": Neg()(Neg()(X)),
    "cast to its own type": Cast(F32)(X),
    "cast to another type stays": Cast(DType.F64)(X),
    "cast there and back": Cast(F32)(Cast(DType.F64)(X)),
    "cast of a wider integer": Cast(DType.I8)(Cast(DType.I64)(I)),
    "cast of a narrower type stays": Cast(F32)(Cast(DType.F16)(X)),
    "cast of rounded integers stays": Cast(DType.I32)(Cast(F32)(I)),
    "cast of a wider float to integers stays": Cast(DType.I32)(Cast(DType.F64)(X)),
    "clip without limits": Clip()(X),
    "choice of the same": Where()(CONDITION, X, X),
    "dropout": Dropout(0.3, "a")(X),
    "chain of all": Neg()(Mul()(Neg()(Cast(F32)(Sub()(X, number(0.0)))), number(1.0))),
}


def graph_of(*outputs: Node) -> Graph:
    inputs = tuple(node for node in topological(outputs) if isinstance(node.op, Input))
    return Graph("g", inputs, tuple((f"y{i}", node) for i, node in enumerate(outputs)))


def text_of(graph: Graph) -> str:
    return print_graph(graph, origins=False)


def case(graph: Graph, *passes: Pass) -> str:
    """The text of a golden file; the two graphs mean the same."""
    text = text_of(graph)
    for one in passes:
        after = one(graph)
        text += f"=> {one.name}\n{text_of(after)}"
        assert_same(graph, after)
        assert text_of(one(after)) == text_of(after), "a second time changes something"
        graph = after
    return text


def assert_same(before: Graph, after: Graph) -> None:
    random = np.random.default_rng(0)
    values = {}
    for node in (*before.inputs, *(param() for param in before.params)):
        label = node.op.path if isinstance(node.op, Param) else node.op.label  # type: ignore[attr-defined]
        array = random.uniform(0.5, 2.0, node.type.static_shape)
        values[label] = array.astype(node.type.dtype.numpy)
    pairs = zip(run(before.roots, values), run(after.roots, values), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", IDENTITIES)
def test_canonicalize(name: str, check_golden: Callable[[Path, str], None]) -> None:
    text = case(graph_of(IDENTITIES[name]), Canonicalize())
    check_golden(GOLDEN / "canonicalize" / f"{name.replace(' ', '-')}.txt", text)


def test_what_is_said_to_stay_stays() -> None:
    for name, node in IDENTITIES.items():
        graph = graph_of(node)
        assert (Canonicalize()(graph) == graph) == name.endswith("stays")


def test_canonical_negative_zero() -> None:
    """No rule may change the sign of a zero."""
    zeros = np.array([-0.0, 0.0], np.float32)
    x = Input("x", Tensor(F32, (2,)))()
    for node in (Add()(x, number(0.0)), Add()(x, number(-0.0)), Sub()(x, number(0.0))):
        graph = graph_of(node)
        before, after = (run(g.roots, {"x": zeros})[0] for g in (graph, Canonicalize()(graph)))
        np.testing.assert_array_equal(np.signbit(before), np.signbit(after))


OTHERS: dict[str, tuple[Node, tuple[Pass, ...]]] = {
    "fold batchnorm": (NORMAL(CONV(IMAGE, WEIGHT, BIAS), *STATISTICS), (FoldBatchNorm(),)),
    "fold batchnorm without bias": (NORMAL(CONV(IMAGE, WEIGHT), *STATISTICS), (FoldBatchNorm(),)),
    "fold batchnorm not after relu": (
        NORMAL(Relu()(CONV(IMAGE, WEIGHT)), *STATISTICS),
        (FoldBatchNorm(),),
    ),
    "legalise softmax": (Softmax(-1)(X), (Legalise(),)),
    "legalise claimed": (Softmax(-1)(X), (Legalise(frozenset({Softmax})),)),
    "fuse epilogue": (Relu()(Add()(CONV(IMAGE, WEIGHT), number(1.0))), (Fuse(),)),
    "fuse beside dense": (Relu()(Dense()(Relu()(Reshape((6, 4))(X)), MATRIX)), (Fuse(),)),
    "legalise and fuse": (Softmax(-1)(Relu()(X)), (Legalise(), Fuse())),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_passes(name: str, check_golden: Callable[[Path, str], None]) -> None:
    node, passes = OTHERS[name]
    text = case(graph_of(node), *passes)
    check_golden(GOLDEN / name.split()[0] / f"{name.replace(' ', '-')}.txt", text)


def test_a_convolution_that_others_read_keeps_its_weights() -> None:
    convolution = CONV(IMAGE, WEIGHT)
    graph = graph_of(NORMAL(convolution, *STATISTICS), Relu()(convolution))
    assert FoldBatchNorm()(graph) == graph


def test_constants_are_folded_by_the_prepare_graph() -> None:
    """What follows from weights and numbers alone is computed once, not in every call."""
    folded = FoldBatchNorm()(graph_of(NORMAL(CONV(IMAGE, WEIGHT), *STATISTICS)))
    prepare, main = split_prepare(folded)
    assert [node.name for node in _operators(main)] == ["conv"]
    assert {"mul", "sqrt", "div"} <= {node.name for node in _operators(prepare)}


def _operators(graph: Graph) -> list[Node]:
    return [node.op for node in topological(graph.roots) if node.inputs]  # type: ignore[misc]


@pytest.mark.parametrize("path", sorted(GOLDEN.rglob("*.txt")), ids=lambda p: p.stem)
def test_golden_texts_read_back(path: Path) -> None:
    for text in re.split(r"^=> .*\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
        graph = parse_graph(text)
        assert text_of(graph) == text
