"""Parts of axes: the layer of the language, and how it says what a slice takes."""

from __future__ import annotations

from typing import TypeVar

from dhc.ir.graph import Node
from dhc.ir.size import Size, ceil_divide, counts, least, limit_of
from dhc.ops.base import Axis, LayerContext, TypeRuleError, layer, normalize_axis
from dhc.ops.movement import Slice
from dhc.ops.phrase import Phrase, unusual

T = TypeVar("T")


@layer("slice")
def slice(
    context: LayerContext,
    x: Node,
    axis: Axis | tuple[Axis, ...],
    start: Size | tuple[Size, ...] | None = None,
    stop: Size | tuple[Size, ...] | None = None,
    step: int | tuple[int, ...] = 1,
) -> Node:
    """Elements `start` to before `stop` of an axis, as in Python: -1 is the last element.

    Of several axes, as in `slice([H, W], start=[1, 2])`, each has its own numbers, or all the same.
    """
    axes = axis if isinstance(axis, tuple) else (axis,)
    starts, stops = _each(start, len(axes)), _each(stop, len(axes))
    return parts(x, axes, starts, stops, _each(step, len(axes)))


def _each(value: T | tuple[T, ...], count: int) -> tuple[T, ...]:
    """The numbers of several axes."""
    found = value if isinstance(value, tuple) else (value,) * count
    if len(found) != count:
        raise TypeRuleError(f"'slice' has {count} axes and gets {len(found)} numbers for them.")
    return found


def part(x: Node, axis: int, start: Size | None, stop: Size | None, step: int = 1) -> Node:
    """Returns a part of one axis."""
    return parts(x, (axis,), (start,), (stop,), (step,))


def parts(
    x: Node,
    axes: tuple[int, ...],
    starts: tuple[Size | None, ...],
    stops: tuple[Size | None, ...],
    steps: tuple[int, ...],
) -> Node:
    """Returns parts of axes in one slice."""
    firsts: list[Size] = [0] * x.type.rank
    sizes, strides = list(x.type.shape), [1] * x.type.rank
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        if step == 0:
            raise TypeRuleError("'slice' cannot take steps of 0.")
        place = normalize_axis("slice", axis, x.type.rank)
        begin, end = bounds(x.type.shape[place], start, stop, step)
        sizes[place] = (
            ceil_divide(end - begin, step) if step > 0 else ceil_divide(begin - end, -step)
        )
        firsts[place], strides[place] = begin, step
    return Slice(tuple(firsts), tuple(sizes), tuple(strides))(x)


def bounds(whole: Size, start: Size | None, stop: Size | None, step: int) -> tuple[Size, Size]:
    """Returns a start and a stop as `slice_axis` wants them, for an axis of so many elements."""
    first, last = (0, whole) if step > 0 else (whole - 1, -1)
    begin = first if start is None else _place(start, whole, step)
    end = last if stop is None else _place(stop, whole, step)
    return begin, end


def _place(value: Size, whole: Size, step: int) -> Size:
    """A start or stop, counted from the front and, where sizes are known, inside the axis."""
    place = value + whole if isinstance(value, int) and value < 0 else value
    if isinstance(value, int) and step > 0 and counts(whole):
        return least(whole, value) if value >= 0 else whole - least(whole, -value)
    if isinstance(place, int) and isinstance(whole, int):
        return min(max(place, 0), whole) if step > 0 else min(max(place, -1), whole - 1)
    return place


def slice_phrase(operator: Slice, x: Node) -> Phrase:
    """Returns how the language says a slice."""
    whole = x.type.shape
    taken = zip(operator.start, operator.size, operator.step, whole, strict=True)
    axes = tuple(a for a, each in enumerate(taken) if each != (0, each[3], 1, each[3])) or (0,)
    steps = tuple(operator.step[axis] for axis in axes)
    starts = tuple(operator.start[axis] for axis in axes)
    stops = tuple(
        limit_of(operator.size[axis], whole[axis]) or _stop(operator, x, axis) for axis in axes
    )
    firsts = tuple(0 if operator.step[a] > 0 else whole[a] - 1 for a in axes)
    lasts = tuple(whole[a] if operator.step[a] > 0 else -1 for a in axes)
    said = unusual(start=(starts, firsts), stop=(stops, lasts), step=(steps, (1,) * len(axes)))
    one = {name: _shared(each) for name, each in said.items()}
    return Phrase(operator.name, (x,), {"axis": axes[0] if len(axes) == 1 else axes} | one)


def _stop(operator: Slice, x: Node, axis: int) -> Size:
    """Where a slice stops: at the end of the axis, if it takes the last element that it can."""
    start, step, whole = operator.start[axis], operator.step[axis], x.type.shape[axis]
    last = whole if step > 0 else -1
    most = ceil_divide(last - start, step) if step > 0 else ceil_divide(start - last, -step)
    return last if most == operator.size[axis] else operator.stop(axis)


def _shared(values: object) -> object:
    """One number in place of several that are the same."""
    assert isinstance(values, tuple)
    return values[0] if all(each == values[0] for each in values) else values
