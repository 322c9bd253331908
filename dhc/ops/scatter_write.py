"""Scattered elements in terms of other operators, for what ONNX does not say or has only later."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dhc.ir.graph import Node, literal
from dhc.ir.types import DType
from dhc.ops.compare import And, Equal, GreaterEqual, Less
from dhc.ops.conv import int_size
from dhc.ops.elementwise import Add, Cast, Max, Min, Mul, Where
from dhc.ops.movement import Pad, SizeValue
from dhc.ops.positions import CountUp
from dhc.ops.reduce import ReduceMax, ReduceMin, ReduceProd, ReduceSum
from dhc.ops.shape import Reshape

if TYPE_CHECKING:
    from dhc.ops.scatter import ScatterElements

_COMBINED = {"add": Add, "mul": Mul, "min": Min, "max": Max}
_FOLDED = {"add": ReduceSum, "mul": ReduceProd, "min": ReduceMin, "max": ReduceMax}


def beyond(axis: int, x: Node, indices: Node) -> tuple[Node, Node]:
    """Returns x with one place more along an axis, and numbers from the front.

    Numbers that are not there become that of the new place.
    """
    pads = [(0, 0)] * x.type.rank
    pads[axis] = (0, 1)
    count = SizeValue(x.type.shape[axis], DType.I64)()
    own = indices if indices.type.dtype is DType.I64 else Cast(DType.I64)(indices)
    front = Where()(Less()(own, literal(0, DType.I64)), Add()(own, count), own)
    inside = And()(GreaterEqual()(front, literal(0, DType.I64)), Less()(front, count))
    return Pad(tuple(pads))(x), Where()(inside, front, count)


def written_apart(scatter: ScatterElements, x: Node, indices: Node, updates: Node) -> Node:
    """Returns what updates do to x: for each element all updates of its line are looked through.

    That needs memory for each element with each of them.
    """
    axis = scatter.axis % x.type.rank
    _, numbers = beyond(axis, x, indices)
    count, several = x.type.shape[axis], indices.type.shape[axis]
    neutral = _neutral(scatter.reduction, x.type.dtype)
    line = (*indices.type.shape[:axis], 1, several, *indices.type.shape[axis + 1 :])
    own = Reshape((count, *[1] * (x.type.rank - axis)))(CountUp(count)())
    meant = Equal()(Reshape(line)(numbers), own)
    parts = Where()(meant, Reshape(line)(updates), neutral)
    folded = _FOLDED[scatter.reduction]((axis + 1,))(parts)
    rest = [
        (0, 0 if k == axis else int_size(whole) - int_size(part))
        for k, (whole, part) in enumerate(zip(x.type.shape, indices.type.shape, strict=True))
    ]
    around = Pad(tuple(rest), value=neutral.op.value)(folded)  # type: ignore[attr-defined]
    return _COMBINED[scatter.reduction]()(x, around)


def _neutral(reduction: str, dtype: DType) -> Node:
    """What combines with every element without changing it."""
    if reduction in ("add", "mul"):
        return literal(0 if reduction == "add" else 1, dtype)
    if dtype.is_float:
        return literal(math.inf if reduction == "min" else -math.inf, dtype)
    info = np.iinfo(dtype.numpy)
    return literal(int(info.max if reduction == "min" else info.min), dtype)
