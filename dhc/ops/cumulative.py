"""Sums and products of all elements up to each place along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dhc.ir.graph import Input, Node, literal
from dhc.ir.kernel import Assign, Declare, For, Statement, Store
from dhc.ir.scalar import Buffer, Load, Scalar, Var, lift
from dhc.ir.scalar import index as to_index
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Array,
    Axis,
    Onnx,
    OperatorKind,
    Structured,
    normalize_axis,
    op,
    require_elements,
)
from dhc.ops.conv import int_size
from dhc.ops.elementwise import Cast, Mul
from dhc.ops.foreign import Call, ForeignError
from dhc.ops.movement import Expand, Pad, slice_axis
from dhc.ops.outward import Outward, Term
from dhc.ops.sample import Sample, sample
from dhc.ops.sort import line_count, lines_of


@dataclass(frozen=True)
class Cumulative(Structured):
    """The base of what runs along an axis.

    Attributes:
        axis: The axis.
        exclusive: Whether a place does not count itself.
        reverse: Whether it runs from the end.
    """

    axis: Axis = 0
    exclusive: bool = False
    reverse: bool = False

    kind: ClassVar[OperatorKind] = "opaque"
    neutral: ClassVar[int] = 0
    function: ClassVar[np.ufunc] = np.add

    def infer(self, x: Tensor) -> Tensor:
        normalize_axis(self.name, self.axis, x.rank)
        require_elements(self.name, "number", (x,))
        return x

    def joined(self, total: Scalar, each: Scalar) -> Scalar:
        raise NotImplementedError

    def loops(self, out: Buffer, x: Buffer) -> tuple[Statement, ...]:
        axis = self.axis % len(out.shape)
        line, around = lines_of(out, axis)
        count = to_index(out.shape[axis])
        k, total = Var("k", DType.I64), Var("total", out.type)
        here = around(count - 1 - k if self.reverse else k)
        more = Assign(total, self.joined(total, Load(x, here)))
        put = Store(out, here, total)
        turn: tuple[Statement, ...] = (put, more) if self.exclusive else (more, put)
        start = Declare(total, lift(self.neutral, out.type))
        return (For(line, line_count(out, axis), (start, For(k, count, turn)), "parallel"),)

    def numpy(self, x: Array) -> Array:
        forward = np.flip(x, self.axis) if self.reverse else x
        total = self.function.accumulate(forward, axis=self.axis, dtype=x.dtype)
        if self.exclusive:
            total = np.roll(total, 1, self.axis)
            first = [slice(None)] * x.ndim
            first[self.axis] = slice(0, 1)
            total[tuple(first)] = self.neutral
        return np.flip(total, self.axis) if self.reverse else np.asarray(total)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        (axis,) = call.listed(1)
        flags = bool(call.get("exclusive", 0)), bool(call.get("reverse", 0))
        return cls(axis, *flags)(call.tensor(0))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            sample(cls(1), "f32[2, 5, 3]"),
            sample(cls(-1, exclusive=True), "f32[3, 4]"),
            sample(cls(0, True, True), "i32[4, 2]"),
            sample(cls(0, reverse=True), "f32[6]"),
            sample(cls(1, exclusive=True), "f32[3, 1]"),
        ]


@op("cumsum", onnx=Onnx("CumSum", since=14))
class CumSum(Cumulative):
    """The sum of the elements up to each place along an axis."""

    def joined(self, total: Scalar, each: Scalar) -> Scalar:
        return total + each

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        return (CumSum(self.axis, self.exclusive, not self.reverse)(upstream),)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        x = out.wide(inputs[0])
        axis = out.number(self.axis, DType.I64)
        flags = {"exclusive": int(self.exclusive), "reverse": int(self.reverse)}
        return out.cast(out.node("CumSum", (x, axis), x.type, **flags), result.dtype)


@op("cumprod", onnx=Onnx("CumProd", since=26))
class CumProd(Cumulative):
    """The product of the elements up to each place along an axis."""

    neutral: ClassVar[int] = 1
    function: ClassVar[np.ufunc] = np.multiply

    def joined(self, total: Scalar, each: Scalar) -> Scalar:
        return total * each

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """Products of 2 neighbours, then of 4, 8 and so on, as ONNX has none that run."""
        axis = self.axis % result.rank
        count = result.shape[axis]
        if not isinstance(count, int):
            raise ForeignError(f"how often it multiplies depends on the size {count}")
        start = Input("x", inputs[0].type)()
        product = self._moved(start, axis, 1) if self.exclusive else start
        for level in range((count - 1).bit_length()):
            product = Mul()(product, self._moved(product, axis, 1 << level))
        return out.graph(product, {start: inputs[0]})

    def _moved(self, x: Node, axis: int, by: int) -> Node:
        """The elements `by` places farther on, behind ones."""
        count = int_size(x.type.shape[axis])
        if by >= count:
            return Expand(x.type.shape)(Cast(x.type.dtype)(literal(1, DType.I32)))
        kept = (by, count) if self.reverse else (0, count - by)
        room: list[tuple[int, int]] = [(0, 0)] * x.type.rank
        room[axis] = (0, by) if self.reverse else (by, 0)
        return Pad(tuple(room), value=1.0)(slice_axis(x, axis, *kept))
