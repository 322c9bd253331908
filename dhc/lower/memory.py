"""Assigns arena offsets: tensors that are never alive together share memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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
    placed: list[tuple[int, int, Lifetime]] = []  # first byte, one past the last, whose
    offsets: dict[str, int] = {}
    for block in sorted(lifetimes, key=lambda b: (-b.bytes, b.first, b.name)):
        size = -(-block.bytes // ALIGNMENT) * ALIGNMENT
        start = 0
        for low, high, other in placed:
            together = other.first <= block.last and block.first <= other.last
            if together and low < start + size and start < high:
                start = high
        placed.append((start, start + size, block))
        placed.sort(key=lambda entry: entry[0])
        offsets[block.name] = start
    return offsets, max((high for _, high, _ in placed), default=0)
