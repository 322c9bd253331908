"""How operators work where their tensors have more room than entries, one rule for each class.

A rule makes a node whose entries that are there are right, whatever stands in the others. Operators
without a rule must keep entries apart: `dhc.passes.entries` tells whether they do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from dhc.ir.graph import Node, Op, literal
from dhc.ir.size import Size, counts, limit_of
from dhc.ir.types import DType
from dhc.ops.compare import GreaterEqual
from dhc.ops.cumulative import CumProd, CumSum, Cumulative
from dhc.ops.elementwise import Add, Cast, Div, Min, Mul, Sub, Where
from dhc.ops.found import FlatNonZero
from dhc.ops.linear import Dense, MatMul
from dhc.ops.lookup import Gather, GatherElements
from dhc.ops.movement import Pad, SizeValue, Slice
from dhc.ops.positions import CountUp, FlatPlaces
from dhc.ops.reduce import (
    ReduceAll,
    ReduceAny,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    Reduction,
)
from dhc.ops.scatter import ScatterElements
from dhc.ops.shape import Concat, Reshape
from dhc.ops.sort import ArgSort
from dhc.ops.statistics import ArgMax, ArgMin, Place
from dhc.ops.suppress import BoxesApart
from dhc.passes.rooms import NoRoomError, Rooms, is_counted, room_for

Rule = Callable[[Rooms, Node, tuple[Node, ...]], Node]
"""Takes a node and its inputs with room; returns the node with room."""

rules: dict[type[Op], Rule] = {}


def _room(*classes: type[Op]) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        rules.update(dict.fromkeys(classes, rule))
        return rule

    return register


# ---- what is found ---------------------------------------------------------------------------


@_room(FlatNonZero)
def _flat_nonzero(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    op, mask = node.op, node.inputs[0].type
    assert isinstance(op, FlatNonZero)
    held = rooms.filled(inputs[0], mask, False)
    for count in counts(op.size):
        rooms.find(count, ReduceSum()(Cast(DType.I64)(held)))
    return rooms.op(op)(held)


@_room(SizeValue)
def _size_value(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    op = node.op
    assert isinstance(op, SizeValue)
    return Cast(op.dtype)(rooms.size(op.size))


# ---- entries by their numbers ----------------------------------------------------------------


@_room(Gather)
def _gather(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    op, (x, indices) = node.op, (source.type for source in node.inputs)
    assert isinstance(op, Gather)
    return op(inputs[0], rooms.placed(inputs[1], indices, x.shape[op.axis]))


@_room(GatherElements)
def _gather_elements(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    op, (x, indices) = node.op, (source.type for source in node.inputs)
    assert isinstance(op, GatherElements)
    axis = op.axis % x.rank
    for other, (size, own) in enumerate(zip(x.shape, indices.shape, strict=True)):
        if other != axis and counts(size) and size != own:
            raise NoRoomError(f"it takes elements of {x} at places of {indices}")
    return op(inputs[0], rooms.placed(inputs[1], indices, x.shape[axis]))


@_room(FlatPlaces)
def _flat_places(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    """Numbers from the end become numbers from the front; those that name nothing stay so."""
    op, type = node.op, node.inputs[0].type
    assert isinstance(op, FlatPlaces)
    if not is_counted(op.sizes):
        return op(inputs[0])
    if is_counted(op.sizes[1:]):
        raise NoRoomError(f"it numbers the elements of [{_text(op.sizes)}]")
    parts = [_column(inputs[0], number) for number in range(len(op.sizes))]
    first = type.with_shape((*type.shape[:-1], 1))
    parts[0] = rooms.placed(parts[0], first, op.sizes[0])
    wide = [each if each.type.dtype is DType.I64 else Cast(DType.I64)(each) for each in parts]
    joined = wide[0] if len(wide) == 1 else Concat(type.rank - 1)(*wide)
    return Min()(rooms.op(op)(joined), rooms.size(math.prod(op.sizes)))


def _column(x: Node, number: int) -> Node:
    rank = x.type.rank
    start = (*[0] * (rank - 1), number)
    return Slice(start, (*x.type.shape[:-1], 1), (1,) * rank)(x)


@_room(ScatterElements)
def _scatter(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    """Updates that are not there get a number that is not there, so that they are dropped."""
    op, (x, indices, _) = node.op, (source.type for source in node.inputs)
    assert isinstance(op, ScatterElements)
    axis = op.axis % x.rank
    for other, (size, own) in enumerate(zip(x.shape, indices.shape, strict=True)):
        if other != axis and counts(size) and size != own:
            raise NoRoomError(f"it puts elements of {indices} into {x}")
    numbers = rooms.placed(inputs[1], indices, x.shape[axis])
    (room,) = room_for((x.shape[axis],))
    inside = rooms.inside(indices.shape, range(indices.rank))
    if inside is not None:
        wide = Cast(DType.I64)(numbers) if numbers.type.dtype is not DType.I64 else numbers
        numbers = Where()(inside, wide, rooms.size(room))
    return op(inputs[0], numbers, inputs[2])


# ---- parts -----------------------------------------------------------------------------------


@_room(Slice)
def _slice(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    """Where an axis begins at a place that is found, its entries are taken by their numbers."""
    op, type = node.op, node.inputs[0].type
    assert isinstance(op, Slice)
    x, starts = inputs[0], list(op.start)
    sizes, steps = list(room_for(op.size)), list(op.step)
    for axis, whole in enumerate(type.shape):
        if not counts(whole):
            if counts(op.start[axis]):
                raise NoRoomError(f"it begins at entry {op.start[axis]} of {whole}")
            continue
        if not _is_within(op.start[axis], op.size[axis], op.step[axis], whole):
            raise NoRoomError(f"it takes {op.size[axis]} entries of {whole}")
        if counts(op.start[axis]) or op.step[axis] < 0:
            x = _picked(rooms, x, axis, op)
            starts[axis], steps[axis] = 0, 1
    return Slice(tuple(starts), tuple(sizes), tuple(steps))(x)


def _is_within(start: Size, size: Size, step: int, whole: Size) -> bool:
    """Whether as many entries as a size says are there, whatever is found."""
    if step < 0:
        return size == whole and start == whole - 1 and step == -1
    if step > 1:
        return start == 0 and size == (whole + (step - 1)) // step
    first = limit_of(size, whole) or limit_of(whole - size, whole)
    return start + size == whole or (start == 0 and first > 0)


def _picked(rooms: Rooms, x: Node, axis: int, op: Slice) -> Node:
    """The entries of one axis that a slice takes, by their numbers."""
    (room,) = room_for((op.size[axis],))
    ahead = Mul()(CountUp(room)(), literal(op.step[axis], DType.I64))
    return Gather(axis)(x, Add()(ahead, rooms.size(op.start[axis])))


@_room(Concat)
def _concat(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    """Entries that are there follow each other: they are taken from behind what is not."""
    op = node.op
    assert isinstance(op, Concat)
    axis = op.axis % node.type.rank
    made = op(*inputs)
    if not any(counts(source.type.shape[axis]) for source in node.inputs[:-1]):
        return made
    place = CountUp(made.type.shape[axis])()
    number, end, room = place, literal(0, DType.I64), literal(0, DType.I64)
    for source, given in zip(node.inputs, inputs, strict=True):
        own = Add()(Sub()(place, end), room)
        number = Where()(GreaterEqual()(place, end), own, number)
        end = Add()(end, rooms.size(source.type.shape[axis]))
        room = Add()(room, rooms.size(given.type.shape[axis]))
    return Gather(axis)(made, number)


@_room(Pad)
def _pad(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    """What is not there becomes what is put behind the last entry."""
    op, type = node.op, node.inputs[0].type
    assert isinstance(op, Pad)
    axes = [k for k, size in enumerate(type.shape) if counts(size) and op.pads[k] != (0, 0)]
    if axes and op.mode != "constant":
        raise NoRoomError("it goes on behind the last entry")
    return op(rooms.filled(inputs[0], type, op.value, axes) if axes else inputs[0])


@_room(Reshape)
def _reshape(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    """What is there must stay in front, or between the same axes."""
    op, before, after = node.op, node.inputs[0].type.shape, node.type.shape
    assert isinstance(op, Reshape)
    if not (_leads(before) and _leads(after)) and _around(before) != _around(after):
        raise NoRoomError(f"it makes [{_text(after)}] of [{_text(before)}]")
    return Reshape(room_for(after))(inputs[0])


def _leads(shape: Sequence[Size]) -> bool:
    """Whether what is there of a tensor is the first of its room."""
    before, _, _ = _around(shape)
    return before == 1


def _around(shape: Sequence[Size]) -> tuple[Size, Size, Size]:
    """The elements before, along and after the only axis that is counted.

    Raises:
        NoRoomError: if there are several.
    """
    found = [axis for axis, size in enumerate(shape) if counts(size)]
    if len(found) > 1:
        raise NoRoomError(f"two axes of [{_text(shape)}] have sizes that are found")
    if not found:
        return 1, 1, math.prod(shape)
    (axis,) = found
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def _text(shape: Sequence[Size]) -> str:
    return ", ".join(map(str, shape))


# ---- what is folded, sorted or summed --------------------------------------------------------


@_room(ReduceSum, ReduceMax, ReduceMin, ReduceProd, ReduceAny, ReduceAll)
def _reduction(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    op, type = node.op, node.inputs[0].type
    assert isinstance(op, Reduction)
    return op(rooms.neutral(inputs[0], type, op.fold, op.folded(type)))


@_room(ReduceMean)
def _mean(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    op, type = node.op, node.inputs[0].type
    assert isinstance(op, ReduceMean)
    folded = op.folded(type)
    total = ReduceSum(op.axes, op.keepdims)(rooms.filled(inputs[0], type, 0, folded))
    count = rooms.size(math.prod(type.shape[axis] for axis in folded))
    return Div()(total, Cast(type.dtype)(count))


@_room(ArgMax, ArgMin)
def _extreme(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    op, type = node.op, node.inputs[0].type
    assert isinstance(op, Place)
    return op(rooms.neutral(inputs[0], type, op.fold, (op.axis % type.rank,)))


@_room(ArgSort)
def _argsort(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    """What is not there comes last: equal elements stay in their order."""
    op, type = node.op, node.inputs[0].type
    assert isinstance(op, ArgSort)
    last = "max" if op.descending else "min"
    return op(rooms.neutral(inputs[0], type, last, (type.rank - 1,)))


@_room(BoxesApart)
def _boxes_apart(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    """No score is below minus infinity."""
    boxes, scores, *numbers = inputs
    return node.op(boxes, rooms.neutral(scores, node.inputs[1].type, "max"), *numbers)


@_room(CumSum, CumProd)
def _cumulative(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    op, type = node.op, node.inputs[0].type
    assert isinstance(op, Cumulative)
    axes = (op.axis % type.rank,) if op.reverse else ()
    return op(rooms.filled(inputs[0], type, op.neutral, axes) if axes else inputs[0])


@_room(MatMul, Dense)
def _product(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    """What is not there adds nothing to sums of products."""
    sources = zip(inputs, node.inputs, strict=True)
    return node.op(*(rooms.filled(x, source.type, 0) for x, source in sources))
