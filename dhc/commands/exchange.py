"""`dhc import` and `dhc export`: models of ONNX as programs, and programs as models of ONNX."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dhc.api import Model
from dhc.commands.entries import Request, build_entry, open_entry, parse_shapes
from dhc.decompile import Decompiled, decompile
from dhc.errors import DhcError, Diagnostic
from dhc.files import atomic_writer
from dhc.ir.graph import Array, Constant, Graph, Input, Literal_, Node, Param, topological
from dhc.ir.types import as_bits
from dhc.onnx.file import open_model
from dhc.onnx.models import model_of, save
from dhc.onnx.read import read
from dhc.ops.foreign import ELEMENTS
from dhc.training.predict import trained_model

if TYPE_CHECKING:
    from onnx import ModelProto, TypeProto


@dataclass(frozen=True)
class ExportOptions:
    """How to export.

    Attributes:
        output: The file.
        pipeline: A pipeline to put before the model, or "".
        weights: A safetensors file, or none.
        opset: The version of ONNX's operators.
    """

    output: Path
    pipeline: str
    weights: Path | None
    opset: int


def import_model(
    file: Path, output: Path, shapes: Sequence[str] = (), given: Sequence[str] = ()
) -> int:
    """Writes a program and its weights for a model of ONNX.

    Args:
        file: The model.
        output: The program.
        shapes: Sizes that the model leaves open, such as `batch=1`.
        given: Values of inputs, such as `rate=16000`; the program has these inputs no more.
    """
    if file.suffix.lower() != ".onnx":
        text = f"'{file}' is no .onnx file; other formats cannot be imported yet."
        raise DhcError(Diagnostic("not-yet", text))
    if output.suffix != ".dhm":
        raise DhcError(Diagnostic("output", f"A program is a .dhm file, not '{output}'."))
    opened = open_model(file)
    imported = read(opened, file, _given(opened, given), parse_shapes(shapes))
    model = model_of(imported)
    weights = output.with_suffix(".safetensors")
    remarks = f"From '{file.name}'. Its weights are in '{weights.name}'."
    made = decompile(imported.graph, remarks)
    values = _values(made, model, imported.graph)
    _write(weights, _safetensors(values))
    _write(output, made.text.encode())
    print(f"{output}: {_summary(imported.graph, made)}")
    print(f"{weights}: {len(values)} tensors, {_megabytes(values)}")
    shown = " ".join(f"{name}.npy" for name in made.inputs)
    print(f"run it: dhc run {output} {made.name} {shown} --weights {weights}")
    return 0


def _given(model: ModelProto, texts: Sequence[str]) -> dict[str, Array]:
    """Values of inputs as tensors of their types: one number, or several with commas between."""
    ports = {each.name: each.type.tensor_type for each in model.graph.input}
    found: dict[str, Array] = {}
    for text in texts:
        name, equals, said = text.rpartition("=")
        if not equals or name not in ports:
            problem = f"'{text}' gives no input a value; the inputs are {', '.join(ports)}."
            raise DhcError(Diagnostic("value", problem, hints=("write it as in rate=16000",)))
        found[name] = _tensor(text, said, ports[name])
    return found


def _tensor(text: str, said: str, type: TypeProto.Tensor) -> Array:
    """Numbers as a tensor of a type; the only one is of rank 0 where the type is."""
    dtype = ELEMENTS.get(type.elem_type)
    try:
        numbers = np.array([float(part) for part in said.split(",")])
    except ValueError:
        numbers = np.array([np.nan])
    with np.errstate(invalid="ignore"):  # it is refused below
        fitting = numbers.astype(dtype.numpy if dtype else np.float64)
    if dtype is None or not (np.array_equal(fitting, numbers) or dtype.is_float):
        problem = f"'{text}' gives no numbers of the input's type."
        hint = f"the input holds {dtype}; write it as in rate=16000" if dtype else ""
        raise DhcError(Diagnostic("value", problem, hints=(hint,) if hint else ()))
    alone = type.HasField("shape") and not type.shape.dim and numbers.size == 1
    return np.asarray(fitting.reshape(() if alone else -1))


def _values(made: Decompiled, model: Model, graph: Graph) -> dict[str, Array]:
    """The tensors of the program's parameters by their paths in it."""
    return {path: _value(node, model, graph) for path, node in made.leaves.items()}


def _value(node: Node, model: Model, graph: Graph) -> Array:
    match node.op:
        case Param(path):
            return model.values[path]
        case Constant(digest):
            return graph.constants[digest]
        case Literal_(value, dtype):
            return np.asarray(value, dtype.numpy)
    raise AssertionError(node)


def _safetensors(values: dict[str, Array]) -> bytes:
    from safetensors.numpy import save as serialized

    rows = {path: as_bits(np.ascontiguousarray(a)).reshape(a.shape) for path, a in values.items()}
    return bytes(serialized(rows))


def _write(path: Path, content: bytes) -> None:
    try:
        with atomic_writer(path) as stream:
            stream.write(content)
    except OSError as error:
        text = f"'{path}' cannot be written: {error.strerror}."
        raise DhcError(Diagnostic("output", text)) from error


def _summary(graph: Graph, made: Decompiled) -> str:
    leaves = (Constant, Input, Literal_, Param)
    count = sum(not isinstance(node.op, leaves) for node in topological(graph.roots))
    kinds = Counter(line.split(" ")[0] for line in made.text.splitlines())
    lines = len(made.text.splitlines())
    return f"{count} operators in {lines} lines, {kinds['block']} blocks"


def _megabytes(values: dict[str, Array]) -> str:
    return f"{sum(array.nbytes for array in values.values()) / 1e6:.1f} MB"


def export_model(request: Request, options: ExportOptions) -> int:
    """Writes a model of ONNX for an entry of a program, or for the network of a run."""
    if request.file.is_dir():
        if request.entry or options.pipeline or options.weights or request.settings:
            text = "A run has its own model and weights; export takes nothing else with it."
            raise DhcError(Diagnostic("usage", text))
        model = trained_model(request.file)
    else:
        source, model = open_entry(request)
        if options.weights is not None:
            model.load_parameters(options.weights)
        if options.pipeline:
            model = model.after(build_entry(source, options.pipeline, ()))
    save(model, options.output, options.opset)
    print(f"{options.output}: {model.name}, version {options.opset} of ONNX's operators")
    return 0
