"""Reductions over axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from dhc.ir.evaluate import reduce_identity
from dhc.ir.graph import Node, literal
from dhc.ir.scalar import ReduceKind, Scalar, cast, reduce_over
from dhc.ir.scalar import index as to_index
from dhc.ir.size import Shape
from dhc.ir.types import DType, Tensor, dtype_of
from dhc.ops.base import (
    Array,
    Index,
    Onnx,
    Operand,
    Structured,
    TypeRuleError,
    axis_variable,
    normalize_axis,
    op,
    require_elements,
    size_scalar,
)
from dhc.ops.compare import Equal
from dhc.ops.elementwise import Abs, Cast, Div, Mul, Sign, Sub, Where
from dhc.ops.foreign import Call
from dhc.ops.movement import Expand, SizeValue
from dhc.ops.outward import Outward, Term
from dhc.ops.phrase import Phrase, plain_phrase
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Reshape

_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min, "any": np.any, "all": np.all,
}  # fmt: skip


_OVER_SPACE = {"reduce_mean": "global_avgpool", "reduce_max": "global_maxpool"}


@dataclass(frozen=True)
class Reduction(Structured):
    """The base of reductions: `axes` are folded; `keepdims` keeps them with size 1.

    No axes at all mean every axis.
    """

    axes: tuple[int, ...] = ()
    keepdims: bool = False

    fold: ClassVar[ReduceKind] = "sum"
    inlines_producers: ClassVar[bool] = True

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        x, axes, keepdims = foreign_axes(call)
        return x if axes is None else cls(axes, keepdims)(x)

    def infer(self, x: Tensor) -> Tensor:
        require_elements(self.name, "bool" if self.fold in ("any", "all") else "number", (x,))
        folded = self.folded(x)
        if self.keepdims:
            return x.with_shape(tuple(1 if i in folded else s for i, s in enumerate(x.shape)))
        return x.with_shape(tuple(s for i, s in enumerate(x.shape) if i not in folded))

    def folded(self, x: Tensor) -> tuple[int, ...]:
        """The folded axes, counted from the front, in order."""
        axes = sorted(normalize_axis(self.name, axis, x.rank) for axis in self.axes)
        if len(set(axes)) != len(axes):
            raise TypeRuleError(f"'{self.name}' names an axis twice.", 0)
        return tuple(axes) if axes else tuple(range(x.rank))

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        folded = self.folded(x.type)
        variables = {axis: axis_variable(f"r{axis}", x.type.shape[axis]) for axis in folded}
        kept = iter([i for a, i in enumerate(index) if not (self.keepdims and a in folded)])
        where = tuple(variables[a] if a in variables else next(kept) for a in range(x.type.rank))
        return reduce_over(self.fold, tuple(variables.values()), x[where])

    def numpy(self, x: Array) -> Array:
        axes = self.folded(Tensor(dtype_of(x), x.shape))
        function = _FUNCTIONS[self.fold]
        if not x.size and self.fold in ("max", "min"):
            function = partial(function, initial=reduce_identity(self.fold, dtype_of(x)))
        return np.asarray(function(x, axis=axes, keepdims=self.keepdims)).astype(x.dtype)

    def phrase(self, x: Node) -> Phrase:
        spatial = self.keepdims and x.type.rank > 3 and self.axes == tuple(range(2, x.type.rank))
        layer = _OVER_SPACE.get(self.name, "") if spatial else ""
        return Phrase(layer, (x,)) if layer else plain_phrase(self, (x,))

    def spread(self, node: Node, x: Node) -> Node:
        """Repeats a value for each result over the elements that it came from."""
        folded = self.folded(x.type)
        kept = tuple(1 if axis in folded else size for axis, size in enumerate(x.type.shape))
        return Expand(x.type.shape)(Reshape(kept)(node))

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        op_type = self.onnx.op_type if self.onnx else ""
        return out.reduction(op_type, inputs[0], self.axes, self.keepdims, result)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        dtype = "bool" if cls.fold in ("any", "all") else "f32"
        return [
            sample(cls((-1, 1)), f"{dtype}[2, 3, 4]"),
            sample(cls((0,), True), f"{dtype}[3, 4]"),
            sample(cls(), f"{dtype}[2, 3]"),
        ]


@op("reduce_sum", onnx=Onnx("ReduceSum", since=13))
class ReduceSum(Reduction):
    """The sum over axes."""

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        return (self.spread(upstream, x),)


@dataclass(frozen=True)
class Extreme(Reduction):
    """The base of maximum and minimum: equal extremes share the gradient evenly."""

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        """The largest of bool elements is whether one holds, the smallest whether all do."""
        x, axes, keepdims = foreign_axes(call)
        if x.type.dtype is not DType.BOOL or axes is None:
            return super().from_onnx(call)
        return (ReduceAny if cls.fold == "max" else ReduceAll)(axes, keepdims)(x)

    def numpy(self, x: Array) -> Array:
        """Of no elements it is the lowest or the highest number, as ONNX has it."""
        dtype = dtype_of(x)
        axes, start = self.folded(Tensor(dtype, x.shape)), reduce_identity(self.fold, dtype)
        function = np.max if self.fold == "max" else np.min
        return np.asarray(function(x, axis=axes, keepdims=self.keepdims, initial=start))

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        chosen = Cast(x.type.dtype)(Equal()(x, self.spread(output, x)))
        count = ReduceSum(self.axes, self.keepdims)(chosen)
        return (Mul()(chosen, self.spread(Div()(upstream, count), x)),)


@op("reduce_max", onnx=Onnx("ReduceMax", since=18))
class ReduceMax(Extreme):
    """The largest element over axes."""

    fold: ClassVar[ReduceKind] = "max"


@op("reduce_min", onnx=Onnx("ReduceMin", since=18))
class ReduceMin(Extreme):
    """The smallest element over axes."""

    fold: ClassVar[ReduceKind] = "min"


@op("reduce_prod", onnx=Onnx("ReduceProd", since=18))
class ReduceProd(Reduction):
    """The product over axes."""

    fold: ClassVar[ReduceKind] = "prod"

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        """The product of the other elements; a zero among them leaves only its own gradient."""
        one, dtype = literal(1.0, x.type.dtype), x.type.dtype
        zero = Equal()(x, literal(0.0, dtype))
        nonzero = Where()(zero, one, x)
        zeros = ReduceSum(self.axes, self.keepdims)(Cast(dtype)(zero))
        others = Sub()(self.spread(zeros, x), Cast(dtype)(zero))
        product = self.spread(ReduceProd(self.axes, self.keepdims)(nonzero), x)
        rest = Where()(Equal()(others, literal(0.0, dtype)), Div()(product, nonzero), Sub()(x, x))
        return (Mul()(self.spread(upstream, x), rest),)


@op("reduce_mean", onnx=Onnx("ReduceMean", since=18))
class ReduceMean(Reduction):
    """The mean over axes: the sum, divided by how many elements it has."""

    def infer(self, x: Tensor) -> Tensor:
        require_elements(self.name, "float", (x,))
        return super().infer(x)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        """Means of integers are rounded toward zero."""
        x, axes, keepdims = foreign_axes(call)
        if axes is None or x.type.dtype.is_float:
            return x if axes is None else cls(axes, keepdims)(x)
        total = ReduceSum(axes, keepdims)(Cast(DType.I64)(x))
        folded = ReduceSum(axes, keepdims).folded(x.type)
        count = SizeValue(math.prod(x.type.shape[axis] for axis in folded), DType.I64)()
        return Cast(x.type.dtype)(Mul()(Sign()(total), Div()(Abs()(total), count)))

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        total = super().element(out, index, x)
        count = to_index(1)
        for axis in self.folded(x.type):
            count = count * size_scalar(x.type.shape[axis])
        return total / cast(count, total.dtype)

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        count = math.prod(x.type.shape[axis] for axis in self.folded(x.type))
        share = Div()(upstream, SizeValue(count, x.type.dtype)())
        return (self.spread(share, x),)

    def numpy(self, x: Array) -> Array:
        axes = self.folded(Tensor(dtype_of(x), x.shape))
        return np.asarray(np.mean(x, axis=axes, keepdims=self.keepdims)).astype(x.dtype)


@op("reduce_any")
class ReduceAny(Reduction):
    """Whether one of the bool elements holds."""

    fold: ClassVar[ReduceKind] = "any"

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        numbers = out.cast(inputs[0], DType.I32)
        wide = result.with_dtype(DType.I32)
        found = out.reduction("ReduceMax", numbers, self.axes, self.keepdims, wide)
        return out.cast(found, DType.BOOL)


@op("reduce_all")
class ReduceAll(Reduction):
    """Whether all of the bool elements hold."""

    fold: ClassVar[ReduceKind] = "all"

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        numbers = out.cast(inputs[0], DType.I32)
        wide = result.with_dtype(DType.I32)
        found = out.reduction("ReduceMin", numbers, self.axes, self.keepdims, wide)
        return out.cast(found, DType.BOOL)


def foreign_axes(call: Call) -> tuple[Node, tuple[int, ...] | None, bool]:
    """Returns what a node of ONNX reduces, over which axes, and whether these stay.

    The axes are None where there are none and nothing is to be done then.
    """
    axes = call.listed(1, "axes")
    nothing = bool(call.get("noop_with_empty_axes", 0)) and not axes
    return call.tensor(0), None if nothing else axes, bool(call.get("keepdims", 1))


def sum_to_shape(node: Node, shape: Shape) -> Node:
    """Sums the axes along which `shape` was broadcast: the gradient of broadcasting."""
    extra = node.type.rank - len(shape)
    grown = [
        axis
        for axis, size in enumerate(node.type.shape)
        if axis < extra or (shape[axis - extra] == 1 and size != 1)
    ]
    if not grown:
        return node
    summed = ReduceSum(tuple(grown), True)(node)
    return Reshape(shape)(summed) if extra else summed
