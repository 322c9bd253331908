"""The inputs of a model: what they are called, and which of their sizes are open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dhc.errors import Diagnostic
from dhc.ir.bindings import check_bindings
from dhc.ir.graph import Input, Node
from dhc.ir.size import Size, symbol
from dhc.ir.types import Tensor
from dhc.onnx.file import element_name, no_element_type, refused
from dhc.onnx.imported import NotKnownError
from dhc.onnx.names import Names
from dhc.ops.empty import without_elements
from dhc.ops.foreign import ELEMENTS, TEXT, Value

if TYPE_CHECKING:
    import onnx

_UNNAMED = ("", "?")  # what exporters write for a size without a name


class Ports:
    """Reads the inputs of a model.

    Args:
        shapes: Values of sizes that are open, by the names that the model gives them, or dhc.

    Attributes:
        names: What the model calls each input, by its node, in their order.
        sizes: The names of sizes that are taken.
    """

    def __init__(self, shapes: Mapping[str, int]) -> None:
        self.names: dict[Node, str] = {}
        self._shapes = shapes
        self._labels = Names()
        self.sizes = Names()
        self._found: dict[str, str] = {}

    def input(self, each: onnx.ValueInfoProto) -> Value:
        """Returns an input as a node; without elements it is known.

        Raises:
            DhcError: if its type or rank is not known.
        """
        if not each.type.HasField("tensor_type"):
            text = f"The input '{each.name}' is no tensor; it must be given."
            raise NotKnownError([Diagnostic("onnx", text)], [each.name])
        type = each.type.tensor_type
        if type.elem_type == TEXT:
            text = f"The input '{each.name}' is text; it must be given."
            raise NotKnownError([Diagnostic("onnx", text)], [each.name])
        dtype = ELEMENTS.get(type.elem_type)
        if dtype is None:
            raise no_element_type(f"The input '{each.name}'", element_name(type.elem_type))
        if not type.HasField("shape"):
            raise refused(f"The model does not say how many axes the input '{each.name}' has.")
        shape = tuple(self._size(said, axis) for axis, said in enumerate(said_sizes(each)))
        if 0 in shape:
            return without_elements(Tensor(dtype, shape))
        node = Input(self._labels.of(each.name), Tensor(dtype, shape))()
        self.names[node] = each.name
        return node

    @property
    def open(self) -> tuple[str, ...]:
        """The names of the sizes that are not bound."""
        bound = self._shapes.keys()
        return tuple(name for said, name in self._found.items() if not {said, name} & bound)

    def check(self) -> None:
        """Refuses values of sizes that no input has.

        Raises:
            DhcError: for the first of them.
        """
        named = {self._found.get(name, name): size for name, size in self._shapes.items()}
        check_bindings(named, frozenset(self._found.values()))

    def _size(self, said: int | str, axis: int) -> Size:
        if isinstance(said, int):
            return said
        label = self._found.setdefault(said, self.sizes.size_of(said, axis))
        return self._shapes.get(said) or self._shapes.get(label) or symbol(label)


def said_sizes(each: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    """Returns what a file says of the sizes of an input: numbers, and names of what is open.

    Raises:
        DhcError: if it says a negative number.
    """
    dims = enumerate(each.type.tensor_type.shape.dim)
    return tuple(_said(each.name, axis, dim) for axis, dim in dims)


def _said(name: str, axis: int, dim: onnx.TensorShapeProto.Dimension) -> int | str:
    if dim.HasField("dim_value") and dim.dim_value != -1:
        if dim.dim_value < 0:
            raise refused(f"The input '{name}' says that it has {dim.dim_value} elements.")
        return int(dim.dim_value)
    return f"axis {axis} of {name}" if dim.dim_param in _UNNAMED else str(dim.dim_param)
