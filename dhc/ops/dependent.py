"""Nodes of ONNX whose number of results depends on values.

Where the values are known while a model is read, so are the results. Else they are found when it
runs: see `dhc.ops.found`.
"""

from __future__ import annotations

import math

import numpy as np

from dhc.ir.graph import Node, literal
from dhc.ir.types import DType
from dhc.ops.base import normalize_axis
from dhc.ops.empty import type_of, without_elements
from dhc.ops.foreign import Call, ForeignError, Known, Value, reads
from dhc.ops.found import found_in, holds, indices_of
from dhc.ops.lookup import Gather
from dhc.ops.nms import suppressed
from dhc.ops.shape import Reshape
from dhc.ops.unique import unique_entries


@reads("NonZero")
def _read_nonzero(call: Call) -> Value:
    found = call.value(0)
    if isinstance(found, Known):
        array = np.atleast_1d(call.numbers(0))
        return Known(np.array(np.nonzero(array), np.int64), DType.I64)
    x = found if found.type.rank else Reshape((1,))(found)
    return indices_of(_places(call, holds(x)), x.type.shape)


def _places(call: Call, mask: Node) -> Node:
    """The numbers of the elements that hold, found once for a mask."""
    return call.finders.once(mask, lambda name: found_in(mask, name))


@reads("Compress")
def _read_compress(call: Call) -> Value:
    """Entries along an axis, or of all elements in a row, where a condition holds."""
    x, condition = call.tensor(0), call.value(1)
    axis = call.get("axis", 0)
    if not call.says("axis"):
        x = Reshape((math.prod(x.type.shape),))(x)
    axis = normalize_axis("compress", axis, x.type.rank)
    whole, count = x.type.shape[axis], type_of(condition).shape[0]
    beyond = count - whole
    if isinstance(beyond, int) and beyond > 0:
        raise ForeignError(f"it has {count} conditions for {whole} entries")
    if not isinstance(condition, Known):
        return Gather(axis)(x, _places(call, condition))
    chosen = np.flatnonzero(call.numbers(1)).astype(np.int64)
    if not len(chosen):
        shape = (*x.type.shape[:axis], 0, *x.type.shape[axis + 1 :])
        return without_elements(x.type.with_shape(shape))
    return Gather(axis)(x, call.constant(chosen))


@reads("Unique")
def _read_unique(call: Call) -> tuple[Value, ...]:
    """The elements or entries without doubles, their first places, and how often each is there."""
    x = call.value(0)
    axis = call.get("axis", 0) if call.says("axis") else None
    in_order = bool(call.get("sorted", 1))
    if isinstance(x, Known):
        return _known_unique(Known(call.numbers(0), x.dtype), axis, in_order)
    return unique_entries(x, axis, in_order, lambda mask: _places(call, mask))


def _known_unique(x: Known, axis: int | None, in_order: bool) -> tuple[Value, ...]:
    found, first, back, counts = np.unique(
        x.array, return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    back = back.reshape(-1)
    if not in_order:
        order = np.argsort(first, kind="stable")
        rank = np.argsort(order, kind="stable")
        found = np.take(found, order, axis or 0)
        first, back, counts = first[order], rank[back], counts[order]
    numbers = (Known(each.astype(np.int64), DType.I64) for each in (first, back, counts))
    return Known(found, x.dtype), *numbers


@reads("NonMaxSuppression")
def _read_suppression(call: Call) -> Value:
    """Boxes by their scores, without those that overlap a better one: (sample, class, box)."""
    boxes, scores = call.tensor(0), call.tensor(1)
    centred = bool(call.get("center_point_box", 0))
    limit = _limit(call)
    overlap, above = _number(call, 3, 0.0, boxes), _number(call, 4, -math.inf, boxes)
    key = ("NonMaxSuppression", boxes, scores, limit, overlap, above, centred)
    return call.finders.once(
        key, lambda name: suppressed(name, boxes, scores, limit, overlap, above, centred)
    )


def _limit(call: Call) -> Node | int:
    """How many boxes of a class are kept at most."""
    if not call.has(2):
        return 0
    found = call.value(2)
    if isinstance(found, Known):
        return int(call.numbers(2).reshape(-1)[0])
    return Reshape(())(found)


def _number(call: Call, number: int, usual: float, like: Node) -> Node:
    """An input that is one number of the type of another tensor."""
    if not call.has(number):
        return literal(usual, like.type.dtype)
    found = call.value(number)
    if isinstance(found, Known):
        return literal(float(call.numbers(number).reshape(-1)[0]), like.type.dtype)
    return Reshape(())(found)
