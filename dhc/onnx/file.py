"""Opens files that anybody may have written: within limits, and with data of their folder alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dhc.errors import DhcError, Diagnostic
from dhc.ir.types import DType
from dhc.ops.foreign import ELEMENTS

if TYPE_CHECKING:
    import onnx

MOST_BYTES = 1 << 31  # of a file, as protobuf has it
MOST_NODES = 1_000_000
DEEPEST = 32  # graphs within graphs


def open_model(path: Path) -> onnx.ModelProto:
    """Returns what a file says, if it keeps within the limits.

    Raises:
        DhcError: if it is no model, too large, too deep, or the package `onnx` is missing.
    """
    model = empty_model()
    try:
        if path.stat().st_size > MOST_BYTES:
            raise refused(f"'{path}' is larger than {MOST_BYTES >> 30} GiB.")
        content = path.read_bytes()
    except OSError as error:
        raise refused(f"'{path}' cannot be read: {error.strerror}.") from error
    try:
        model.ParseFromString(content)
    except Exception as error:  # the parser's own kinds of errors differ between its versions
        raise refused(f"'{path}' is no ONNX model.") from error
    check_model(model, path)
    return model


def check_model(model: onnx.ModelProto, path: Path) -> None:
    """Checks the limits of a model that was parsed.

    Raises:
        DhcError: if it has no graph, too many nodes, or graphs too deep within each other.
    """
    if not model.HasField("graph"):
        raise refused(f"'{path}' is no ONNX model: it has no graph.")
    count = sum(1 for _ in _all_nodes(model.graph, 0))
    if count > MOST_NODES:
        raise refused(f"'{path}' has {count} nodes, more than {MOST_NODES}.")


def empty_model() -> onnx.ModelProto:
    """Returns a message to fill.

    Raises:
        DhcError: if the package `onnx` is missing.
    """
    try:
        from onnx import ModelProto
    except ImportError:
        hint = "pip install 'dhc[onnx]'"
        text = "ONNX models need the package 'onnx', which is not installed."
        raise DhcError(Diagnostic("missing-tool", text, hints=(hint,))) from None
    return ModelProto()


def _all_nodes(graph: onnx.GraphProto, depth: int) -> Iterator[onnx.NodeProto]:
    if depth > DEEPEST:
        raise refused(f"The model has graphs within graphs, more than {DEEPEST} deep.")
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _all_nodes(inner, depth + 1)


def array_of(tensor: onnx.TensorProto, folder: Path) -> tuple[np.ndarray, DType]:
    """Returns the elements of a tensor, and their type.

    Raises:
        DhcError: if it has another number of elements than it says, a type that dhc does not know,
            or its data lie outside of the model's folder.
    """
    from onnx import numpy_helper

    dtype = ELEMENTS.get(tensor.data_type)
    if dtype is None:
        raise refused(f"The tensor '{tensor.name}' has elements of a type that dhc does not know.")
    count = math.prod(tensor.dims)
    if any(size < 0 for size in tensor.dims) or count * dtype.bytes > MOST_BYTES:
        raise refused(f"The tensor '{tensor.name}' says that it is {list(tensor.dims)}.")
    if tensor.data_location == 1:
        return _external(tensor, dtype, folder), dtype
    if tensor.HasField("raw_data") and len(tensor.raw_data) != count * dtype.bytes:
        raise refused(f"The tensor '{tensor.name}' has not the data that it says.")
    try:
        return np.array(numpy_helper.to_array(tensor)).astype(dtype.numpy, copy=False), dtype
    except (ValueError, TypeError) as error:
        raise refused(f"The tensor '{tensor.name}' is damaged.") from error


def _external(tensor: onnx.TensorProto, dtype: DType, folder: Path) -> np.ndarray:
    """Data in a file of their own, which must lie in the folder of the model."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    root = folder.resolve()
    file = (root / entries.get("location", "")).resolve()
    if not file.is_relative_to(root) or not file.is_file():
        raise refused(f"The data of '{tensor.name}' lie in no file of the model's folder.")
    count = math.prod(tensor.dims)
    try:
        start = int(entries.get("offset", "0"))
        with file.open("rb") as stream:
            stream.seek(start)
            content = stream.read(count * dtype.bytes)
        return np.frombuffer(content, dtype.numpy).reshape(tuple(tensor.dims)).copy()
    except (OSError, ValueError) as error:
        raise refused(f"The data of '{tensor.name}' in '{file.name}' are damaged.") from error


def refused(text: str, *hints: str) -> DhcError:
    """Returns the error for a model that is not read."""
    return DhcError(Diagnostic("onnx", text, hints=hints))
