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
MOST_NODES = 1_000_000  # that a file has
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
        raise no_element_type(f"The tensor '{tensor.name}'", element_name(tensor.data_type))
    count = math.prod(tensor.dims)
    if any(size < 0 for size in tensor.dims) or count * dtype.bytes > MOST_BYTES:
        raise refused(f"The tensor '{tensor.name}' says that it is {list(tensor.dims)}.")
    size = -(-count * dtype.bits // 8)  # narrow integers lie close together in files
    if tensor.data_location == 1:
        tensor = _external(tensor, size, folder)
    if tensor.HasField("raw_data") and len(tensor.raw_data) != size:
        raise refused(f"The tensor '{tensor.name}' has not the data that it says.")
    try:
        return np.array(numpy_helper.to_array(tensor)).astype(dtype.numpy, copy=False), dtype
    except (ValueError, TypeError) as error:
        raise refused(f"The tensor '{tensor.name}' is damaged.") from error


def element_name(number: int) -> str:
    """Returns how ONNX calls a type of elements."""
    from onnx import TensorProto

    kinds = TensorProto.DataType
    return kinds.Name(number) if number in kinds.values() else f"the unknown type {number}"


def _external(tensor: onnx.TensorProto, size: int, folder: Path) -> onnx.TensorProto:
    """The tensor with its data, from a file that must lie in the folder of the model."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    file = _inside(folder.resolve(), entries.get("location", ""))
    if file is None:
        raise refused(f"The data of '{tensor.name}' lie in no file of the model's folder.")
    if entries.get("length", str(size)) != str(size):
        raise refused(f"The data of '{tensor.name}' in '{file.name}' have not the length they say.")
    try:
        start = int(entries.get("offset", "0"))
        with file.open("rb") as stream:
            stream.seek(start)
            content = stream.read(size)
    except (OSError, ValueError) as error:
        raise refused(f"The data of '{tensor.name}' in '{file.name}' are damaged.") from error
    return type(tensor)(
        name=tensor.name, data_type=tensor.data_type, dims=tensor.dims, raw_data=content
    )


def _inside(folder: Path, name: str) -> Path | None:
    """A file of a folder; None if there is none, or it cannot be one."""
    try:
        file = (folder / name).resolve()
        return file if file.is_relative_to(folder) and file.is_file() else None
    except (OSError, ValueError, RuntimeError):  # names that are too long, and links in circles
        return None


def no_element_type(what: str, kind: str) -> DhcError:
    """Returns the error for elements of a type that dhc has not."""
    return refused(f"{what} has elements of {kind}, a type that dhc has not.")


def refused(text: str, *hints: str) -> DhcError:
    """Returns the error for a model that is not read."""
    return DhcError(Diagnostic("onnx", text, hints=hints))
