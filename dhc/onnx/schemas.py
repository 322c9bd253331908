"""What ONNX itself says of the elements that its operators take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from dhc.ir.types import DType
from dhc.ops.foreign import ForeignError
from dhc.ops.outward import Body, Written

_NAMES = {DType.F32: "float", DType.F64: "double", DType.F16: "float16", DType.BOOL: "bool"}


class Elements:
    """Checks nodes, in their order, against what ONNX says of them.

    Args:
        opset: The version of the operators.
        known: The element types of inputs and parameters, by name.
    """

    def __init__(self, opset: int, known: Mapping[str, DType]) -> None:
        self._opset = opset
        self._known = dict(known)

    def check(self, nodes: Iterable[Written]) -> None:
        """Goes on with these nodes.

        Raises:
            ForeignError: if one has elements that its operator does not take.
        """
        for node in nodes:
            for value in node.attributes.values():
                if isinstance(value, Body):
                    self._known |= {each.name: each.dtype for each in value.inputs}
                    self.check(value.nodes)
            self._known |= {each.name: each.dtype for each in node.outputs}
            self._check_inputs(node)

    def _check_inputs(self, node: Written) -> None:
        allowed = _allowed(node.op_type, self._opset)
        for place, name in enumerate(node.inputs):
            dtype = self._known.get(name)
            types = allowed[min(place, len(allowed) - 1)]
            if dtype is not None and f"tensor({_name(dtype)})" not in types:
                raise ForeignError(f"ONNX has no '{node.op_type}' of {dtype}")


def _name(dtype: DType) -> str:
    sign = "int" if dtype.is_signed else "uint"
    return _NAMES.get(dtype, f"{sign}{dtype.bits}")


@cache
def _allowed(op_type: str, opset: int) -> tuple[frozenset[str], ...]:
    """The types of each input; the last one's are those of all that follow."""
    from onnx import defs

    schema = defs.get_schema(op_type, opset, "")
    return tuple(frozenset(each.types) for each in schema.inputs)
