"""What programs make of a random graph: built for a target, or written as ONNX and read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.ir.graph import Array, Graph, topological
from dhc.onnx.read import load
from dhc.onnx.write import save
from dhc.ops.base import run

Results = Mapping[str, Array]
Program = Callable[[Graph, Mapping[str, Array]], Results | None]
"""Takes a graph and the values of its leaves by name; None if it cannot say what that means."""


def built(backend: str, without: tuple[str, ...] = ()) -> Program:
    """Returns what compiles a graph for a backend, with some passes left out, and runs it."""
    target = Target(backend, without=without)

    def program(graph: Graph, leaves: Mapping[str, Array]) -> Results | None:
        weights = {param.path: leaves[param.path] for param in graph.params}
        inputs = {n.op.label: leaves[n.op.label] for n in graph.inputs}  # type: ignore[attr-defined]
        try:
            made = compile_graph(graph, target, parameters=weights)
        except DhcError as error:
            if error.diagnostics[0].code == "unsupported-type":
                return None
            raise
        return made(**inputs)

    return program


def through_runtime(folder: Path) -> Program:
    """Returns what writes a graph for ONNX Runtime."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4

    def program(graph: Graph, leaves: Mapping[str, Array]) -> Results | None:
        path = written(graph, leaves, folder)
        if path is None:
            return None
        onnx.checker.check_model(str(path), full_check=True)
        try:
            session: Any = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except state.NotImplemented:
            return None
        names = [each.name for each in session.get_outputs()]
        wanted = {each.name: leaves[each.name] for each in session.get_inputs()}
        try:
            return dict(zip(names, session.run(None, wanted), strict=True))
        except state.RuntimeException as error:
            if "is not supported" in str(error):
                return None
            raise

    return program


def read_again(folder: Path) -> Program:
    """Returns what writes a graph as a model, reads the model, and evaluates that."""

    def program(graph: Graph, leaves: Mapping[str, Array]) -> Results | None:
        path = written(graph, leaves, folder)
        if path is None or any(0 in node.type.shape for node in topological(graph.roots)):
            return None  # dhc reads no models that compute with nothing
        imported = load(path)
        values = {**leaves, **imported.values}
        found = run((node for _, node in imported.graph.outputs), values, imported.graph.constants)
        known = dict(zip(dict(imported.graph.outputs), found, strict=True))
        return {
            name: known[result] if isinstance(result, str) else result
            for name, result in imported.outputs.items()
        }  # type: ignore[misc]

    return program


def written(graph: Graph, leaves: Mapping[str, Array], folder: Path) -> Path | None:
    """A file of the graph; None if ONNX cannot say it."""
    path = folder / "model.onnx"
    try:
        save(graph, leaves, path)
    except DhcError:
        return None
    return path
