"""Pooling over spatial axes: x is [N, C, *spatial]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, TypeVar

import numpy as np

from dhc.ir.evaluate import reduce_identity
from dhc.ir.graph import Node
from dhc.ir.scalar import Number, Scalar, Var, cast, lift, maximum, minimum, reduce_over
from dhc.ir.scalar import index as to_index
from dhc.ir.size import Shape, Size, ceil_divide, static
from dhc.ir.types import DType, Tensor, dtype_of
from dhc.ops.base import (
    Array,
    Index,
    LayerContext,
    Onnx,
    Operand,
    Structured,
    TypeRuleError,
    axis_variable,
    layer,
    op,
    size_scalar,
)
from dhc.ops.conv import (
    Ints,
    Padding,
    Pads,
    foreign_pads,
    foreign_window,
    read_place,
    resolve_padding,
    spread,
)
from dhc.ops.foreign import Call, reads
from dhc.ops.outward import Attribute, Outward, Term
from dhc.ops.outward_elements import write_elements
from dhc.ops.phrase import Phrase, even, even_padding, plain_phrase, unusual
from dhc.ops.reduce import ReduceMax, ReduceMean
from dhc.ops.sample import Sample, sample


@dataclass(frozen=True)
class Pool(Structured):
    """The base of pooling with windows.

    Attributes:
        kernel, stride: The elements of a window, and the step between windows, for each axis.
        pads: What lies around x, (before, after) each axis.
        ceil: Whether a last window may reach out.
        dilation: The step between the elements of a window for each axis; 1 where empty.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pads: Pads
    ceil: bool = False
    dilation: tuple[int, ...] = field(default=(), kw_only=True)

    inlines_producers: ClassVar[bool] = True

    @classmethod
    def from_onnx(cls, call: Call) -> Node | tuple[Node, ...]:
        return foreign_pool(cls, call)(call.tensor(0))

    @property
    def steps(self) -> tuple[int, ...]:
        """The step between the elements of a window along each axis."""
        return self.dilation or (1,) * len(self.kernel)

    @property
    def extents(self) -> tuple[int, ...]:
        """How far a window reaches along each axis."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.steps, strict=True))

    @property
    def reaches_out(self) -> bool:
        """Whether a last window would begin in the padding, of which ONNX says no clear word."""
        rows = zip(self.pads, self.extents, self.stride, strict=True)
        return self.ceil and any(after + s > k for (_, after), k, s in rows)

    def said(self) -> dict[str, Attribute]:
        """The attributes of ONNX."""
        return {
            "kernel_shape": self.kernel, "strides": self.stride, "pads": foreign_pads(self.pads),
            "ceil_mode": int(self.ceil), **({"dilations": self.dilation} if self.dilation else {}),
        }  # fmt: skip

    def infer(self, x: Tensor) -> Tensor:
        if x.rank != len(self.kernel) + 2:
            raise TypeRuleError(f"'{self.name}' needs {len(self.kernel) + 2} axes, not {x}.", 0)
        if any(max(pads) >= reach for pads, reach in zip(self.pads, self.extents, strict=True)):
            raise TypeRuleError("Some windows would lie in the padding alone.", 0)
        spatial = [self._size(size, axis) for axis, size in enumerate(x.shape[2:])]
        return x.with_shape((*x.shape[:2], *spatial))

    def _size(self, size: Size, axis: int) -> Size:
        """The number of windows; with `ceil` the last may reach out, but begins inside."""
        before, after = self.pads[axis]
        reach, stride = self.extents[axis], self.stride[axis]
        if not self.ceil:
            return (size + before + after - reach) // stride + 1
        return ceil_divide(size + before + min(after - reach + stride, 0), stride)

    def words(self) -> dict[str, object]:
        """What the layers of the language say, as far as it is not usual."""
        return unusual(
            size=(even(self.kernel), 2),
            stride=(0 if self.stride == self.kernel else even(self.stride), 0),
            pad=(even_padding(self.pads), 0),
            ceil=(self.ceil, False),
        )

    def window(self, index: Index) -> tuple[tuple[Var, ...], Index]:
        taps = tuple(axis_variable(f"k{i}", k) for i, k in enumerate(self.kernel))
        where = read_place(index[2:], taps, self.stride, self.steps, self.pads)
        return taps, (*index[:2], *where)

    def windows(self, x: Array, fill: Number) -> Array:
        """All windows of the padded input, their axes last."""
        rank = len(self.kernel)
        counts = [self._size(size, axis) for axis, size in enumerate(x.shape[2:])]
        extra = [
            (b, a + (s - 1 if self.ceil else 0))
            for (b, a), s in zip(self.pads, self.stride, strict=True)
        ]
        padded = np.pad(x, ((0, 0), (0, 0), *extra), constant_values=fill)
        view = np.lib.stride_tricks.sliding_window_view(
            padded, self.extents, axis=tuple(range(2, 2 + rank))
        )
        starts = [
            slice(0, n * s, s) for n, s in zip(static(tuple(counts)), self.stride, strict=True)
        ]
        taps = [slice(None, None, step) for step in self.steps]
        return view[(slice(None), slice(None), *starts, *taps)]


@op("max_pool", onnx=Onnx("MaxPool", since=12))
class MaxPool(Pool):
    """The largest element of each window; padding never wins."""

    @classmethod
    def from_onnx(cls, call: Call) -> Node | tuple[Node, ...]:
        from dhc.ops.unpool import foreign_places

        pool, by_columns = foreign_pool(cls, call), bool(call.get("storage_order", 0))
        x = call.tensor(0)
        return (pool(x), foreign_places(pool, x, by_columns)) if any(call.results[1:]) else pool(x)

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        taps, where = self.window(index)
        return reduce_over("max", taps, x.padded(where, reduce_identity("max", out.dtype)))

    def numpy(self, x: Array) -> Array:
        axes = tuple(range(-len(self.kernel), 0))
        return np.asarray(self.windows(x, reduce_identity("max", dtype_of(x))).max(axis=axes))

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        from dhc.ops.unpool import MaxPoolPlaces, MaxUnpool

        places = MaxPoolPlaces.of(self)(x)
        back = MaxUnpool(self.extents, self.stride, self.pads, x.type.shape[2:])
        return (back(upstream, places),)

    def phrase(self, x: Node) -> Phrase:
        if self.dilation:
            return plain_phrase(self, (x,))
        return Phrase("maxpool", (x,), self.words())

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        if self.reaches_out:
            return write_elements(out, self, result, *inputs)
        return out.node("MaxPool", inputs, result, **self.said())

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        whole = cls((2, 2), (2, 1), ((0, 1), (1, 0)))
        return [*_pool_samples(cls), _dilated_sample(cls), sample(whole, "u8[1, 2, 5, 4]")]


@op("average_pool", onnx=Onnx("AveragePool", since=11))
class AveragePool(Pool):
    """The mean of each window; padding counts as zeros where `count_include_pad`.

    What a last window of `ceil` has beyond the padding never counts.
    """

    count_include_pad: bool = True

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        return foreign_average(call)(call.tensor(0))

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        taps, where = self.window(index)
        total = reduce_over("sum", taps, x.padded(where, 0))
        return total / self.divisor(index[2:], x.type.shape[2:], out.dtype)

    def divisor(self, windows: Index, sizes: Shape, dtype: DType) -> Scalar:
        """How many places the mean over a window divides by."""
        if self.count_include_pad and not self.ceil:
            return lift(math.prod(self.kernel), dtype)
        count = to_index(1)
        for axis, (window, size) in enumerate(zip(windows, sizes, strict=True)):
            first = window * self.stride[axis] - self.pads[axis][0]
            low, high = self._counted(axis, size)
            step = self.steps[axis]
            end = minimum(first + self.extents[axis], size_scalar(high))
            begin = maximum(first, (first - low) % step + low)
            count = count * ((end - begin + step - 1) // step)
        return cast(count, dtype)

    def _counted(self, axis: int, size: Size) -> tuple[int, Size]:
        """The places along an axis that count: those of x, perhaps with the padding."""
        before, after = self.pads[axis] if self.count_include_pad else (0, 0)
        return -before, size + after

    def numpy(self, x: Array) -> Array:
        axes = tuple(range(-len(self.kernel), 0))
        total = self.windows(x, 0).sum(axis=axes)
        return np.asarray(total / self.counts(x.shape[2:]), x.dtype)

    def counts(self, sizes: tuple[int, ...]) -> Array:
        """For numpy: how many places the mean over each window divides by."""
        total = np.ones(())
        for axis, size in enumerate(sizes):
            low, high = self._counted(axis, size)
            windows, last = static((self._size(size, axis), high))
            first = np.arange(windows) * self.stride[axis] - self.pads[axis][0]
            taps = first[:, None] + self.steps[axis] * np.arange(self.kernel[axis])
            total = np.multiply.outer(total, ((taps >= low) & (taps < last)).sum(axis=1))
        return total

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        from dhc.ops.pool_grad import AveragePoolGrad

        rule = (self.ceil, self.count_include_pad, self.dilation)
        back = AveragePoolGrad(self.kernel, self.stride, self.pads, x.type.shape[2:], *rule)
        return (back(upstream),)

    def phrase(self, x: Node) -> Phrase:
        if self.dilation:
            return plain_phrase(self, (x,))
        counted = unusual(count_include_pad=(self.count_include_pad, True))
        return Phrase("avgpool", (x,), self.words() | counted)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        if self.reaches_out or (self.dilation and out.opset < 19):
            return write_elements(out, self, result, *inputs)
        padding = int(self.count_include_pad)
        return out.node("AveragePool", inputs, result, count_include_pad=padding, **self.said())

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        outside = cls((3,), (2,), ((1, 1),), count_include_pad=False)
        beyond = cls((3, 2), (2, 3), ((1, 1), (0, 1)), True, count_include_pad=False)
        return [
            *_pool_samples(cls),
            sample(outside, "f32[1, 2, 7]"),
            sample(beyond, "f32[1, 2, 6, 7]"),
            _dilated_sample(cls),
            sample(replace(beyond, dilation=(2, 3)), "f32[1, 2, 6, 7]"),
        ]


def _pool_samples(cls: type[Pool]) -> list[Sample]:
    return [
        sample(cls((2, 2), (2, 2), ((0, 0), (0, 0))), "f32[2, 3, 4, 6]"),
        sample(cls((3, 2), (2, 1), ((1, 1), (0, 1)), True), "f32[1, 2, 6, 5]"),
        sample(cls((2, 2, 2), (2, 2, 2), ((0, 0), (1, 0), (0, 0))), "f32[1, 1, 4, 3, 2]"),
        sample(cls((2, 2), (2, 3), ((1, 1), (0, 0)), True), "f32[1, 2, 5, 6]"),
    ]


def _dilated_sample(cls: type[Pool]) -> Sample:
    return sample(cls((2, 3), (2, 1), ((1, 0), (2, 2)), True, dilation=(3, 2)), "f32[1, 2, 6, 5]")


def pool_window(
    name: str, x: Node, size: Ints, stride: Ints, pad: Padding
) -> tuple[tuple[int, ...], tuple[int, ...], Pads]:
    """Returns the kernel, stride and padding of windows over the spatial axes of x."""
    rank = x.type.rank - 2
    if rank not in (1, 2, 3):
        raise TypeRuleError(f"'{name}' needs an input [N, C, ...] of 3 to 5 axes, not {x.type}.", 0)
    kernel = spread("size", size, rank)
    steps = kernel if stride == 0 else spread("stride", stride, rank)
    return kernel, steps, resolve_padding(pad, x.type.shape[2:], kernel, steps, (1,) * rank)


P = TypeVar("P", bound=Pool)


def foreign_pool(cls: type[P], call: Call) -> P:
    """Returns the pooling that a node of ONNX describes."""
    sizes = call.tensor(0).type.shape[2:]
    kernel = call.ints("kernel_shape", (1,) * len(sizes))
    stride, pads, dilation = foreign_window(call, sizes, kernel)
    apart = () if all(step == 1 for step in dilation) else dilation
    return cls(kernel, stride, pads, bool(call.get("ceil_mode", 0)), dilation=apart)


def foreign_average(call: Call) -> AveragePool:
    """Returns the means of windows that the attributes of a node of ONNX describe."""
    padding_counts = bool(call.get("count_include_pad", 0))
    return replace(foreign_pool(AveragePool, call), count_include_pad=padding_counts)


@reads("GlobalAveragePool", "GlobalMaxPool")
def _read_global_pool(call: Call) -> Node:
    x = call.tensor(0)
    axes = tuple(range(2, x.type.rank))
    return (ReduceMax if call.op_type == "GlobalMaxPool" else ReduceMean)(axes, True)(x)


@layer("maxpool")
def maxpool(
    context: LayerContext,
    x: Node,
    size: Ints = 2,
    stride: Ints = 0,
    pad: Padding = "valid",
    ceil: bool = False,
) -> Node:
    """Max pooling; the stride is the window's size unless given."""
    return MaxPool(*pool_window("maxpool", x, size, stride, pad), ceil)(x)


@layer("avgpool")
def avgpool(
    context: LayerContext,
    x: Node,
    size: Ints = 2,
    stride: Ints = 0,
    pad: Padding = "valid",
    ceil: bool = False,
    count_include_pad: bool = True,
) -> Node:
    """Average pooling; the stride is the window's size unless given."""
    return AveragePool(*pool_window("avgpool", x, size, stride, pad), ceil, count_include_pad)(x)


@layer("global_avgpool")
def global_avgpool(context: LayerContext, x: Node) -> Node:
    """The mean over all spatial axes, which keep size 1."""
    return ReduceMean(tuple(range(2, x.type.rank)), True)(x)


@layer("global_maxpool")
def global_maxpool(context: LayerContext, x: Node) -> Node:
    """The largest element over all spatial axes, which keep size 1."""
    return ReduceMax(tuple(range(2, x.type.rank)), True)(x)
