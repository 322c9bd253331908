"""Boxes by their scores, without those that overlap a better one (non-maximum suppression)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.kernel import Assign, Declare, For, If, Let, Statement, Store
from dhc.ir.scalar import Buffer, Load, Scalar, Var, index, lift, maximum, minimum, select
from dhc.ir.size import Size, largest, static
from dhc.ir.types import DType, Tensor
from dhc.ops.base import Array, OperatorKind, Structured, TypeRuleError, op
from dhc.ops.sample import Sample, sample
from dhc.ops.sort import row_count, rows_of

NOBODY = -1  # in place of a box, behind the last one
Sides = list[tuple[Scalar, Scalar]]


@op("boxes_apart")
class BoxesApart(Structured):
    """The boxes of each class that overlap no better one, the best first; i64 [B, C, width].

    Of equal scores the first box is the better one. Behind the last number there is -1.

    Attributes:
        width: How many numbers there is room for: no less than boxes.
        centred: Whether a box [4] is its centre and its size, not two opposite corners.
    """

    width: Size
    centred: bool = False

    kind: ClassVar[OperatorKind] = "opaque"

    def infer(
        self, boxes: Tensor, scores: Tensor, most: Tensor, overlap: Tensor, above: Tensor
    ) -> Tensor:
        """Boxes are [B, n, 4] and scores [B, C, n]; the others are numbers.

        At most so many are kept of a class, none that shares more than a part of the area of both
        with one that is kept before, or whose score is not above a threshold.
        """
        if boxes.rank != 3 or boxes.shape[2] != 4 or not boxes.dtype.is_float:
            raise TypeRuleError(f"'{self.name}' needs boxes [B, n, 4], not {boxes}.", 0)
        fits = scores.rank == 3 and (scores.shape[0], scores.shape[2]) == boxes.shape[:2]
        if not fits or scores.dtype is not boxes.dtype:
            raise TypeRuleError(f"'{self.name}' needs scores [B, C, n] for {boxes}.", 1)
        if most != Tensor(DType.I64, ()):
            raise TypeRuleError(f"'{self.name}' keeps a whole number of boxes.", 2)
        for number, given in ((3, overlap), (4, above)):
            if given != Tensor(boxes.dtype, ()):
                raise TypeRuleError(f"'{self.name}' needs one number of {boxes.dtype}.", number)
        spare = self.width - largest(boxes.shape[1])
        if not isinstance(spare, int) or spare < 0:
            raise TypeRuleError(f"'{self.name}' has no room for the boxes of {boxes}.", 0)
        return Tensor(DType.I64, (*scores.shape[:2], self.width))

    def loops(
        self,
        out: Buffer,
        boxes: Buffer,
        scores: Buffer,
        most: Buffer,
        overlap: Buffer,
        above: Buffer,
    ) -> tuple[Statement, ...]:
        """For each class a heap of the good boxes, from which the best is taken until enough are.

        The heap fills a row of the result from its beginning. Each box that is taken frees a place
        behind it, so those that are kept are put there, from the end of the row on.
        """
        row, lead = rows_of(out)
        size = out.shape[-1]
        assert isinstance(size, int), "sizes along which is sorted are bound before"
        heap = _Heap(out, scores, lead, size)
        count, kept, k = (Var(name, DType.I64) for name in ("count", "kept", "k"))
        good = Load(scores, (*lead, k)) > Load(above, ())
        put = (Store(out, (*lead, count), k), Assign(count, count + 1))
        body = (
            Declare(count, index(0)),
            For(k, index(scores.shape[-1]), (If(good, put),)),
            *heap.made(count),
            Declare(kept, index(0)),
            *self._kept(heap, boxes, (most, overlap), count, kept),
            *heap.brought_forward(count, kept),
            For(k, size - kept, (Store(out, (*lead, kept + k), index(NOBODY)),)),
        )
        return (For(row, row_count(out), body, "parallel"),)

    def _kept(
        self,
        heap: _Heap,
        boxes: Buffer,
        limits: tuple[Buffer, Buffer],
        count: Scalar,
        kept: Var,
    ) -> tuple[Statement, ...]:
        """Takes the best box as often as there is one, and keeps it if it is apart from others."""
        most, overlap = (Load(each, ()) for each in limits)
        own, free = Var("own", DType.I64), Var("free", DType.BOOL)
        turn, k = Var("turn", DType.I64), Var("k", DType.I64)
        shared = self._shared(boxes, heap.lead[0], own, heap.at(count - 1 - k))
        close = If(shared > overlap, (Assign(free, lift(False, DType.BOOL)),))
        keep = (heap.put(count - 1 - kept, own), Assign(kept, kept + 1))
        taken = (
            *heap.take(own, count - 1 - turn),
            Declare(free, lift(True, DType.BOOL)),
            For(k, kept, (If(free, (close,)),)),
            If(free, keep),
        )
        return (For(turn, count, (If(kept < most, taken),)),)

    def _shared(self, boxes: Buffer, batch: Scalar, one: Scalar, other: Scalar) -> Scalar:
        """The area that two boxes share, over the area of both."""

        def sides(box: Scalar) -> Sides:
            a, b, c, d = (Load(boxes, (batch, box, index(k))) for k in range(4))
            if self.centred:
                return [(a - c / 2, a + c / 2), (b - d / 2, b + d / 2)]
            return [(minimum(a, c), maximum(a, c)), (minimum(b, d), maximum(b, d))]

        return _part(sides(one), sides(other))

    def numpy(
        self, boxes: Array, scores: Array, most: Array, overlap: Array, above: Array
    ) -> Array:
        (width,) = static((self.width,))
        rows = scores.reshape(math.prod(scores.shape[:-1]), scores.shape[-1])
        result = np.full((len(rows), width), NOBODY, np.int64)
        groups = scores.shape[1]
        for line, row in enumerate(rows):
            good = np.flatnonzero(row > above)
            order = good[np.argsort(-row[good], kind="stable")]
            kept = _apart(self._corners(boxes[line // groups]), order, overlap)
            for place, box in zip(range(int(most)), kept, strict=False):
                result[line, place] = box
        return result.reshape(*scores.shape[:2], width)

    def _corners(self, boxes: Array) -> tuple[Array, Array]:
        """The lower and the upper corner of each box."""
        first, second = boxes[:, :2], boxes[:, 2:]
        if self.centred:
            half = second / boxes.dtype.type(2)
            return first - half, first + half
        return np.minimum(first, second), np.maximum(first, second)

    def grad(self, upstream: Node, output: Node, *inputs: Node) -> tuple[Node | None, ...]:
        return None, None, None, None, None

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        types = "f32[2, 17, 4]", "f32[2, 3, 17]", "i64[]", "f32[]", "f32[]"
        ranges = ((0.0, 1.0), (-1.0, 1.0), (3, 9), (0.1, 0.5), (-0.5, 0.0))
        nothing = (*ranges[:4], (2.0, 3.0))
        one = "f32[1, 1, 4]", "f32[1, 2, 1]", *types[2:]
        return [
            sample(cls(17), *types, ranges=ranges),
            sample(cls(19, True), *types, ranges=ranges),
            sample(cls(17), *types, ranges=nothing),
            sample(cls(1), *one, ranges=ranges),
        ]


class _Heap:
    """Numbers in a row of `out`, of which the one with the largest score is the first.

    (J. W. J. Williams, Algorithm 232: Heapsort, 1964.)
    """

    def __init__(self, out: Buffer, scores: Buffer, lead: tuple[Scalar, ...], size: int) -> None:
        self.lead = lead
        self._out = out
        self._scores = scores
        self._levels = size.bit_length()

    def at(self, place: Scalar) -> Scalar:
        return Load(self._out, (*self.lead, place))

    def put(self, place: Scalar, number: Scalar) -> Statement:
        return Store(self._out, (*self.lead, place), number)

    def made(self, count: Scalar) -> tuple[Statement, ...]:
        """Makes a heap of the first numbers."""
        turn, root = Var("turn", DType.I64), Var("root", DType.I64)
        step = (Let(root, count // 2 - 1 - turn), *self._sink(root, count))
        return (For(turn, count // 2, step),)

    def take(self, best: Var, end: Scalar) -> tuple[Statement, ...]:
        """Names the first number, and makes a heap of the others; `end` is where the last was."""
        last = self.put(index(0), self.at(end))
        return Let(best, self.at(index(0))), last, *self._sink(index(0), end)

    def brought_forward(self, count: Scalar, kept: Scalar) -> tuple[Statement, ...]:
        """Moves numbers that lie at the end of the heap's room, the first last, to the front."""
        k, low, high = (Var(name, DType.I64) for name in ("k", "low", "high"))
        here, there = count - kept + k, count - 1 - k
        swap = (
            Let(low, self.at(here)),
            Let(high, self.at(there)),
            self.put(here, high),
            self.put(there, low),
        )
        return For(k, kept // 2, swap), For(k, kept, (self.put(k, self.at(here)),))

    def _sink(self, root: Scalar, end: Scalar) -> tuple[Statement, ...]:
        """Moves a number down until it is better than those below it."""
        hole, child, moved = (Var(name, DType.I64) for name in ("hole", "child", "moved"))
        level = Var("level", DType.I64)
        right = If(self._better(child + 1, child), (Assign(child, child + 1),))
        other = If(child + 1 < end, (right,))
        swap = (
            Let(moved, self.at(hole)),
            self.put(hole, self.at(child)),
            self.put(child, moved),
            Assign(hole, child),
        )
        step = (Declare(child, hole * 2 + 1), other)
        down = If(self._better(child, hole), swap, (Assign(hole, end),))
        turn = If(hole * 2 + 1 < end, (*step, down))
        return Declare(hole, root), For(level, index(self._levels), (turn,))

    def _better(self, place: Scalar, other: Scalar) -> Scalar:
        """Whether the number at one place comes before that at another."""
        mine, yours = self.at(place), self.at(other)
        a, b = Load(self._scores, (*self.lead, mine)), Load(self._scores, (*self.lead, yours))
        return (a > b) | (a.equals(b) & (mine < yours))


def _part(mine: Sides, yours: Sides) -> Scalar:
    """The area that two boxes share, over the area of both, of their sides in each axis."""
    size = [minimum(a[1], b[1]) - maximum(a[0], b[0]) for a, b in zip(mine, yours, strict=True)]
    areas = [(box[0][1] - box[0][0]) * (box[1][1] - box[1][0]) for box in (mine, yours)]
    common = size[0] * size[1]
    whole = areas[0] + areas[1] - common
    none = (size[0] <= 0) | (size[1] <= 0)
    return select(none, lift(0.0, common.dtype), common / whole)


def _apart(corners: tuple[Array, Array], order: Array, overlap: Array) -> Iterator[int]:
    """The boxes that are kept, in their order."""
    low, high = corners
    kept: list[int] = []
    for box in order.tolist():
        if not (_shared(low, high, box, kept) > overlap).any():
            kept.append(box)
            yield box


def _shared(low: Array, high: Array, box: int, others: list[int]) -> Array:
    """The area that a box shares with each other, over the area of both."""
    size = np.minimum(high[box], high[others]) - np.maximum(low[box], low[others])
    none = (size <= 0).any(axis=-1)
    areas = (high - low)[:, 0] * (high - low)[:, 1]
    common = size[:, 0] * size[:, 1]
    whole = areas[box] + areas[others] - common
    with np.errstate(all="ignore"):
        return np.asarray(np.where(none, low.dtype.type(0), common / whole))
