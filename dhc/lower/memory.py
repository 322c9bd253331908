"""Assigns arena offsets: tensors that are never alive together share memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dhc.ir.graph import Array

ALIGNMENT = 64  # a cache line, and the widest vector


@dataclass(frozen=True)
class Lifetime:
    """A block of memory that is needed from step `first` to step `last`, both included."""

    name: str
    bytes: int
    first: int
    last: int


def place(lifetimes: Iterable[Lifetime]) -> tuple[dict[str, int], int]:
    """Places blocks so that no two that are alive together overlap.

    Larger blocks are placed first, each at the lowest offset that is free for its whole life.

    Returns:
        The first byte of each block, and how many bytes are needed in total.
    """
    blocks = sorted(lifetimes, key=lambda b: (-b.bytes, b.first, b.name))
    first, last, low, high = np.zeros((4, len(blocks)), np.int64)
    for number, block in enumerate(blocks):
        size = -(-block.bytes // ALIGNMENT) * ALIGNMENT
        together = (first[:number] <= block.last) & (last[:number] >= block.first)
        start = _lowest(size, low[:number][together], high[:number][together])
        first[number], last[number] = block.first, block.last
        low[number], high[number] = start, start + size
    offsets = {block.name: int(start) for block, start in zip(blocks, low, strict=True)}
    return offsets, int(high.max(initial=0))


def _lowest(size: int, low: Array, high: Array) -> int:
    """The first place of so many bytes between ranges that are taken."""
    start = 0
    for number in np.argsort(low):
        if low[number] >= start + size:
            break
        start = max(start, int(high[number]))
    return start
