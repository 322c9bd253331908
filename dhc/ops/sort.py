"""Sorting: the order of elements along the last axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.kernel import For, If, Let, Statement, Store
from dhc.ir.scalar import Buffer, Load, Scalar, Var, index, select
from dhc.ir.types import DType, Tensor
from dhc.ops.base import Array, OperatorKind, Structured, TypeRuleError, op
from dhc.ops.outward import Outward, Term
from dhc.ops.sample import Sample, sample


@op("argsort")
class ArgSort(Structured):
    """The numbers of the elements along the last axis, in order of size; i64.

    Equal elements stay in their order. Where elements are NaN, the order is not defined.

    Attributes:
        descending: Whether the largest comes first.
    """

    descending: bool = False

    kind: ClassVar[OperatorKind] = "opaque"

    def infer(self, x: Tensor) -> Tensor:
        if x.rank < 1 or x.dtype is DType.BOOL:
            raise TypeRuleError(f"'{self.name}' needs numbers along an axis, not {x}.", 0)
        return x.with_dtype(DType.I64)

    def loops(self, out: Buffer, x: Buffer) -> tuple[Statement, ...]:
        """Sorts each row of numbers in place with Batcher's network for any length.

        (Knuth, The Art of Computer Programming 3, algorithm 5.2.2M.) It costs n log(n)^2 / 4
        comparisons, always the same ones, so nothing about the data decides where memory is read.
        """
        row, lead = rows_of(out)
        count = out.shape[-1]
        assert isinstance(count, int), "sizes along which is sorted are bound before"
        i = Var("i", DType.I64, count)
        body: list[Statement] = [For(i, index(count), (Store(out, (*lead, i), i),))]
        if count > 1:
            body.append(self._network(out, x, lead, count))
        return (For(row, row_count(out), tuple(body), "parallel"),)

    def _network(self, out: Buffer, x: Buffer, lead: tuple[Scalar, ...], count: int) -> Statement:
        rounds = (count - 1).bit_length()
        level, turn, i = (
            Var("level", DType.I64, rounds),
            Var("turn", DType.I64),
            Var("j", DType.I64),
        )
        size, step = Var("size", DType.I64), Var("step", DType.I64)
        first = turn.equals(0)
        half = index(1) << (rounds - 1 - level)
        apart = select(first, size, (index(1) << (rounds - turn)) - size)
        mine = (i & size).equals(select(first, index(0), size))
        exchange = If(mine, self._exchange(out, x, lead, i, i + step))
        pairs = For(i, count - step, (exchange,))
        return For(
            level,
            index(rounds),
            (Let(size, half), For(turn, level + 1, (Let(step, apart), pairs))),
        )

    def _exchange(
        self, out: Buffer, x: Buffer, lead: tuple[Scalar, ...], i: Scalar, j: Scalar
    ) -> tuple[Statement, ...]:
        """Puts two neighbours of the network in order."""
        one, other = Var("one", DType.I64), Var("other", DType.I64)
        left, right = Load(x, (*lead, one)), Load(x, (*lead, other))
        later = left < right if self.descending else left > right
        wrong = later | (left.equals(right) & (one > other))
        swap = (Store(out, (*lead, i), other), Store(out, (*lead, j), one))
        return (
            Let(one, Load(out, (*lead, i))),
            Let(other, Load(out, (*lead, j))),
            If(wrong, swap),
        )

    def numpy(self, x: Array) -> Array:
        if not self.descending:
            return np.argsort(x, axis=-1, kind="stable").astype(np.int64)
        last = np.argsort(x[..., ::-1], axis=-1, kind="stable")[..., ::-1]
        return np.asarray(x.shape[-1] - 1 - last, np.int64)

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        raise NotImplementedError("an order of numbers has no gradient")

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """All elements are the first ones; equal ones stay in their order."""
        count = out.size(result.shape[-1])
        x, largest = out.wide(inputs[0]), int(self.descending)
        types = (x.type, result)
        return out.several("TopK", (x, count), types, axis=-1, largest=largest, sorted=1)[1]

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            sample(cls(), "f32[2, 3, 13]"),
            sample(cls(True), "i32[3, 16]", ranges=((-3, 3),)),
            sample(cls(True), "f32[1]"),
        ]


def rows_of(out: Buffer) -> tuple[Var, tuple[Scalar, ...]]:
    """Returns a loop variable over all rows along the last axis, and the other axes' indices."""
    row, around = lines_of(out, len(out.shape) - 1)
    return row, around(index(0))[:-1]


def row_count(out: Buffer) -> Scalar:
    """Returns how many rows a buffer has along its last axis."""
    return line_count(out, len(out.shape) - 1)


def lines_of(out: Buffer, axis: int) -> tuple[Var, Callable[[Scalar], tuple[Scalar, ...]]]:
    """Returns a loop variable over all lines along an axis, and what places along them have.

    Returns:
        The variable, and a function that makes an index of the number of a place in the line.
    """
    line = Var("row", DType.I64)
    others = [other for other in range(len(out.shape)) if other != axis]
    lead: list[Scalar] = []
    rest: Scalar = line
    for other in reversed(others):
        lead.append(rest % out.shape[other] if other != others[0] else rest)
        rest = rest // out.shape[other]
    lead.reverse()
    return line, lambda place: (*lead[:axis], place, *lead[axis:])


def line_count(out: Buffer, axis: int) -> Scalar:
    """Returns how many lines a buffer has along an axis."""
    total = index(1)
    for other, size in enumerate(out.shape):
        total = total * (1 if other == axis else size)
    return total
