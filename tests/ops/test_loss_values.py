"""Losses and their gradients against PyTorch's, in float64 and as the language writes them.

The values were written by `python -m bench.loss_values tests/ops/golden/losses.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dhc.driver import compile_graph
from dhc.frontend import load_text
from dhc.ir.graph import Array, Graph, Node
from dhc.ir.types import DType
from dhc.ops.base import run
from dhc.ops.collective import BatchMean
from dhc.passes.autodiff import differentiate
from dhc.passes.widen import widen

FILE = Path(__file__).parent / "golden" / "losses.json"
CASES = json.loads(FILE.read_text(encoding="utf-8"))["cases"]


@dataclass(frozen=True)
class Case:
    """A loss on some inputs, its mean, and the gradient for the first input."""

    graph: Graph
    inputs: dict[str, Array]
    value: float
    slope: Array

    @property
    def loss(self) -> Node:
        return self.graph.outputs[0][1]


def graph_of(loss: str, inputs: dict[str, Array]) -> Graph:
    """A model whose output is a loss."""
    lines = [
        f"input {name}: {'i64' if a.dtype.kind == 'i' else 'f32'}{list(a.shape)}"
        for name, a in inputs.items()
    ]
    body = "\n".join((*lines, f"output y = {loss}"))
    text = f'import "std/losses.dhm"\nmodel M() {{\n{body}\n}}'
    return load_text(text).model("M").graph


def case_of(number: int) -> Case:
    stored = CASES[number]
    inputs = {
        name: np.array(a["values"], np.int64 if a["whole"] else np.float64).reshape(a["shape"])
        for name, a in stored["inputs"].items()
    }
    slope = np.array(stored["slope"]).reshape(next(iter(inputs.values())).shape)
    return Case(graph_of(stored["loss"], inputs), inputs, stored["value"], slope)


def mean(loss: Node) -> Node:
    return BatchMean()(loss) if loss.type.shape else loss


NAMES = [f"{k}: {case['loss']}" for k, case in enumerate(CASES)]
each_case = pytest.mark.parametrize("number", range(len(CASES)), ids=NAMES)


@each_case
def test_value_and_gradient_are_those_of_pytorch(number: int) -> None:
    case = case_of(number)
    wide = widen(case.graph)
    loss = mean(wide.outputs[0][1])
    (slope,) = differentiate(wide, loss, [wide.inputs[0]]).values
    assert slope is not None
    value, found = run([loss, slope], case.inputs)
    assert value == pytest.approx(case.value, rel=1e-6)
    scale = np.abs(case.slope).max()
    np.testing.assert_allclose(found, case.slope, rtol=1e-6, atol=1e-8 * scale)


def test_compiled_losses_agree_too() -> None:
    """All of them as one program in float32, with their gradients."""
    for number in (0, 11, 19, 20, 23, 38):
        case = case_of(number)
        loss = mean(case.loss)
        (slope,) = differentiate(case.graph, loss, [case.graph.inputs[0]]).values
        assert slope is not None
        graph = Graph("g", case.graph.inputs, (("value", loss), ("slope", slope)))
        arrays = {
            n: a.astype(np.float32) if a.dtype.kind == "f" else a for n, a in case.inputs.items()
        }
        found = compile_graph(graph, "cpu")(**arrays)
        assert found["value"] == pytest.approx(case.value, rel=1e-5)
        scale = np.abs(case.slope).max()
        np.testing.assert_allclose(found["slope"], case.slope, rtol=1e-4, atol=1e-5 * scale)


@each_case
def test_a_mean_does_not_depend_on_the_batch(number: int) -> None:
    """A loss that is a number for each sample has the same mean however samples are batched."""
    case = case_of(number)
    count = len(next(iter(case.inputs.values())))
    if not case.loss.type.shape:
        pytest.skip("a mean with weights is one number for the batch")
    (whole,) = run([widen(case.graph).outputs[0][1]], case.inputs)
    loss = CASES[number]["loss"]
    for n in range(count):
        one = {name: a[n : n + 1] for name, a in case.inputs.items()}
        graph = widen(graph_of(loss, one))
        (found,) = run([graph.outputs[0][1]], one)
        np.testing.assert_allclose(found[0], whole[n], rtol=1e-12)


def test_every_loss_of_the_library_is_among_the_cases() -> None:
    text = "\n".join(case["loss"] for case in CASES)
    library = Path(__file__).parents[2] / "grammar" / "std" / "losses.dhm"
    blocks = [line.split()[1] for line in library.read_text().splitlines() if "block " in line[:6]]
    losses = [name.split("(")[0] for name in blocks if name.split("(")[0].endswith("_loss")]
    assert len(losses) >= 11
    assert [name for name in losses if f"{name}(" not in text] == []


def test_types_of_losses_are_wide_where_the_graph_is() -> None:
    case = case_of(0)
    assert widen(case.graph).outputs[0][1].type.dtype is DType.F64
