"""The grid that a kernel's loops over blocks and threads ask for."""

from __future__ import annotations

from dhc.ir.kernel import For, If, Kernel, LoopKind, statements
from dhc.ir.scalar import Const, Scalar, index


def grid_dimension(kernel: Kernel, loop: For) -> int:
    """Returns which dimension of the grid a loop over blocks or threads is: the innermost is 0."""
    inner = max((depth for depth, _ in _nested(loop.body, loop.kind)), default=-1)
    return inner + 1


def thread_counts(kernel: Kernel) -> tuple[int, ...]:
    """Returns how many threads a block has in each dimension, the innermost first."""
    counts: dict[int, int] = {}
    for statement in statements(kernel.body):
        if isinstance(statement, For) and statement.kind == "thread":
            assert isinstance(statement.extent, Const), "how many threads a block has is static"
            dimension = grid_dimension(kernel, statement)
            counts[dimension] = max(counts.get(dimension, 1), int(statement.extent.value))
    return tuple(counts.get(d, 1) for d in range(max(counts, default=0) + 1))


def block_counts(kernel: Kernel) -> tuple[Scalar, ...]:
    """Returns how many blocks there are in each dimension, the innermost first."""
    counts: dict[int, Scalar] = {}
    for statement in statements(kernel.body):
        if isinstance(statement, For) and statement.kind == "block":
            counts[grid_dimension(kernel, statement)] = statement.extent
    one = index(1)
    return tuple(counts.get(d, one) for d in range(max(counts, default=0) + 1))


def _nested(body: tuple[object, ...], kind: LoopKind, depth: int = 0) -> list[tuple[int, For]]:
    """The loops of a kind in a body, each with how many of that kind stand around it."""
    found: list[tuple[int, For]] = []
    for statement in body:
        match statement:
            case For():
                same = statement.kind == kind
                found += [(depth, statement)] if same else []
                found += _nested(statement.body, kind, depth + same)
            case If(_, then, otherwise):
                found += _nested((*then, *otherwise), kind, depth)
    return found
