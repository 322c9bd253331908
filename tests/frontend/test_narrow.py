"""Narrow element types in the language: they are converted and moved, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.errors import DhcError
from dhc.frontend import Entry, load_text
from dhc.ops.base import run
from tests.narrow import NARROW, every, same_bits

PROGRAM = """
model M() {
    input x: f32[3, 4]
    input stored: KIND[3, 4]
    output narrow = x -> cast(KIND, saturate=true)
    output moved = (stored, narrow) -> concat(axis=0) -> permute([1, 0])
    output wide = moved -> cast(f32) -> mul(2.0)
}
"""


def _model(text: str, kind: str) -> Entry:
    return load_text(text.replace("KIND", kind)).model("M")


@pytest.mark.parametrize("dtype", NARROW)
def test_programs_store_narrow_elements(dtype: object) -> None:
    kind = str(dtype)
    graph = _model(PROGRAM, kind).graph
    types = {name: str(node.type) for name, node in graph.outputs}
    assert types == {"narrow": f"{kind}[3, 4]", "moved": f"{kind}[4, 6]", "wide": "f32[4, 6]"}


def test_numbers_are_right() -> None:
    dtype = NARROW[1]
    graph = _model(PROGRAM, str(dtype)).graph
    stored = np.resize(every(dtype), (3, 4))
    x = np.linspace(-2, 3, 12, dtype=np.float32).reshape(3, 4)
    narrow, moved, wide = run([node for _, node in graph.outputs], {"x": x, "stored": stored})
    same_bits(narrow, x.astype(dtype.numpy))
    same_bits(moved, np.concatenate([stored, narrow]).T)
    np.testing.assert_array_equal(wide, moved.astype(np.float32) * 2)


def test_arithmetic_says_what_to_do() -> None:
    text = "model M() { input x: bf16[3] output y = x -> mul(2.0) }"
    with pytest.raises(DhcError) as caught:
        _model(text, "bf16")
    (problem,) = caught.value.diagnostics
    assert problem.message == "'mul' does not compute with bf16 elements."
    assert problem.hints == ("convert them with cast(..., f32)",)
    assert problem.span is not None
