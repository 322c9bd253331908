"""What ONNX itself says of the elements that its operators take."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from dhc.ir.types import DType
from dhc.ops.foreign import ForeignError
from dhc.ops.outward import Body, Written

if TYPE_CHECKING:
    import onnx

    Formal = onnx.defs.OpSchema.FormalParameter

_NAMES = {
    DType.F32: "float", DType.F64: "double", DType.F16: "float16", DType.BF16: "bfloat16",
    DType.BOOL: "bool",
}  # fmt: skip


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
        for term in node.outputs:
            if f"tensor({_name(term.dtype)})" not in _types(self._opset):
                raise ForeignError(f"ONNX {self._opset} has no elements of the type {term.dtype}")


def _name(dtype: DType) -> str:
    if dtype.is_float:
        return _NAMES.get(dtype, f"float{dtype.value.removeprefix('f')}")
    sign = "int" if dtype.is_signed else "uint"
    return _NAMES.get(dtype, f"{sign}{dtype.bits}")


def is_same(node: onnx.NodeProto, opset: int, later: int) -> bool:
    """Whether a node means the same in a later version of ONNX's operators, or is none of them."""
    from onnx import defs

    domain = _domain(node)
    if not defs.has(node.op_type, domain):
        return True
    try:
        old, new = (defs.get_schema(node.op_type, each, domain) for each in (opset, later))
    except defs.SchemaError:
        return False
    return bool(old.since_version == new.since_version)


def results_like(node: onnx.NodeProto, opset: int, inputs: Collection[int]) -> frozenset[int]:
    """Returns which results of a node have the element type of some inputs, as ONNX says.

    Raises:
        ForeignError: if ONNX does not know the operator.
    """
    from onnx import defs

    try:
        schema = defs.get_schema(node.op_type, opset, _domain(node))
    except defs.SchemaError:
        raise ForeignError("dhc does not know the element types of what it gives") from None
    given = {_formal(schema.inputs, number).type_str for number in inputs}
    numbers = range(len(node.output))
    return frozenset(n for n in numbers if _formal(schema.outputs, n).type_str in given)


def _domain(node: onnx.NodeProto) -> str:
    """ONNX's own operators have no domain, or go by a longer name."""
    return "" if node.domain == "ai.onnx" else str(node.domain)


def _formal(listed: Sequence[Formal], number: int) -> Formal:
    """What ONNX says of an input or output; the last one stands for all that follow."""
    return listed[min(number, len(listed) - 1)]


@cache
def _allowed(op_type: str, opset: int) -> tuple[frozenset[str], ...]:
    """The types of each input; the last one's are those of all that follow."""
    from onnx import defs

    schema = defs.get_schema(op_type, opset, "")
    return tuple(frozenset(each.types) for each in schema.inputs)


@cache
def _types(opset: int) -> frozenset[str]:
    """The types that a version has."""
    from onnx import defs

    return frozenset(defs.get_schema("Cast", opset, "").outputs[0].types)
