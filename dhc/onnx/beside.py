"""Weights in a file of their own beside the model: a file of ONNX itself holds 2 GiB at most.

The name of the data file tells its content, so that a model that is there keeps its data until the
new one, which names other data, has taken its place.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dhc.files import atomic_writer
from dhc.ir.graph import Array

if TYPE_CHECKING:
    import onnx

ALIGNED = 4096  # where a tensor may begin: pages, so that readers can map them into memory
SMALL = 1024  # bytes of tensors that stay in the model


@dataclass(frozen=True)
class Beside:
    """Where the tensors of a data file lie.

    Attributes:
        location: The name of the file.
        places: The first byte of each tensor, by its name.
        is_new: Whether no model had these data before.
    """

    location: str
    places: Mapping[str, int]
    is_new: bool


def write_beside(path: Path, parameters: Mapping[str, Array]) -> Beside:
    """Writes the larger tensors beside a model that will lie at `path`.

    Raises:
        OSError: if the file cannot be written.
    """
    places, end = dict[str, int](), 0
    for name, array in parameters.items():
        if array.nbytes > SMALL:
            places[name] = -(-end // ALIGNED) * ALIGNED
            end = places[name] + array.nbytes
    location = f"{path.name}.{_digest(parameters, places)}.data"
    is_new = not path.with_name(location).exists()
    with atomic_writer(path.with_name(location)) as stream:
        for name, place in places.items():
            stream.write(bytes(place - stream.tell()))
            stream.write(_content(parameters[name]))
    return Beside(location, places, is_new)


def _content(array: Array) -> memoryview:
    """The bytes of a tensor, the least one of each element first."""
    ordered = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return ordered.reshape(-1).view(np.uint8).data


def _digest(parameters: Mapping[str, Array], places: Mapping[str, int]) -> str:
    found = hashlib.sha256(repr(sorted(places.items())).encode())
    for name in places:
        found.update(_content(parameters[name]))
    return found.hexdigest()[:16]


def tensor_beside(name: str, array: Array, beside: Beside) -> onnx.TensorProto:
    """Returns the message of a tensor that lies in the data file."""
    from onnx import TensorProto, helper

    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor = TensorProto(name=name, dims=array.shape, data_type=kind)
    tensor.data_location = TensorProto.EXTERNAL
    said = {"location": beside.location, "offset": beside.places[name], "length": array.nbytes}
    for key, value in said.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


@contextmanager
def beside(path: Path, parameters: Mapping[str, Array], most: int) -> Iterator[Beside | None]:
    """Keeps a data file for what is more than `most` bytes, if the block writes its model."""
    size = sum(array.nbytes for array in parameters.values())
    made = write_beside(path, parameters) if size > most else None
    try:
        yield made
    except BaseException:
        if made is not None and made.is_new:
            path.with_name(made.location).unlink(missing_ok=True)
        raise
    _remove_old(path, made.location if made else "")


def _remove_old(path: Path, kept: str) -> None:
    """Removes the data files of models that were at `path` before."""
    for each in _data_files(path):
        if each.name != kept:
            with suppress(OSError):
                each.unlink()


def _data_files(path: Path) -> Iterator[Path]:
    pattern = re.compile(re.escape(path.name) + r"\.[0-9a-f]{16}\.data")
    yield from (each for each in path.parent.iterdir() if pattern.fullmatch(each.name))
