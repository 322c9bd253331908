"""Nodes of ONNX with bf16 elements: f32 is computed, and results are rounded once.

What only moves or converts elements is read as it stands. All else is read with f32 in place of
bf16; results that have the element type of such inputs become bf16 again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from dhc.ir.evaluate import convert
from dhc.ir.graph import Node
from dhc.ir.types import DType
from dhc.ops.elementwise import Cast
from dhc.ops.foreign import Held, Known, Nothing, Strings, Tensors, Value
from dhc.ops.rules import NarrowTypeError

Inputs = Sequence[Held | None]
Outputs = tuple[Held | None, ...]


def read_in_f32(
    read: Callable[[Inputs], Outputs],
    inputs: Inputs,
    like: Callable[[Collection[int]], Collection[int]],
) -> Outputs:
    """Returns what a node gives, with f32 in place of bf16 if it computes.

    Args:
        read: Reads the node for any inputs.
        inputs: Its inputs.
        like: Says which results have the element type of some inputs.

    Raises:
        NarrowTypeError: if it computes with other narrow elements.
    """
    try:
        return read(inputs)
    except NarrowTypeError as error:
        narrow = [number for number, held in enumerate(inputs) if _has_bf16(held)]
        if error.dtype is not DType.BF16 or not narrow:
            raise
    results = read([in_f32(each) for each in inputs])
    again = like(narrow)
    return tuple(_in_bf16(each) if k in again else each for k, each in enumerate(results))


def in_f32(held: Held | None) -> Held | None:
    """Returns a value with f32 in place of bf16."""
    return _each(held, lambda value: _converted(value, DType.BF16, DType.F32))


def _in_bf16(held: Held | None) -> Held | None:
    return _each(held, lambda value: _converted(value, DType.F32, DType.BF16))


def _has_bf16(held: Held | None) -> bool:
    values = held.items if isinstance(held, Tensors) else (held,)
    return any(_dtype(each) is DType.BF16 for each in values if isinstance(each, Known | Node))


def _dtype(value: Value) -> DType:
    return value.dtype if isinstance(value, Known) else value.type.dtype


def _each(held: Held | None, change: Callable[[Value], Value]) -> Held | None:
    if held is None or isinstance(held, Nothing | Strings):
        return held
    if isinstance(held, Tensors):
        return Tensors(tuple(map(change, held.items)))
    return change(held)


def _converted(value: Value, source: DType, to: DType) -> Value:
    if _dtype(value) is not source:
        return value
    if isinstance(value, Known):
        return Known(convert(value.array, to), to, value.path)
    return Cast(to)(value)
