"""Reductions made of others, and the places of extremes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from dhc.ir.graph import Node, literal
from dhc.ir.scalar import Scalar, reduce_over
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Array,
    Axis,
    Composite,
    Index,
    Onnx,
    Operand,
    Structured,
    axis_variable,
    normalize_axis,
    op,
    require_elements,
)
from dhc.ops.compare import Equal
from dhc.ops.elementwise import Abs, Add, Exp, Log, Mul, Sqrt, Sub, Where
from dhc.ops.foreign import Call, reads
from dhc.ops.movement import SizeValue, reversed_axes
from dhc.ops.outward import Outward, Term
from dhc.ops.reduce import ReduceMax, ReduceMean, ReduceSum, foreign_axes
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Reshape


@dataclass(frozen=True)
class Statistic(Composite):
    """The base: `axes` are folded, all if none are named; `keepdims` keeps them with size 1."""

    axes: tuple[int, ...] = ()
    keepdims: bool = False

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        x, axes, keepdims = foreign_axes(call)
        return x if axes is None else cls(axes, keepdims)(x)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        if self.onnx is None or not result.dtype.is_float:
            return out.expanded(self, *inputs)
        return out.reduction(self.onnx.op_type, inputs[0], self.axes, self.keepdims, result)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            sample(cls((-1, 1)), "f32[2, 3, 4]"),
            sample(cls((0,), True), "f32[3, 4]"),
            sample(cls(), "f32[2, 3]"),
        ]


@op("reduce_var")
class ReduceVar(Statistic):
    """The mean square of the distance from the mean (divided by n, not by n - 1)."""

    def expand(self, x: Node) -> Node:
        require_elements(self.name, "float", (x.type,))
        distance = Sub()(x, ReduceMean(self._axes(x), True)(x))
        return ReduceMean(self._axes(x), self.keepdims)(Mul()(distance, distance))

    def _axes(self, x: Node) -> tuple[int, ...]:
        return self.axes or tuple(range(x.type.rank))


@op("reduce_std")
class ReduceStd(Statistic):
    """The square root of the variance."""

    def expand(self, x: Node) -> Node:
        return Sqrt()(ReduceVar(self.axes, self.keepdims)(x))


@op("reduce_l1", onnx=Onnx("ReduceL1", since=18))
class ReduceL1(Statistic):
    """The sum of absolute values."""

    def expand(self, x: Node) -> Node:
        return ReduceSum(self.axes, self.keepdims)(Abs()(x))


@op("reduce_l2", onnx=Onnx("ReduceL2", since=18))
class ReduceL2(Statistic):
    """The square root of the sum of squares."""

    def expand(self, x: Node) -> Node:
        require_elements(self.name, "float", (x.type,))
        return Sqrt()(ReduceSum(self.axes, self.keepdims)(Mul()(x, x)))


@op("reduce_logsumexp", onnx=Onnx("ReduceLogSumExp", since=18))
class ReduceLogSumExp(Statistic):
    """The logarithm of the sum of exponentials; the largest element is taken off first.

    Infinite maxima are not taken off: their distance from themselves would be NaN.
    """

    def expand(self, x: Node) -> Node:
        require_elements(self.name, "float", (x.type,))
        top = _finite(ReduceMax(self.axes, True)(x))
        total = ReduceSum(self.axes, self.keepdims)(Exp()(Sub()(x, top)))
        back = Reshape(total.type.shape)(top)
        return Add()(Log()(total), back)


def _finite(x: Node) -> Node:
    difference = Sub()(x, x)  # NaN where x is infinite
    zero = literal(0.0, x.type.dtype)
    return Where()(Equal()(difference, zero), x, zero)


@dataclass(frozen=True)
class Place(Structured):
    """The base of argmax and argmin: the number (i64) of the first extreme along an axis."""

    axis: Axis = 1
    keepdims: bool = False

    fold: ClassVar[Literal["argmax", "argmin"]] = "argmax"
    inlines_producers: ClassVar[bool] = True

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        x = call.tensor(0)
        axis = normalize_axis(cls.name, call.get("axis", 0), x.type.rank)
        found = cls(axis, bool(call.get("keepdims", 1)))
        if not call.get("select_last_index", 0):
            return found(x)
        last = SizeValue(x.type.shape[axis] - 1, DType.I64)()
        return Sub()(last, found(reversed_axes(x, (axis,))))

    def infer(self, x: Tensor) -> Tensor:
        require_elements(self.name, "number", (x,))
        axis = normalize_axis(self.name, self.axis, x.rank)
        kept = (1,) if self.keepdims else ()
        return Tensor(DType.I64, (*x.shape[:axis], *kept, *x.shape[axis + 1 :]))

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        axis = self.axis % x.type.rank
        variable = axis_variable("r", x.type.shape[axis])
        behind = index[axis + 1 :] if self.keepdims else index[axis:]
        return reduce_over(self.fold, (variable,), x[(*index[:axis], variable, *behind)])

    def numpy(self, x: Array) -> Array:
        find = np.argmax if self.fold == "argmax" else np.argmin
        return np.asarray(find(x, axis=self.axis, keepdims=self.keepdims), np.int64)

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        return (None,)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        op_type = self.onnx.op_type if self.onnx else ""
        given = (out.wide(inputs[0]),)
        return out.node(op_type, given, result, axis=self.axis, keepdims=int(self.keepdims))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ties = sample(cls(-1, True), "i32[3, 9]")
        return [sample(cls(), "f32[2, 5, 3]"), sample(cls(0), "f32[7]"), ties]


@op("argmax", onnx=Onnx("ArgMax", since=13))
class ArgMax(Place):
    """Where the largest element along an axis is; the first one if there are several."""


@op("argmin", onnx=Onnx("ArgMin", since=13))
class ArgMin(Place):
    """Where the smallest element along an axis is; the first one if there are several."""

    fold: ClassVar[Literal["argmax", "argmin"]] = "argmin"


@reads("ReduceSumSquare", "ReduceLogSum")
def _read_sums(call: Call) -> Node:
    x, axes, keepdims = foreign_axes(call)
    square = call.op_type == "ReduceSumSquare"
    terms = Mul()(x, x) if square else x
    total = terms if axes is None else ReduceSum(axes, keepdims)(terms)
    return total if square else Log()(total)
