"""Operators that ONNX itself defines in terms of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dhc.ops.foreign import ELEMENTS, TEXT, ForeignError, Held, Known, Nothing, Strings, Tensors

if TYPE_CHECKING:
    import onnx

NUMBERS = {dtype: number for number, dtype in ELEMENTS.items()}


def standard_function(
    node: onnx.NodeProto, opset: int, inputs: Sequence[Held | None]
) -> onnx.FunctionProto | None:
    """Returns what a node of ONNX's own operators is made of; None if ONNX does not say.

    Raises:
        ForeignError: if ONNX fails.
    """
    from onnx import FunctionProto, defs

    if not defs.has(node.op_type, node.domain):
        return None
    schema: Any  # the package's own stubs leave functions out
    try:
        schema = defs.get_schema(node.op_type, opset, node.domain)
    except defs.SchemaError:
        return None
    if schema.has_function:
        body: FunctionProto = schema.function_body
        return body
    if not schema.has_context_dependent_function:
        return None
    types = [_type(value).SerializeToString() for value in inputs]
    try:
        content = schema.get_context_dependent_function(node.SerializeToString(), types)
    except RuntimeError as error:  # it puts names into a text that it parses
        raise ForeignError(f"ONNX does not say what it is made of: {error}") from error
    function = FunctionProto()
    function.ParseFromString(content)
    return function


def usual_attributes(node: onnx.NodeProto, opset: int) -> dict[str, onnx.AttributeProto]:
    """Returns what a node of ONNX's own operators means where it says nothing."""
    from onnx import defs

    if not defs.has(node.op_type, node.domain):
        return {}
    try:
        schema = defs.get_schema(node.op_type, opset, node.domain)
    except defs.SchemaError:
        return {}
    usual = {name: each.default_value for name, each in schema.attributes.items()}
    return {name: value for name, value in usual.items() if value.type}


def _type(value: Held | None) -> onnx.TypeProto:
    from onnx import TypeProto, helper

    if value is None or isinstance(value, Nothing):
        return TypeProto()
    if isinstance(value, Tensors):
        return helper.make_sequence_type_proto(_type(value.items[0] if value.items else None))
    if isinstance(value, Strings):
        return helper.make_tensor_type_proto(TEXT, value.array.shape)
    dtype = value.dtype if isinstance(value, Known) else value.type.dtype
    shape = value.array.shape if isinstance(value, Known) else value.type.shape
    sizes = [size if isinstance(size, int) else str(size) for size in shape]
    return helper.make_tensor_type_proto(NUMBERS[dtype], sizes)
