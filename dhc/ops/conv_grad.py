"""Gradients of convolution and of transposed convolution.

Convolution with stride s, dilation d and b zeros before is, with zeros outside of x,
`y[n, k, p] = sum_ct x[n, c, p * s + t * d - b] * w[k, c, t]`. It is linear in x and in w; each
gradient is the transpose of one of these maps (Dumoulin and Visin, arXiv:1603.07285, chapter 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.scalar import Scalar, reduce_over
from dhc.ir.size import Shape, unify
from dhc.ir.types import Tensor
from dhc.ops.base import Array, Index, Operand, Structured, TypeRuleError, axis_variable, op
from dhc.ops.conv import Conv, Pads, int_size, read_place
from dhc.ops.conv_transpose import ConvTranspose
from dhc.ops.movement import Movement, Slice
from dhc.ops.reduce import ReduceSum
from dhc.ops.sample import Sample, sample


@op("conv_weight_grad")
class ConvWeightGrad(Structured):
    """The gradient of convolution for its weights: a sum over the batch and all places.

    `result[k, c, t] = sum_np upstream[n, k, p] * x[n, c, p * s + t * d - b]`, where x is
    [N, C, *spatial], upstream is [N, K, *places] and the result is [K, C / groups, *kernel].

    Attributes:
        stride, pads, dilation, groups: As of the convolution.
        kernel: The sizes of the kernel.
    """

    untold: ClassVar[str] = "training alone needs it"

    stride: tuple[int, ...]
    pads: Pads
    dilation: tuple[int, ...]
    groups: int
    kernel: tuple[int, ...]

    multiplies: ClassVar[bool] = True

    def infer(self, x: Tensor, upstream: Tensor) -> Tensor:
        if x.rank != len(self.kernel) + 2 or upstream.rank != x.rank:
            raise TypeRuleError(f"'{self.name}' needs {len(self.kernel) + 2} axes, not {x}.", 0)
        if unify(x.shape[0], upstream.shape[0]) is None:
            raise TypeRuleError(f"'{self.name}' has batches of two sizes: {x}, {upstream}.", 1)
        channels, filters = int_size(x.shape[1]), int_size(upstream.shape[1])
        if channels % self.groups or filters % self.groups:
            raise TypeRuleError(f"'{self.name}' cannot split {x} into {self.groups} groups.", 0)
        for axis, (before, after) in enumerate(self.pads):
            last = (upstream.shape[2 + axis] - 1) * self.stride[axis]
            extent = (self.kernel[axis] - 1) * self.dilation[axis] + 1
            rest = x.shape[2 + axis] + before + after - last - extent
            if isinstance(rest, int) and rest < 0:
                raise TypeRuleError(f"'{self.name}' of {x} has no place for {upstream}.", 1)
        return x.with_shape((filters, channels // self.groups, *self.kernel))

    def element(self, out: Tensor, index: Index, x: Operand, upstream: Operand) -> Scalar:
        k, c, *taps = index
        group = k // (int_size(out.shape[0]) // self.groups)
        channel = group * int_size(out.shape[1]) + c
        n = axis_variable("n", x.type.shape[0])
        places = tuple(axis_variable(f"p{i}", s) for i, s in enumerate(upstream.type.shape[2:]))
        where = read_place(places, taps, self.stride, self.dilation, self.pads)
        product = upstream[(n, k, *places)] * x.padded((n, channel, *where))
        return reduce_over("sum", (n, *places), product)

    def numpy(self, x: Array, upstream: Array) -> Array:
        padded = np.pad(x, ((0, 0), (0, 0), *self.pads))
        filters, channels = upstream.shape[1], x.shape[1] // self.groups
        result = np.zeros((filters, channels, *self.kernel), x.dtype)
        summed = (0, *range(2, x.ndim))
        for tap in np.ndindex(*self.kernel):
            starts = [t * d for t, d in zip(tap, self.dilation, strict=True)]
            picks = tuple(
                slice(start, start + (count - 1) * s + 1, s)
                for start, count, s in zip(starts, upstream.shape[2:], self.stride, strict=True)
            )
            windows = np.split(padded[(slice(None), slice(None), *picks)], self.groups, 1)
            parts = zip(np.split(upstream, self.groups, 1), windows, strict=True)
            sums = [np.tensordot(up, window, (summed, summed)) for up, window in parts]
            result[(..., *tap)] = np.concatenate(sums)
        return result

    def grad(self, upstream: Node, output: Node, x: Node, above: Node) -> tuple[Node | None, ...]:
        """It is linear in both: `upstream` has the shape of weights and acts as such."""
        conv = Conv(self.stride, self.pads, self.dilation, self.groups)
        back = input_gradient(conv, above, upstream, x.type.shape)
        return back, _corner(conv(x, upstream), above.type.shape)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        plain = cls((1, 1), ((1, 1), (1, 1)), (1, 1), 1, (3, 3))
        uneven = cls((2, 1), ((0, 1), (2, 0)), (1, 2), 2, (3, 2))
        line = cls((2,), ((1, 1),), (2,), 1, (3,))
        volume = cls((1, 2, 1), ((1, 0), (0, 0), (1, 1)), (1, 1, 1), 2, (2, 3, 2))
        return [
            sample(plain, "f32[2, 3, 5, 4]", "f32[2, 4, 5, 4]"),
            sample(uneven, "f32[1, 4, 6, 5]", "f32[1, 6, 3, 5]"),
            sample(line, "f32[2, 2, 9]", "f32[2, 3, 3]"),
            sample(volume, "f32[1, 2, 3, 5, 4]", "f32[1, 4, 3, 2, 5]"),
        ]


@op("flip_kernels")
class FlipKernels(Movement):
    """Weights [K, C / groups, *kernel] as [C, K / groups, *kernel], each kernel backwards.

    A convolution with them, without strides, is the transpose of the one with the given weights.
    """

    untold: ClassVar[str] = "training alone needs it"

    groups: int = 1

    def infer(self, weight: Tensor) -> Tensor:
        filters, channels, *kernel = weight.shape
        if weight.rank < 3 or int_size(filters) % self.groups:
            raise TypeRuleError(f"'{self.name}' cannot take {weight}.", 0)
        sizes = (self.groups * int_size(channels), int_size(filters) // self.groups)
        return weight.with_shape((*sizes, *kernel))

    def element(self, out: Tensor, index: Index, weight: Operand) -> Scalar:
        channel, filter, *taps = index
        channels = int_size(out.shape[0]) // self.groups
        if self.groups > 1:
            group = channel // channels
            filter, channel = group * int_size(out.shape[1]) + filter, channel % channels
        sizes = out.shape[2:]
        back = tuple(int_size(size) - 1 - t for size, t in zip(sizes, taps, strict=True))
        return weight[(filter, channel, *back)]

    def numpy(self, weight: Array) -> Array:
        filters, channels, *kernel = weight.shape
        grouped = weight.reshape(self.groups, filters // self.groups, channels, *kernel)
        merged = grouped.swapaxes(1, 2).reshape(self.groups * channels, -1, *kernel)
        return np.ascontiguousarray(np.flip(merged, tuple(range(2, merged.ndim))))

    def grad(self, upstream: Node, output: Node, weight: Node) -> tuple[Node | None, ...]:
        """It is its own inverse."""
        return (FlipKernels(self.groups)(upstream),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[3, 2, 3, 2]"), sample(cls(2), "f32[4, 3, 2, 3]")]


# ---- gradients for x -------------------------------------------------------------------------


def input_gradient(conv: Conv, upstream: Node, weight: Node, shape: Shape) -> Node:
    """Returns the gradient of `conv` for its input, whose shape is [N, C, *spatial].

    Without strides it is a convolution with flipped weights, for which backends have fast kernels;
    otherwise, or where there are more zeros than the kernel is wide, a transposed convolution.
    """
    kernel = [int_size(size) for size in weight.type.shape[2:]]
    reaches = [(k - 1) * d for k, d in zip(kernel, conv.dilation, strict=True)]
    pads = tuple(
        (reach - before, reach - after)
        for reach, (before, after) in zip(reaches, conv.pads, strict=True)
    )
    if max(conv.stride) == 1 and min(min(pair) for pair in pads) >= 0:
        back = Conv(conv.stride, pads, conv.dilation, conv.groups)
        return back(upstream, FlipKernels(conv.groups)(weight))
    extra = tuple(
        size + before + after - reach - 1 - (count - 1) * stride
        for size, count, stride, reach, (before, after) in zip(
            shape[2:], upstream.type.shape[2:], conv.stride, reaches, conv.pads, strict=True
        )
    )
    return ConvTranspose(conv.stride, conv.pads, extra, conv.dilation, conv.groups)(
        upstream, weight
    )


def _corner(node: Node, shape: Shape) -> Node:
    """The first elements along each axis, as many as `shape` has."""
    if node.type.shape == shape:
        return node
    return Slice((0,) * len(shape), shape, (1,) * len(shape))(node)


# ---- whole operators -------------------------------------------------------------------------


def conv_gradients(
    conv: Conv, upstream: Node, x: Node, weight: Node, bias: tuple[Node, ...]
) -> tuple[Node | None, ...]:
    """Returns the gradients of a convolution for x, for the weights and, if there is one, the bias.

    `upstream` is [N, K, *places]; the others are as `Conv` takes them.
    """
    kernel = tuple(int_size(size) for size in weight.type.shape[2:])
    of_weight = ConvWeightGrad(conv.stride, conv.pads, conv.dilation, conv.groups, kernel)
    return (
        input_gradient(conv, upstream, weight, x.type.shape),
        of_weight(x, upstream),
        *(_bias_gradient(upstream) for _ in bias),
    )


def conv_transpose_gradients(
    operator: ConvTranspose, upstream: Node, x: Node, weight: Node, bias: tuple[Node, ...]
) -> tuple[Node | None, ...]:
    """Returns the gradients of a transposed convolution, from the convolution that it transposes.

    That convolution has these same weights: they lead from the channels of the result to those of
    x. `upstream` has the shape of the result; the others are as `ConvTranspose` takes them.
    """
    stride, pads, dilation = operator.stride, operator.pads, operator.dilation
    conv = Conv(stride, pads, dilation, operator.groups)
    kernel = tuple(int_size(size) for size in weight.type.shape[2:])
    of_weight = ConvWeightGrad(stride, pads, dilation, operator.groups, kernel)
    return (
        _corner(conv(upstream, weight), x.type.shape),
        of_weight(upstream, x),
        *(_bias_gradient(upstream) for _ in bias),
    )


def _bias_gradient(upstream: Node) -> Node:
    """The sum of [N, K, *places] over all but the channels."""
    return ReduceSum((0, *range(2, upstream.type.rank)))(upstream)
