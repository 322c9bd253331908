"""What is found when a program runs: the numbers of the elements that hold.

Every operator whose size depends on values is made of this one: see decision 20.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from dhc.ir.graph import Node, literal
from dhc.ir.kernel import Assign, Declare, For, If, Statement, Store
from dhc.ir.scalar import Buffer, Load, Var, index
from dhc.ir.size import Expr, Size, count_size, counts
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Array,
    LayerContext,
    OperatorKind,
    Structured,
    TypeRuleError,
    layer,
    op,
    require_elements,
)
from dhc.ops.compare import NotEqual
from dhc.ops.outward import Outward, Term
from dhc.ops.phrase import Phrase, plain_phrase
from dhc.ops.positions import Unravel
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Permute, Reshape


@op("flat_nonzero")
class FlatNonZero(Structured):
    """The numbers of the elements of a row that hold, in order; i64 [size].

    Attributes:
        size: A count, which is found; or how many numbers there are room for: what is left of
            the room has zeros, and numbers for which there is none are dropped.
    """

    size: Size

    kind: ClassVar[OperatorKind] = "opaque"
    finds: ClassVar[bool] = True

    def infer(self, mask: Tensor) -> Tensor:
        require_elements(self.name, "bool", (mask,))
        if mask.rank != 1:
            raise TypeRuleError(f"'{self.name}' needs a row of elements, not {mask}.", 0)
        if isinstance(self.size, int) and self.size < 1:
            raise TypeRuleError(f"'{self.name}' has no room for {self.size} numbers.", 0)
        if isinstance(self.size, Expr) and not self._is_count_of(mask):
            raise TypeRuleError(f"'{self.name}' cannot find {self.size} numbers in {mask}.", 0)
        return Tensor(DType.I64, (self.size,))

    def _is_count_of(self, mask: Tensor) -> bool:
        """Whether the size is a count that is at most the number of elements."""
        return any(self.size == count_size(c.name, mask.shape[0]) for c in counts(self.size))

    def loops(self, out: Buffer, mask: Buffer) -> tuple[Statement, ...]:
        line, i, k = (Var(name, DType.I64) for name in ("line", "i", "k"))
        count = Var("count", DType.I64)
        room = index(out.shape[0])
        put = (Store(out, (count,), k), Assign(count, count + 1))
        chosen = If(count < room, (If(Load(mask, (k,)), put),))
        body = (
            For(i, room, (Store(out, (i,), index(0)),)),
            Declare(count, index(0)),
            For(k, index(mask.shape[0]), (chosen,)),
        )
        return (For(line, index(1), body, "parallel"),)

    def numpy(self, mask: Array) -> Array:
        found = np.flatnonzero(mask).astype(np.int64)
        if not isinstance(self.size, int):
            return found
        room = np.zeros(self.size, np.int64)
        room[: len(found)] = found[: self.size]
        return room

    def grad(self, upstream: Node, output: Node, mask: Node) -> tuple[Node | None, ...]:
        return (None,)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """Where there is room for a number of them, zeros behind them are cut off."""
        size = self.size
        open_size = out.open_size() if isinstance(size, int) else size
        pair = out.node("NonZero", inputs, Tensor(DType.I64, (1, open_size)))
        row = out.node("Reshape", (pair, out.numbers((-1,))), Tensor(DType.I64, (open_size,)))
        if not isinstance(size, int):
            return out.found(size, row)
        rest = out.constant(np.zeros(size, np.int64), DType.I64)
        longer = out.node("Concat", (row, rest), Tensor(DType.I64, (open_size + size,)), axis=0)
        return out.node("Slice", (longer, out.numbers((0,)), out.numbers((size,))), result)

    def phrase(self, mask: Node) -> Phrase:
        found = isinstance(self.size, Expr)
        return Phrase(self.name, (mask,)) if found else plain_phrase(self, (mask,))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(7), "bool[7]"), sample(cls(2), "bool[12]")]


def found_in(mask: Node, name: str) -> Node:
    """Returns the numbers of the elements of a mask that hold, as they lie in row-major order.

    Args:
        mask: bool, of any shape.
        name: How to call the number of them.
    """
    count = math.prod(mask.type.shape)
    row = mask if mask.type.rank == 1 else Reshape((count,))(mask)
    return FlatNonZero(count_size(name, count))(row)


@layer("flat_nonzero")
def flat_nonzero(context: LayerContext, mask: Node, size: int | None = None) -> Node:
    """The numbers of the elements of a row [n] that hold, in order; i64 [K].

    Args:
        context: Where it stands.
        mask: bool [n].
        size: How many numbers there are room for, those that are not there being 0; without it K is
            how many there are, which is known when the program runs.
    """
    return found_in(mask, context.stream()) if size is None else FlatNonZero(size)(mask)


@layer("nonzero")
def nonzero(context: LayerContext, x: Node) -> Node:
    """The indices of the elements that are not zero, one after another in row-major order.

    Returns:
        i64 [R, K]: R numbers, one for each axis of x, for each of K elements; how many these are is
        known when the program runs.
    """
    return indices_of(found_in(holds(x), context.stream()), x.type.shape)


def holds(x: Node) -> Node:
    """Returns whether elements are not zero."""
    return x if x.type.dtype is DType.BOOL else NotEqual()(x, literal(0, x.type.dtype))


def indices_of(places: Node, shape: tuple[Size, ...]) -> Node:
    """Returns the indices [R, K] of the elements with these row-major numbers [K]."""
    return Permute((1, 0))(Unravel(shape)(places))
