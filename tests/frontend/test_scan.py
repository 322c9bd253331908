"""Loops over time: names and shapes are checked, and the reference meaning is the loop."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.errors import DhcError
from dhc.frontend import Entry, load_text
from dhc.ir.rewrite import specialise
from dhc.ops.base import run


def model(body: str) -> Entry:
    return load_text(f"model M() {{ input x: f32[N, T, 3] {body} }}").model("M")


SUMS = """
    ys = scan step in x with h = zeros(3) {
        total = h + step * 2
        carry h = total
        yield total
    }
    output ys
"""


def test_a_running_sum() -> None:
    entry = model(SUMS)
    assert str(entry.graph.outputs[0][1].type) == "f32[N, T, 3]"
    graph = specialise(entry.graph, {"N": 2, "T": 4})
    x = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    [found] = run([node for _, node in graph.outputs], {"x": x})
    np.testing.assert_allclose(found, np.cumsum(2 * x, axis=1))


def test_weights_are_made_once_and_named_after_the_binding() -> None:
    entry = model(
        "ys = scan step in x with h = zeros(5) {"
        " h2 = (step -> dense(5)) + (h -> dense(5)) carry h = h2 yield h2 } output ys"
    )
    assert [p.path for p in entry.graph.params if p.path.endswith("weight")] == [
        "ys.h2.dense.weight",
        "ys.h2.dense#2.weight",
    ]


def test_several_sequences_and_outputs() -> None:
    entry = model(
        "ys = scan a, b in (x, x) with h = zeros(3) {"
        " carry h = a yield low = a + b yield high = h } output p = ys.low output q = ys.high"
    )
    assert [str(node.type) for _, node in entry.graph.outputs] == ["f32[N, T, 3]"] * 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("ys = scan s in x with h = zeros(3) { yield s } output ys", "never carries it on"),
        ("ys = scan s in x with h = zeros(4) { carry h = s yield s } output ys", "goes on as"),
        ("ys = scan s in x with h = 3 { carry h = s yield s } output ys", "start value is"),
        ("ys = scan s in x { t = s } output ys", "yields nothing"),
        ("ys = scan s, t in x { yield s } output ys", "as many sequences"),
        ("ys = scan s in x { yield s yield s } output ys", "stands here twice"),
        ("output x yield x", "body of a scan only"),
    ],
)
def test_mistakes(body: str, message: str) -> None:
    with pytest.raises(DhcError, match=message):
        model(body)
