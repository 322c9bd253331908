"""What exporters write, as nodes of ONNX: one operator is found, and means what they meant.

Each pattern is run by onnxruntime, and by dhc as it is read and as it is tidied.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from dhc.ir.graph import Array, Graph, topological
from dhc.onnx import read
from dhc.onnx.imported import Imported
from tests.onnx.patterns.activations import ACTIVATIONS, NO_ACTIVATIONS
from tests.onnx.patterns.attention import ATTENTION, NO_ATTENTION
from tests.onnx.patterns.layers import LAYERS, NO_LAYERS
from tests.onnx.patterns.norms import NO_NORMS, NORMS
from tests.onnx.patterns.pattern import Pattern
from tests.onnx.written import evaluated, on_runtime

HEADER = '<ir_version: 8, opset_import: ["" : {opset}]>\n'

ALL = {
    **ATTENTION, **NO_ATTENTION, **NORMS, **NO_NORMS, **ACTIVATIONS, **NO_ACTIVATIONS, **LAYERS,
    **NO_LAYERS,
}  # fmt: skip


def _model(pattern: Pattern) -> onnx.ModelProto:
    """The model; what the text reads and nothing makes are its weights."""
    model = parser.parse_model(HEADER.format(opset=pattern.opset) + pattern.text)
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if f"const_{name}" in pattern.weights:
                node.input[place] = f"const_{name}"
    for name, array in pattern.weights.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return model


def _inputs(model: onnx.ModelProto) -> dict[str, Array]:
    random = np.random.default_rng(5)
    made: dict[str, Array] = {}
    for each in model.graph.input:
        shape = [dim.dim_value for dim in each.type.tensor_type.shape.dim]
        kind = each.type.tensor_type.elem_type
        values = random.normal(0, 2, shape)
        made[each.name] = (values > -1) if kind == 9 else values.astype(np.float32)
    return made


def _operators(graph: Graph) -> list[str]:
    return [node.op.name for node in topological(graph.roots) if node.inputs]


def _run(found: Imported, inputs: Mapping[str, Array]) -> list[Array]:
    return list(evaluated(found.graph, {**inputs, **found.values}).values())


@pytest.mark.parametrize("name", ALL)
def test_patterns(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pattern, path = ALL[name], tmp_path / "model.onnx"
    model = _model(pattern)
    path.write_bytes(model.SerializeToString())
    tidy = read.load(path)
    monkeypatch.setattr(read, "tidied", lambda graph, values: (graph, values))
    plain, inputs = read.load(path), _inputs(model)
    theirs = list(on_runtime(path, inputs).values())
    for one, other, third in zip(_run(tidy, inputs), _run(plain, inputs), theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(one, third, rtol=1e-4, atol=1e-5)
    made = _operators(tidy.graph)
    for wanted in pattern.wanted:
        assert (wanted[1:] not in made) if wanted.startswith("-") else (wanted in made)
    if not any(wanted.startswith("-") for wanted in pattern.wanted):
        assert made == list(pattern.wanted)
