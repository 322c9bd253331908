"""Sequences and optionals of ONNX: what they hold is known while a model is read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from dhc.ir.types import DType
from dhc.ops.empty import cut, joined_values, type_of
from dhc.ops.foreign import (
    Call,
    ForeignError,
    Held,
    Known,
    Nothing,
    Results,
    Tensors,
    Value,
    as_value,
    reads,
)
from dhc.ops.rules import normalize_axis
from dhc.ops.shape import Reshape

MOST_ITEMS = 1 << 12


# ---- sequences -------------------------------------------------------------------------------


@reads("SequenceConstruct")
def _construct(call: Call) -> Tensors:
    return Tensors(tuple(call.value(number) for number in range(len(call))))


@reads("SequenceEmpty")
def _empty(call: Call) -> Tensors:
    call.get("dtype", 1)
    return Tensors(())


@reads("SequenceLength")
def _length(call: Call) -> Known:
    return Known(np.array(len(call.sequence(0)), np.int64), DType.I64)


@reads("SequenceAt")
def _at(call: Call) -> Value:
    items = call.sequence(0)
    return items[_position(call, 1, len(items))]


@reads("SequenceInsert")
def _insert(call: Call) -> Tensors:
    items = call.sequence(0)
    place = _position(call, 2, len(items) + 1, len(items)) if call.has(2) else len(items)
    if len(items) >= MOST_ITEMS:
        raise ForeignError(f"the sequence has more than {MOST_ITEMS} tensors")
    return Tensors((*items[:place], call.value(1), *items[place:]))


@reads("SequenceErase")
def _erase(call: Call) -> Tensors:
    items = call.sequence(0)
    place = _position(call, 1, len(items)) if call.has(1) else len(items) - 1
    return Tensors((*items[:place], *items[place + 1 :]))


def _position(call: Call, number: int, places: int, length: int | None = None) -> int:
    """A place in a sequence; negative ones count from its end.

    Raises:
        ForeignError: if it lies outside.
    """
    given = int(call.numbers(number).reshape(-1)[0])
    place = given + (places if length is None else length) if given < 0 else given
    if not 0 <= place < places:
        raise ForeignError(f"the sequence has no place {given}")
    return place


@reads("SequenceMap")
def _map(call: Call) -> Results:
    """What a graph gives for each tensor of sequences; other inputs are the same each time."""
    body, count = call.body("body"), len(call.sequence(0))
    inputs = [call.held(number) for number in range(len(call))]
    if any(isinstance(each, Tensors) and len(each.items) != count for each in inputs):
        raise ForeignError("its sequences have different lengths")
    made = [body([_item(each, place) for each in inputs]) for place in range(count)]
    if not made:
        return tuple(Tensors(()) for _ in call.results)
    return tuple(
        Tensors(tuple(as_value(each, "what its graph makes") for each in parts))
        for parts in zip(*made, strict=True)
    )


def _item(held: Held, place: int) -> Held:
    return held.items[place] if isinstance(held, Tensors) else held


# ---- tensors as sequences --------------------------------------------------------------------


@reads("SplitToSequence")
def _split(call: Call) -> Tensors:
    x = call.value(0)
    axis = normalize_axis("split", call.get("axis", 0), type_of(x).rank)
    squeezed = not call.get("keepdims", 1) and not call.has(1)
    sizes = _sizes(call, type_of(x).shape[axis])
    starts = [0, *accumulate(sizes)]
    parts = [cut(call, x, (axis, s, s + n, 1)) for s, n in zip(starts, sizes, strict=False)]
    return Tensors(tuple(_without(call, part, axis) if squeezed else part for part in parts))


def _sizes(call: Call, whole: object) -> Sequence[int]:
    """How many elements of the axis each part has.

    Raises:
        ForeignError: if they do not fit.
    """
    if not isinstance(whole, int) or whole > MOST_ITEMS:
        raise ForeignError(f"it splits an axis of {whole}")
    given = call.numbers(1) if call.has(1) else np.array(1)
    if given.ndim:
        sizes = [int(size) for size in given]
    elif int(given) < 1:
        raise ForeignError(f"it splits into parts of {given}")
    else:
        sizes = [min(int(given), whole - start) for start in range(0, whole, int(given))]
    if sum(sizes) != whole or min(sizes, default=0) < 0:
        raise ForeignError(f"it splits an axis of {whole} into {sizes}")
    return sizes


def _without(call: Call, value: Value, axis: int) -> Value:
    shape = type_of(value).shape
    return Reshape((*shape[:axis], *shape[axis + 1 :]))(call.node(value))


@reads("ConcatFromSequence")
def _concat(call: Call) -> Value:
    items = list(call.sequence(0))
    if not items:
        raise ForeignError("it joins no tensors")
    new = bool(call.get("new_axis", 0))
    rank = type_of(items[0]).rank + new
    axis = normalize_axis("concat", call.get("axis", 0), rank)
    if new:
        items = [_with(call, item, axis) for item in items]
    return joined_values(call, items, axis)


def _with(call: Call, value: Value, axis: int) -> Value:
    shape = type_of(value).shape
    return Reshape((*shape[:axis], 1, *shape[axis:]))(call.node(value))


# ---- optionals -------------------------------------------------------------------------------


@reads("Optional")
def _optional(call: Call) -> Held:
    call.get("type", None)
    return call.held(0) if call.has(0) else Nothing()


@reads("OptionalHasElement")
def _has(call: Call) -> Known:
    full = call.has(0) and not isinstance(call.held(0), Nothing)
    return Known(np.array(full), DType.BOOL)


@reads("OptionalGetElement")
def _get(call: Call) -> Held:
    found = call.held(0)
    if isinstance(found, Nothing):
        raise ForeignError("it takes what an optional does not hold")
    return found
