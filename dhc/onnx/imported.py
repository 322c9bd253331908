"""What reading a model takes and gives besides its file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Array, Graph
from dhc.ir.types import dtype_of
from dhc.onnx.file import no_element_type, refused
from dhc.ops.foreign import ELEMENTS, TEXT, ForeignError, Held, Known, Nothing, Strings, Tensors

if TYPE_CHECKING:
    import onnx

Given: TypeAlias = Array | Sequence[Array] | None
"""A tensor, a sequence, or an optional that is empty."""
Result: TypeAlias = "str | Array | Sequence[Result] | None"
"""What an output of a model is: one of the graph, by its name; text, or a tensor without elements;
a sequence of those; or an optional that is empty."""


@dataclass(frozen=True)
class Imported:
    """A model that was read.

    Attributes:
        graph: What it computes.
        values: Its parameters by path.
        inputs: The names that the model gives the inputs of the graph, in their order.
        outputs: What the outputs of the model are, by their names.
    """

    graph: Graph
    values: Mapping[str, Array]
    inputs: Sequence[str] = ()
    outputs: Mapping[str, Result] = field(default_factory=dict)


class NotKnownError(DhcError):
    """A model cannot be read without values of some inputs.

    Attributes:
        inputs: The names of all that could help.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic], inputs: Iterable[str]) -> None:
        """Keeps the names beside the records."""
        super().__init__(diagnostics)
        self.inputs = frozenset(inputs)


class OpenSizeError(DhcError):
    """A model can be read for some sizes alone.

    Attributes:
        sizes: The sizes that must be bound, by name, and their numbers.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic], sizes: Mapping[str, int]) -> None:
        """Keeps the sizes beside the records."""
        super().__init__(diagnostics)
        self.sizes = dict(sizes)


def held(value: Given, port: onnx.ValueInfoProto) -> Held:
    """Returns a value from outside, as if the model had it.

    Raises:
        DhcError: if it is no value of this input.
    """
    if value is None:
        return Nothing()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return Tensors(tuple(_known(np.asarray(each), port.name) for each in value))
    type = port.type.tensor_type
    if type.elem_type == TEXT:
        return _text(np.asarray(value), port.name)
    found = _known(np.asarray(value), port.name)
    if port.type.HasField("tensor_type") and not _fits(found, type):
        raise refused(f"The input '{port.name}' cannot be {found.dtype}{list(found.array.shape)}.")
    return found


def _text(array: Array, name: str) -> Strings:
    from dhc.onnx.strings import strings_of

    try:
        return strings_of(array)
    except ForeignError as error:
        raise refused(f"The input '{name}' cannot be read: {error}.") from error


def _known(array: Array, name: str) -> Known:
    """An array as a known tensor.

    Raises:
        DhcError: if dhc has no such elements.
    """
    try:
        return Known(array, dtype_of(array))
    except ValueError:
        kind = "STRING" if array.dtype.kind in "OSU" else str(array.dtype).upper()
        raise no_element_type(f"The input '{name}'", kind) from None


def _fits(value: Known, type: onnx.TypeProto.Tensor) -> bool:
    """Whether a tensor has the element type and the sizes that an input says."""
    if ELEMENTS.get(type.elem_type) is not value.dtype:
        return False
    if not type.HasField("shape"):
        return True
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in type.shape.dim]
    shape = value.array.shape
    return len(sizes) == len(shape) and all(
        a in (None, b) for a, b in zip(sizes, shape, strict=True)
    )
