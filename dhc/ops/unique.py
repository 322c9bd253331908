"""Elements without doubles: sorting brings equal ones together, and the first of them stay."""

from __future__ import annotations

import math
from collections.abc import Callable

from dhc.ir.graph import Node, literal
from dhc.ir.size import Size
from dhc.ir.types import DType
from dhc.ops.base import normalize_axis
from dhc.ops.compare import Equal, NotEqual, Or
from dhc.ops.conv import int_size
from dhc.ops.cumulative import CumSum
from dhc.ops.elementwise import Cast, Sub, Where
from dhc.ops.foreign import ForeignError
from dhc.ops.lookup import Gather
from dhc.ops.movement import Expand, SizeValue, slice_axis
from dhc.ops.positions import CountUp
from dhc.ops.reduce import ReduceAny
from dhc.ops.scatter import ScatterElements
from dhc.ops.shape import Permute, Reshape
from dhc.ops.sort import ArgSort

MOST_KEYS = 64  # elements of an entry, by each of which all entries are sorted


def unique_entries(
    x: Node, axis: int | None, in_order: bool, find: Callable[[Node], Node]
) -> tuple[Node, Node, Node, Node]:
    """Returns what is left without doubles, as ONNX's Unique has it.

    Args:
        x: The tensor.
        axis: Along which axis entries are compared; None for the elements of all axes.
        in_order: Whether the entries are sorted; else they stay in the order of their first places.
        find: Gives the numbers of the elements of a row that hold.

    Returns:
        The entries, where of single elements that are no numbers one is left; for each of them its
        first place; for each entry of x the number of its like; and how often each is there.

    Raises:
        ForeignError: if an entry has too many elements.
    """
    alone = axis is None
    if axis is None:
        x, axis = Reshape((math.prod(x.type.shape),))(x), 0
    axis = normalize_axis("unique", axis, x.type.rank)
    rows = _rows(x, axis)
    keys = _keys(rows)
    order = _sorted(keys)
    new = _begins([Gather(0)(each, order) for each in (keys if alone else [rows])])
    run = _before(new)  # for each sorted entry, the number of the entries that differ before it
    count = x.type.shape[axis]
    back = ScatterElements(0)(_zeros(count), order, run)
    often = ScatterElements(0, "add")(_zeros(count), run, _whole(_ones(new)))
    if in_order:
        starts = find(new)
        first, chosen = Gather(0)(order, starts), Gather(0)(run, starts)
    else:
        leads = ScatterElements(0)(_zeros(count, DType.BOOL), order, new)
        first = find(leads)
        chosen = Gather(0)(back, first)
        nowhere = SizeValue(count, DType.I64)()
        rank = ScatterElements(0)(_zeros(count), Where()(leads, back, nowhere), _before(leads))
        back = Gather(0)(rank, back)
    return Gather(axis)(x, first), first, back, Gather(0)(often, chosen)


def _rows(x: Node, axis: int) -> Node:
    """The entries along an axis as rows of numbers."""
    shape = x.type.shape
    width = math.prod(size for other, size in enumerate(shape) if other != axis)
    if not isinstance(width, int) or width > MOST_KEYS:
        raise ForeignError(f"it compares entries of {width} elements")
    order = (axis, *(other for other in range(x.type.rank) if other != axis))
    rows = Reshape((shape[axis], width))(Permute(order)(x))
    return Cast(DType.U8)(rows) if x.type.dtype is DType.BOOL else rows


def _keys(rows: Node) -> list[Node]:
    """What rows are sorted by, the first key first: numbers that are none come last."""
    count, width = rows.type.shape
    keys: list[Node] = []
    for column in range(int_size(width)):
        key = Reshape((count,))(slice_axis(rows, 1, column, column + 1))
        if key.type.dtype.is_float:
            none = NotEqual()(key, key)
            keys.append(Cast(DType.U8)(none))
            key = Where()(none, literal(0.0, key.type.dtype), key)
        keys.append(key)
    return keys


def _sorted(keys: list[Node]) -> Node:
    """The numbers of the rows in order: sorted by the last key first, so the first decides."""
    order = CountUp(keys[0].type.shape[0])()
    for key in reversed(keys):
        order = Gather(0)(order, ArgSort()(Gather(0)(key, order)))
    return order


def _begins(sorted: list[Node]) -> Node:
    """Whether an entry differs from the one before it; the first one does."""
    place = CountUp(sorted[0].type.shape[0])()
    begins = Equal()(place, literal(0, DType.I64))
    for values in sorted:
        before = Gather(0)(values, Sub()(place, literal(1, DType.I64)))
        differs = NotEqual()(values, before)
        begins = Or()(begins, differs if differs.type.rank == 1 else ReduceAny((1,))(differs))
    return begins


def _before(mask: Node) -> Node:
    """How many elements that hold lie up to each place, without the first of all."""
    return Sub()(CumSum(0)(_whole(mask)), literal(1, DType.I64))


def _whole(mask: Node) -> Node:
    return Cast(DType.I64)(mask)


def _ones(mask: Node) -> Node:
    return Or()(mask, literal(True, DType.BOOL))


def _zeros(count: Size, dtype: DType = DType.I64) -> Node:
    return Expand((count,))(literal(False if dtype is DType.BOOL else 0, dtype))
