"""Tensors that are a stretch of another one's memory: they are not computed, but lie there."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import replace

from dhc.ir.graph import Node
from dhc.lower.plan import Slot
from dhc.lower.state import STORED
from dhc.lower.to_kernels import row_major
from dhc.ops.collective import AllReduceStart, AllReduceWait
from dhc.ops.movement import Slice
from dhc.ops.shape import Reshape

_ELSEWHERE = (*STORED, AllReduceStart, AllReduceWait)  # values that are placed by other rules


def place_views(slots: MutableMapping[Node, Slot]) -> frozenset[Node]:
    """Moves temporaries with the elements of another one, in the same order, into its memory.

    Args:
        slots: Of all nodes, operands first; changed in place.

    Returns:
        The nodes that need no kernel.
    """
    views: set[Node] = set()
    for node, slot in list(slots.items()):
        first = _first_element(node)
        if first is None or not _is_plain(node, slot):
            continue
        whole = slots[node.inputs[0]]
        if node.inputs[0] in views or _is_plain(node.inputs[0], whole):
            place = whole.offset + first
            slots[node] = replace(slot, offset=place, within=whole.within or whole.name)
            views.add(node)
    return frozenset(views)


def _is_plain(node: Node, slot: Slot) -> bool:
    """Whether a tensor has memory of its own, in which it lies without gaps."""
    own = slot.role == "temporary" and not slot.within and not isinstance(node.op, _ELSEWHERE)
    return own and slot.offset == 0 and slot.buffer == row_major(slot.name, node.type)


def _first_element(node: Node) -> int | None:
    """How many elements of its input lie before a view; None if the node is none."""
    shape = node.type.shape
    if not all(isinstance(size, int) for size in shape):
        return None
    match node.op:
        case Reshape():
            return 0
        case Slice(start, size, step):
            pairs = zip(step, size, strict=True)
            whole = all(every == 1 or count == 1 for every, count in pairs)
            return _stretch(node.inputs[0].type.static_shape, start, size) if whole else None
    return None


def _stretch(whole: Sequence[int], start: Sequence[object], size: Sequence[object]) -> int | None:
    """Where a part of a tensor begins, if it is one stretch of memory."""
    long = [axis for axis, count in enumerate(size) if count != 1]
    inner = range(long[0] + 1, len(whole)) if long else range(0)
    if any(size[axis] != whole[axis] for axis in inner):
        return None
    first = 0
    for count, place in zip(whole, start, strict=True):
        assert isinstance(place, int), "sizes are bound before plans are made"
        first = first * count + place
    return first
