"""The loop order for numba: memory order, and workers only where there is enough to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dhc.ir.kernel import For, If, Statement
from dhc.ir.scalar import Buffer, Const, Scalar, Var
from dhc.lower.schedule import Loops

ENOUGH_WORK = 1 << 16
"""Statements that take longer than waking the workers."""


@dataclass(frozen=True)
class SharedLoops:
    """Nested loops in memory order; the outermost with more than one turn may be parallel.

    Attributes:
        enough: The work from which on loops are parallel.
    """

    enough: int = ENOUGH_WORK

    def nest(
        self,
        axes: tuple[Var, ...],
        extents: tuple[Scalar, ...],
        body: tuple[Statement, ...],
        out: Buffer,
    ) -> tuple[Statement, ...]:
        """Returns the loops around the statements for one element."""
        loops = Loops(parallel=False).nest(axes, extents, body, out)
        return loops if work(loops) < self.enough else _shared(loops, len(axes))


def _shared(body: tuple[Statement, ...], depth: int) -> tuple[Statement, ...]:
    """Makes the outermost loop with more than one turn parallel, among `depth` nested ones."""
    match body:
        case (For(var, extent, inner),) if depth > 0:
            if _turns(extent) > 1:
                return (For(var, extent, inner, "parallel"),)
            return (For(var, extent, _shared(inner, depth - 1)),)
    return body


def work(body: Sequence[Statement]) -> int:
    """Returns about how many statements a body runs."""
    total = 0
    for statement in body:
        match statement:
            case For(_, extent, inner):
                total += _turns(extent) * work(inner)
            case If(_, then, otherwise):
                total += 1 + max(work(then), work(otherwise))
            case _:
                total += 1
    return total


def _turns(extent: Scalar) -> int:
    return int(extent.value) if isinstance(extent, Const) else 1
