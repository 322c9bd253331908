"""Reductions over axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.scalar import ReduceKind, Scalar, cast, reduce_over
from dhc.ir.scalar import index as to_index
from dhc.ir.size import Shape
from dhc.ir.types import Tensor, dtype_of
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
    size_scalar,
)
from dhc.ops.sample import Sample, sample

_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min, "any": np.any, "all": np.all,
}  # fmt: skip


@dataclass(frozen=True)
class Reduction(Structured):
    """The base of reductions: `axes` are folded; `keepdims` keeps them with size 1.

    No axes at all mean every axis.
    """

    axes: tuple[int, ...] = ()
    keepdims: bool = False

    fold: ClassVar[ReduceKind] = "sum"
    inlines_producers: ClassVar[bool] = True

    def infer(self, x: Tensor) -> Tensor:
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
        return np.asarray(function(x, axis=axes, keepdims=self.keepdims)).astype(x.dtype)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        some = sample(cls((-1, 1)), "f32[2, 3, 4]")
        return [some, sample(cls((0,), True), "f32[3, 4]"), sample(cls(), "f32[2, 3]")]


@op("reduce_sum", onnx=Onnx("ReduceSum", since=13))
class ReduceSum(Reduction):
    """The sum over axes."""


@op("reduce_max", onnx=Onnx("ReduceMax", since=18))
class ReduceMax(Reduction):
    """The largest element over axes."""

    fold: ClassVar[ReduceKind] = "max"


@op("reduce_mean", onnx=Onnx("ReduceMean", since=18))
class ReduceMean(Reduction):
    """The mean over axes: the sum, divided by how many elements it has."""

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        total = super().element(out, index, x)
        count = to_index(1)
        for axis in self.folded(x.type):
            count = count * size_scalar(x.type.shape[axis])
        return total / cast(count, total.dtype)

    def numpy(self, x: Array) -> Array:
        axes = self.folded(Tensor(dtype_of(x), x.shape))
        return np.asarray(np.mean(x, axis=axes, keepdims=self.keepdims)).astype(x.dtype)


def sum_to_shape(node: Node, shape: Shape) -> Node:
    """Sums the axes along which `shape` was broadcast: the gradient of broadcasting."""
    from dhc.ops.shape import Reshape

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
