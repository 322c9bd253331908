"""Where buckets of sums over ranks lie: their tensors are computed right into them."""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping
from dataclasses import replace

from dhc.ir.graph import Node
from dhc.lower.plan import Slot
from dhc.lower.state import STORED
from dhc.lower.to_kernels import row_major
from dhc.ops.collective import AllReduceStart, AllReduceWait, BucketPart


def place_in_buckets(slots: MutableMapping[Node, Slot], readers: Mapping[Node, list[Node]]) -> None:
    """Moves what is summed, and the sums, into the memory of their buckets.

    Args:
        slots: Of all nodes, operands first; changed in place.
        readers: The readers of each node.
    """
    for node in list(slots):
        match node.op:
            case AllReduceStart():
                for source, first in parts_of(node):
                    if _may_lie_inside(source, node, slots[source], readers):
                        slots[source] = _inside(slots[source], slots[node], first)
            case AllReduceWait():
                slots[node] = slots[node.inputs[0]]
            case BucketPart(first):
                slots[node] = _inside(slots[node], slots[node.inputs[0]], first)


def parts_of(start: Node) -> list[tuple[Node, int]]:
    """Returns the tensors of a bucket, each with the number of elements before it."""
    found: list[tuple[Node, int]] = []
    first = 0
    for source in start.inputs:
        found.append((source, first))
        first += math.prod(source.type.static_shape)
    return found


def part_slot(bucket: Slot, source: Node, first: int) -> Slot:
    """Returns the place of a tensor in a bucket that it must be copied to."""
    return _inside(
        Slot(f"{bucket.name}_{first}", "", source.type, "temporary", row_major("", source.type)),
        bucket, first,
    )  # fmt: skip


def _inside(slot: Slot, bucket: Slot, first: int) -> Slot:
    buffer = row_major(slot.name, slot.type)
    return replace(slot, buffer=buffer, offset=first, within=bucket.name)


def _may_lie_inside(
    source: Node, start: Node, slot: Slot, readers: Mapping[Node, list[Node]]
) -> bool:
    """Whether nothing but the bucket needs a tensor, which lies as it does there."""
    stored = isinstance(source.op, (*STORED, AllReduceWait))
    own = slot.role == "temporary" and not slot.within and not stored
    dense = slot.offset == 0 and slot.buffer == row_major(slot.name, source.type)
    return own and dense and readers[source] == [start] and start.inputs.count(source) == 1
