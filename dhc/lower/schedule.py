"""How the axes of a result become loops, for each kind of target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dhc.ir.kernel import For, If, Let, Statement
from dhc.ir.scalar import Buffer, Scalar, Var, index
from dhc.ir.types import DType


class Schedule(Protocol):
    """Wraps the statements for one element into loops over all elements."""

    def nest(
        self,
        axes: tuple[Var, ...],
        extents: tuple[Scalar, ...],
        body: tuple[Statement, ...],
        out: Buffer,
    ) -> tuple[Statement, ...]:
        """Returns the loops; `out` tells how the result lies in memory."""


@dataclass(frozen=True)
class Loops:
    """Nested loops in memory order, the outermost parallel: for CPUs and plain C."""

    parallel: bool = True

    def nest(
        self,
        axes: tuple[Var, ...],
        extents: tuple[Scalar, ...],
        body: tuple[Statement, ...],
        out: Buffer,
    ) -> tuple[Statement, ...]:
        order = _memory_order(out)
        for depth in reversed(range(len(order))):
            axis = order[depth]
            kind = "parallel" if depth == 0 and self.parallel else "serial"
            body = (For(axes[axis], extents[axis], body, kind),)  # type: ignore[arg-type]
        return body


@dataclass(frozen=True)
class Grid:
    """One thread for each element, in blocks of `threads`: for CUDA and OpenCL."""

    threads: int = 128

    def nest(
        self,
        axes: tuple[Var, ...],
        extents: tuple[Scalar, ...],
        body: tuple[Statement, ...],
        out: Buffer,
    ) -> tuple[Statement, ...]:
        total = index(1)
        for extent in extents:
            total = total * extent
        block, thread = Var("block", DType.I64), Var("thread", DType.I64, self.threads)
        place = Var("place", DType.I64)
        inside = If(place < total, (*_unflatten(place, axes, extents), *body))
        first = Let(place, block * self.threads + thread)
        blocks = (total + (self.threads - 1)) // self.threads
        per_thread = For(thread, index(self.threads), (first, inside), "thread")
        return (For(block, blocks, (per_thread,), "block"),)


def _unflatten(
    place: Var, axes: tuple[Var, ...], extents: tuple[Scalar, ...]
) -> tuple[Statement, ...]:
    lets: list[Statement] = []
    rest: Scalar = place
    for k in reversed(range(len(axes))):
        lets.append(Let(axes[k], rest if k == 0 else rest % extents[k]))
        rest = rest // extents[k]
    return tuple(lets)


def _memory_order(out: Buffer) -> list[int]:
    """The axes from the largest stride to the smallest; run-time strides keep their order."""
    if any(isinstance(stride, Scalar) for stride in out.strides):
        return list(range(len(out.strides)))
    return sorted(range(len(out.strides)), key=lambda k: -int(out.strides[k]))  # type: ignore[arg-type]
