"""Nodes of ONNX whose number of results depends on values: read where these are known.

The sizes of a program's tensors are known before it runs. So there is no node for the boxes that
are left, or the elements that are not zero, of what is only computed then.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.types import DType
from dhc.ops.base import Array, normalize_axis
from dhc.ops.foreign import Call, ForeignError, Known, Value, reads
from dhc.ops.lookup import Gather
from dhc.ops.shape import Reshape

MOST_BOXES = 1 << 14  # each of which may be held against all others


def _known(call: Call, number: int) -> Known:
    """An input that must be known.

    Raises:
        ForeignError: if it is not.
    """
    found = call.value(number)
    if not isinstance(found, Known):
        raise ForeignError(
            "how much it gives depends on values that are only known when the model runs"
        )
    call.numbers(number)
    return found


@reads("NonZero")
def _read_nonzero(call: Call) -> Value:
    array = np.atleast_1d(_known(call, 0).array)
    return Known(np.array(np.nonzero(array), np.int64), DType.I64)


@reads("Compress")
def _read_compress(call: Call) -> Node:
    """Entries along an axis, or of all elements in a row, where a condition holds."""
    x, chosen = call.tensor(0), np.flatnonzero(_known(call, 1).array)
    axis = call.get("axis", 0)
    if not call.says("axis"):
        whole = int(np.prod(x.type.static_shape))
        x = Reshape((whole,))(x)
    axis = normalize_axis("compress", axis, x.type.rank)
    if not len(chosen):
        raise ForeignError("nothing is left of its input")
    return Gather(axis)(x, call.constant(chosen.astype(np.int64)))


@reads("Unique")
def _read_unique(call: Call) -> tuple[Value, ...]:
    """The elements or entries without doubles, their first places, and how often each is there."""
    x = _known(call, 0)
    axis = call.get("axis", 0) if call.says("axis") else None
    found, first, back, counts = np.unique(
        x.array, return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    back = back.reshape(-1)
    if not call.get("sorted", 1):
        order = np.argsort(first, kind="stable")
        rank = np.argsort(order, kind="stable")
        found = np.take(found, order, axis or 0)
        first, back, counts = first[order], rank[back], counts[order]
    numbers = (Known(each.astype(np.int64), DType.I64) for each in (first, back, counts))
    return Known(found, x.dtype), *numbers


@reads("NonMaxSuppression")
def _read_suppression(call: Call) -> Value:
    """Boxes by their scores, without those that overlap a better one: (sample, class, box)."""
    boxes, scores = _known(call, 0).array, _known(call, 1).array
    if scores.shape[-1] > MOST_BOXES:
        raise ForeignError(f"it has more than {MOST_BOXES} boxes")
    most = call.listed(2)[0] if call.has(2) else 0
    overlap = float(call.numbers(3).reshape(-1)[0]) if call.has(3) else 0.0
    least = float(call.numbers(4).reshape(-1)[0]) if call.has(4) else -np.inf
    corners = _corners(boxes.astype(np.float64), bool(call.get("center_point_box", 0)))
    found = [
        (sample, group, box)
        for sample, group in np.ndindex(*scores.shape[:2])
        for box in _kept(corners[sample], scores[sample, group], most, overlap, least)
    ]
    return Known(np.array(found, np.int64).reshape(-1, 3), DType.I64)


def _corners(boxes: Array, centred: bool) -> Array:
    """Boxes as their lower and upper corners, whichever were given and in what order."""
    first, second = boxes[..., :2], boxes[..., 2:]
    if centred:
        first, second = first - second / 2, first + second / 2
    return np.concatenate([np.minimum(first, second), np.maximum(first, second)], axis=-1)


def _kept(boxes: Array, scores: Array, most: int, overlap: float, least: float) -> Iterator[int]:
    """The boxes of one class, the best first."""
    left = np.argsort(-scores, kind="stable")
    left = left[scores[left] > least]
    for _ in range(most):
        if not len(left):
            return
        best, left = int(left[0]), left[1:]
        yield best
        left = left[_overlaps(boxes[best], boxes[left]) <= overlap]


def _overlaps(box: Array, others: Array) -> Array:
    """The area that a box shares with each other, over the area of both."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    both = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=-1) - shared
    return np.asarray(np.divide(shared, both, out=np.zeros_like(shared), where=both > 0))
