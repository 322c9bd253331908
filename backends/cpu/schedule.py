"""The loop order for processors: memory order, workers outside, vector lanes inside."""

from __future__ import annotations

from dataclasses import dataclass

from dhc.ir.kernel import For, Let, Statement
from dhc.ir.scalar import Buffer, Const, Scalar, Var, index, minimum
from dhc.ir.types import DType

ENOUGH_TURNS = 16  # outer turns that keep a few workers evenly busy
MIN_CHUNK = 512  # elements that are worth a turn of their own


@dataclass(frozen=True)
class CpuLoops:
    """Nested loops over the axes as they lie in memory.

    Attributes:
        lanes: The vector width; 1 leaves vectors out.
    """

    lanes: int = 1

    def nest(
        self,
        axes: tuple[Var, ...],
        extents: tuple[Scalar, ...],
        body: tuple[Statement, ...],
        out: Buffer,
    ) -> tuple[Statement, ...]:
        """Returns the loops around the statements for one element."""
        order = _memory_order(out)
        fixed = tuple(Let(axes[k], index(0)) for k in order if _known(extents[k]) == 1)
        moving = [k for k in order if _known(extents[k]) != 1]
        if not moving:
            return (_worker_zero((*fixed, *body)),)
        inner = self._inner(axes, extents, moving[-1], (*fixed, *body), out)
        if len(moving) == 1:
            return _split(axes[moving[0]], extents[moving[0]], inner)
        return _outer([(axes[k], extents[k]) for k in moving[:-1]], inner)

    def _inner(
        self,
        axes: tuple[Var, ...],
        extents: tuple[Scalar, ...],
        axis: int,
        body: tuple[Statement, ...],
        out: Buffer,
    ) -> For:
        extent = _known(extents[axis])
        wide = (
            self.lanes > 1 and out.strides[axis] == 1 and (extent is None or extent >= self.lanes)
        )
        return For(axes[axis], extents[axis], body, "vector" if wide else "serial")


def _worker_zero(body: tuple[Statement, ...]) -> Statement:
    """One element: a parallel loop of one turn, so that one worker computes it."""
    return For(Var("once", DType.I64, 1), index(1), body, "parallel")


def _split(axis: Var, extent: Scalar, loop: For) -> tuple[Statement, ...]:
    """Cuts the only loop into chunks that workers share."""
    known = _known(extent)
    size = MIN_CHUNK if known is None or known >= 4 * MIN_CHUNK else _small_chunk(known)
    chunks = (extent + (size - 1)) // size
    chunk = Var("chunk", DType.I64, _known(chunks))
    place = Var("place", DType.I64, size)
    count = minimum(index(size), extent - chunk * size)
    body = (Let(axis, chunk * size + place), *loop.body)
    return (For(chunk, chunks, (For(place, count, body, loop.kind),), "parallel"),)


def _small_chunk(extent: int) -> int:
    """A chunk for short axes: an eighth, in whole vectors of any kind."""
    return max(-(-extent // 8 // 16) * 16, 16)


def _outer(loops: list[tuple[Var, Scalar]], inner: Statement) -> tuple[Statement, ...]:
    """Merges outer axes into one parallel loop until it has enough turns."""
    merged = 1
    total = _known(loops[0][1])
    while total is not None and total < ENOUGH_TURNS and merged < len(loops):
        following = _known(loops[merged][1])
        total = None if following is None else total * following
        merged += 1
    body: tuple[Statement, ...] = (inner,)
    for axis, extent in reversed(loops[merged:]):
        body = (For(axis, extent, body),)
    return _parallel(loops[:merged], body)


def _parallel(
    loops: list[tuple[Var, Scalar]], body: tuple[Statement, ...]
) -> tuple[Statement, ...]:
    if len(loops) == 1:
        return (For(loops[0][0], loops[0][1], body, "parallel"),)
    total = index(1)
    for _, extent in loops:
        total = total * extent
    turn = Var("turn", DType.I64, _known(total))
    rest: Scalar = turn
    lets: list[Statement] = []
    for axis, extent in reversed(loops):
        lets.append(Let(axis, rest % extent))
        rest = rest // extent
    return (For(turn, total, (*lets, *body), "parallel"),)


def _known(extent: Scalar) -> int | None:
    return int(extent.value) if isinstance(extent, Const) else None


def _memory_order(out: Buffer) -> list[int]:
    if not all(isinstance(stride, int) for stride in out.strides):
        return list(range(len(out.strides)))
    strides = [stride for stride in out.strides if isinstance(stride, int)]
    return sorted(range(len(strides)), key=lambda k: -strides[k])
