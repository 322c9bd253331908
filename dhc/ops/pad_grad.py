"""The gradient of padding with elements of the tensor itself."""

from __future__ import annotations

from dhc.ir.graph import Node
from dhc.ir.size import Size
from dhc.ops.elementwise import Add
from dhc.ops.movement import Borders, Embed, Pad, slice_axis
from dhc.ops.reduce import ReduceSum


def pad_gradient(pad: Pad, upstream: Node, x: Node) -> Node:
    """Returns the gradient for x of padding in a mode other than `constant`.

    An element gets what belongs to its own place, and what belongs to the padding that shows it.
    Axes are padded independently, so they are folded back one after another.
    """
    result = upstream
    for axis, (before, after) in enumerate(pad.pads):
        if before == after == 0:
            continue
        size = x.type.shape[axis]
        folded = slice_axis(result, axis, before, before + size)
        first, second, step = _shown(pad.mode, before, size)
        if before:
            part = slice_axis(result, axis, 0, before)
            folded = Add()(folded, _put(part, axis, size, first, step))
        if after:
            part = slice_axis(result, axis, before + size, before + size + after)
            folded = Add()(folded, _put(part, axis, size, second, step))
        result = folded
    return result


def _shown(mode: Borders, before: int, size: Size) -> tuple[Size, Size, int]:
    """The elements shown first before and first after the tensor, and the step to the next."""
    match mode:
        case "reflect":
            return before, size - 2, -1
        case "wrap":
            return size - before, 0, 1
    return 0, size - 1, 0


def _put(part: Node, axis: int, size: Size, start: Size, step: int) -> Node:
    """Brings padding to the places that it shows, zeros elsewhere; step 0 is always one place."""
    if step == 0:
        part, step = ReduceSum((axis,), True)(part), 1
    starts: list[Size] = [0] * part.type.rank
    shape, steps = list(part.type.shape), [1] * part.type.rank
    starts[axis], shape[axis], steps[axis] = start, size, step
    return Embed(tuple(starts), tuple(shape), tuple(steps))(part)
