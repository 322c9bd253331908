"""Tensors without elements: they are known while a model is read, and no kernel ever sees them."""

from __future__ import annotations

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.size import Size, ceil_divide
from dhc.ir.types import Tensor
from dhc.ops.foreign import Call, ForeignError, Known, Value
from dhc.ops.movement import Slice
from dhc.ops.shape import joined


def type_of(value: Value) -> Tensor:
    """Returns the type of a tensor that is read."""
    return value.type if isinstance(value, Node) else Tensor(value.dtype, value.array.shape)


Part = tuple[int, Size, Size, int]  # an axis, a start, a stop and a step


def without_elements(type: Tensor) -> Known:
    """Returns the tensor of a type that has no elements.

    Raises:
        ForeignError: if some of its sizes have names.
    """
    if not all(isinstance(size, int) for size in type.shape):
        raise ForeignError(f"{type} has no elements, and sizes that are not known")
    return Known(np.zeros(type.static_shape, type.dtype.numpy), type.dtype)


def cut(call: Call, value: Value, *parts: Part) -> Value:
    """Returns parts of axes in one slice, also where it takes nothing."""
    type = type_of(value)
    starts: list[Size] = [0] * type.rank
    sizes, steps = list(type.shape), [1] * type.rank
    for axis, start, stop, step in parts:
        count = ceil_divide(stop - start, step) if step > 0 else ceil_divide(start - stop, -step)
        starts[axis], steps[axis] = start, step
        sizes[axis] = max(count, 0) if isinstance(count, int) else count
    if 0 in sizes:
        return without_elements(type.with_shape(tuple(sizes)))
    return Slice(tuple(starts), tuple(sizes), tuple(steps))(call.node(value))


def joined_values(call: Call, values: list[Value], axis: int) -> Value:
    """Returns tensors one after another; those without elements add nothing."""
    parts = [each for each in values if type_of(each).shape[axis] != 0]
    return joined([call.node(each) for each in parts], axis) if parts else values[0]
