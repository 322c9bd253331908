"""Models that are written, and what ONNX Runtime and dhc make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest

from dhc.ir.graph import Array, Graph, Node
from dhc.onnx.write import OPSET, save
from dhc.ops.base import run


def _session(path: Path) -> Any:
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def on_runtime(path: Path, inputs: Mapping[str, Array]) -> dict[str, Array]:
    session = _session(path)
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(None, dict(inputs)), strict=True))


def saved(
    folder: Path, graph: Graph, opset: int = OPSET, values: Mapping[str, Array] | None = None
) -> Path:
    """A file that ONNX's own checker finds right, with the shapes that it infers itself."""
    path = folder / "model.onnx"
    save(graph, values or {}, path, opset)
    onnx.checker.check_model(str(path), full_check=True)
    return path


def evaluated(graph: Graph, values: Mapping[str, Array]) -> dict[str, Array]:
    results = run([node for _, node in graph.outputs], values, graph.constants)
    return {name: array for (name, _), array in zip(graph.outputs, results, strict=True)}


def graph_of(name: str, *outputs: Node, inputs: Sequence[Node]) -> Graph:
    return Graph(name, tuple(inputs), tuple((f"y{k}", node) for k, node in enumerate(outputs)))
