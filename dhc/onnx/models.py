"""Files of ONNX as models of the Python interface, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dhc.api import Model
from dhc.errors import DhcError, Diagnostic
from dhc.frontend import Entry
from dhc.onnx import write
from dhc.onnx.imported import Given, Imported
from dhc.onnx.read import load as read_file
from dhc.passes.compose_affine import ComposeWarps


def load(
    path: str | Path,
    given: Mapping[str, Given] | None = None,
    shapes: Mapping[str, int] | None = None,
) -> Model:
    """Reads a model of ONNX.

    Args:
        path: The file.
        given: Values of inputs that carry shapes, axes or other settings; the model has these
            inputs no more.
        shapes: Values of sizes that the file leaves open, such as `{"batch": 1}`; an axis without
            a name is `axis_2_of_image`, and N if it is the first one.

    Raises:
        DhcError: with everything in the file that dhc cannot read.
    """
    return model_of(read_file(path, given, shapes))


def model_of(imported: Imported) -> Model:
    """Returns what was read as a model.

    Raises:
        DhcError: if an output is a list, or known without running anything.
    """
    for name, output in imported.outputs.items():
        if not isinstance(output, str):
            text = f"The output '{name}' is no tensor that the model computes."
            hint = "dhc.onnx.backend runs such models too"
            raise DhcError(Diagnostic("onnx", text, hints=(hint,)))
    model = Model(Entry(imported.graph.name, "model", imported.graph))
    model.load_parameters(imported.values)
    return model


def save(
    model: Model,
    path: str | Path,
    opset: int = write.OPSET,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes a model or pipeline with its parameters as a file of ONNX.

    Inputs, outputs and parameters keep their names, and nodes are called by their places in the
    program. What the sizes must satisfy stands in the metadata.

    Raises:
        DhcError: with everything that ONNX cannot say, or if the file cannot be written.
    """
    graph = ComposeWarps()(model.graph)
    told = {"constraints": "\n".join(model.constraints)} if model.constraints else {}
    write.save(graph, model.values, path, opset, {**told, **(metadata or {})})
