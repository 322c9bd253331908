"""Convolution over one, two or three spatial axes.

Layout of the operands: x is [N, C, *spatial], weights are [K, C / groups, *kernel], bias is [K].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from dhc.ir.graph import Initializer, Node
from dhc.ir.scalar import Scalar, reduce_over
from dhc.ir.size import Size, unify
from dhc.ir.types import Tensor
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
)
from dhc.ops.foreign import Call, ForeignError
from dhc.ops.outward import Outward, Term
from dhc.ops.phrase import Phrase, even, even_padding, plain_phrase, unusual, weights_of
from dhc.ops.sample import Sample, sample

Ints = int | tuple[int, ...]
Padding = int | tuple[int | tuple[int, int], ...] | Literal["same", "valid"]
Pads = tuple[tuple[int, int], ...]


@op("conv", onnx=Onnx("Conv", since=11))
class Conv(Structured):
    """Cross-correlation of x with one kernel for each output channel, plus an optional bias.

    Attributes:
        stride, dilation: One integer for each spatial axis.
        pads: Zeros (before, after) each spatial axis.
        groups: Input and output channels are split into this many independent groups.
    """

    stride: tuple[int, ...]
    pads: Pads
    dilation: tuple[int, ...]
    groups: int = 1

    multiplies: ClassVar[bool] = True

    def infer(self, x: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
        _check_channels(self, x, weight)
        spatial = [
            (size + before + after - (int_size(k) - 1) * d - 1) // s + 1
            for size, k, s, d, (before, after) in zip(
                x.shape[2:], weight.shape[2:], self.stride, self.dilation, self.pads, strict=True
            )
        ]
        if any(isinstance(size, int) and size < 1 for size in spatial):
            raise TypeRuleError("The kernel of 'conv' is larger than its padded input.", 0)
        return x.with_shape((x.shape[0], weight.shape[0], *spatial))

    def element(self, out: Tensor, index: Index, x: Operand, *rest: Operand) -> Scalar:
        weight, bias = rest[0], rest[1:]
        n, k, *place = index
        group_in = weight.type.shape[1]
        group = k // (int_size(out.shape[1]) // self.groups)
        c = axis_variable("c", group_in)
        taps = tuple(axis_variable(f"k{i}", s) for i, s in enumerate(weight.type.shape[2:]))
        where = read_place(place, taps, self.stride, self.dilation, self.pads)
        product = x.padded((n, group * int_size(group_in) + c, *where)) * weight[(k, c, *taps)]
        total = reduce_over("sum", (c, *taps), product)
        return total + bias[0][(k,)] if bias else total

    def numpy(self, x: Array, weight: Array, *bias: Array) -> Array:
        padded = np.pad(x, ((0, 0), (0, 0), *self.pads))
        groups = [
            self._correlate(part, kernel)
            for part, kernel in zip(
                np.split(padded, self.groups, axis=1),
                np.split(weight, self.groups, axis=0),
                strict=True,
            )
        ]
        result = np.concatenate(groups, axis=1)
        return result + bias[0].reshape(1, -1, *[1] * (x.ndim - 2)) if bias else result

    def _correlate(self, x: Array, weight: Array) -> Array:
        extent = tuple(
            (k - 1) * d + 1 for k, d in zip(weight.shape[2:], self.dilation, strict=True)
        )
        axes = tuple(range(2, x.ndim))
        windows = np.lib.stride_tricks.sliding_window_view(x, extent, axis=axes)
        picks = [slice(None, None, s) for s in self.stride] + [
            slice(None, None, d) for d in self.dilation
        ]
        windows = windows[(slice(None), slice(None), *picks)]
        rank = len(axes)
        contracted = (1, *range(2 + rank, 2 + 2 * rank))
        summed = np.tensordot(windows, weight, axes=(contracted, tuple(range(1, weight.ndim))))
        return np.moveaxis(summed, -1, 1)

    def grad(
        self, upstream: Node, output: Node, x: Node, weight: Node, *bias: Node
    ) -> tuple[Node | None, ...]:
        from dhc.ops.conv_grad import conv_gradients

        return conv_gradients(self, upstream, x, weight, bias)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        return foreign_conv(call, call.tensor(0), call.tensor(1))(*call.tensors)

    def phrase(self, x: Node, weight: Node, *bias: Node) -> Phrase:
        weights = weights_of(weight=weight, **({"bias": bias[0]} if bias else {}))
        if weights is None:
            return plain_phrase(self, (x, weight, *bias))
        filters, alone = weight.type.static_shape[0], self.groups == x.type.shape[1] != 1
        attributes = unusual(
            kernel=(even(weight.type.static_shape[2:]), 3),
            stride=(even(self.stride), 1),
            pad=(even_padding(self.pads), 0),
            dilation=(even(self.dilation), 1),
            groups=(1 if alone else self.groups, 1),
            multiplier=(filters // self.groups if alone else 1, 1),
            bias=(bool(bias), True),
        )
        named = {} if alone else {"filters": filters}
        return Phrase("depthwise" if alone else "conv", (x,), named | attributes, weights)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        kernel = tuple(int_size(size) for size in inputs[1].shape[2:])
        return out.node(
            "Conv", inputs, result, kernel_shape=kernel, strides=self.stride, group=self.groups,
            dilations=self.dilation, pads=foreign_pads(self.pads),
        )  # fmt: skip

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        plain = cls((1, 1), ((1, 1), (1, 1)), (1, 1))
        uneven = cls((2, 1), ((0, 1), (2, 0)), (1, 2), groups=2)
        line = cls((2,), ((1, 1),), (2,))
        volume = cls((1, 2, 1), ((1, 0), (0, 0), (1, 1)), (1, 1, 1), groups=2)
        return [
            sample(plain, "f32[2, 3, 5, 4]", "f32[4, 3, 3, 3]", "f32[4]"),
            sample(uneven, "f32[1, 4, 6, 5]", "f32[6, 2, 3, 2]"),
            sample(line, "f32[2, 2, 9]", "f32[3, 2, 3]", "f32[3]"),
            sample(volume, "f32[1, 2, 3, 5, 4]", "f32[4, 1, 2, 3, 2]", "f32[4]"),
        ]


def foreign_pads(pads: Pads) -> tuple[int, ...]:
    """Returns amounts as ONNX lists them: all before the axes, then all behind them."""
    return (*(before for before, _ in pads), *(after for _, after in pads))


def _check_channels(conv: Conv, x: Tensor, weight: Tensor) -> None:
    if x.rank not in (3, 4, 5) or weight.rank != x.rank:
        raise TypeRuleError(f"'conv' needs an input [N, C, ...] of 3 to 5 axes, not {x}.", 0)
    if unify(x.shape[1], int_size(weight.shape[1]) * conv.groups) is None:
        raise TypeRuleError(
            f"'conv' has weights for {int_size(weight.shape[1]) * conv.groups} channels, "
            f"and its input has {x.shape[1]}.",
            0,
        )


def read_place(
    place: Sequence[Scalar],
    taps: Sequence[Scalar],
    stride: Sequence[int],
    dilation: Sequence[int],
    pads: Pads,
) -> Index:
    """Returns which input element meets each tap at a place of the output; it may be padding."""
    return tuple(
        p * s + t * d - before
        for p, t, s, d, (before, _) in zip(place, taps, stride, dilation, pads, strict=True)
    )


def int_size(size: Size) -> int:
    """Returns a size that must be known, such as a number of channels."""
    if not isinstance(size, int):
        raise TypeRuleError(f"The size {size} must be a known number here.", 0)
    return size


def foreign_conv(call: Call, x: Node, weight: Node) -> Conv:
    """Returns the convolution that the attributes of a node of ONNX describe.

    Raises:
        ForeignError: if they do not fit the tensors.
    """
    kernel = tuple(int_size(size) for size in weight.type.shape[2:])
    stride, pads, dilation = foreign_window(call, x.type.shape[2:], kernel)
    return Conv(stride, pads, dilation, call.get("group", 1))


AUTO_PADS = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


def foreign_window(
    call: Call, sizes: tuple[Size, ...], kernel: tuple[int, ...]
) -> tuple[tuple[int, ...], Pads, tuple[int, ...]]:
    """Returns stride, padding and dilation of a node of ONNX with windows of a kernel.

    Raises:
        ForeignError: if they do not fit the axes.
    """
    rank = len(sizes)
    if call.ints("kernel_shape", kernel) != kernel:
        raise ForeignError(f"its weights are no kernel of {call.get('kernel_shape', kernel)}")
    stride = call.ints("strides", (1,) * rank)
    dilation = call.ints("dilations", (1,) * rank)
    listed = call.ints("pads", (0,) * (2 * rank))
    if not len(kernel) == len(stride) == len(dilation) == len(listed) // 2 == rank:
        raise ForeignError(f"its attributes are not for {rank} axes")
    match call.word("auto_pad", "NOTSET", AUTO_PADS):
        case "NOTSET":
            return stride, tuple(zip(listed[:rank], listed[rank:], strict=True)), dilation
        case "VALID":
            return stride, ((0, 0),) * rank, dilation
        case "SAME_UPPER":
            return stride, resolve_padding("same", sizes, kernel, stride, dilation), dilation
    upper = resolve_padding("same", sizes, kernel, stride, dilation)
    return stride, tuple((after, before) for before, after in upper), dilation


def spread(name: str, value: Ints, rank: int, least: int = 1) -> tuple[int, ...]:
    """Returns one integer for each spatial axis, each of them at least `least`."""
    values = (value,) * rank if isinstance(value, int) else value
    if len(values) != rank:
        raise TypeRuleError(f"'{name}' needs one number or {rank}, not {len(values)}.")
    if min(values) < least:
        raise TypeRuleError(f"'{name}' must be at least {least}, not {min(values)}.")
    return values


def resolve_padding(
    pad: Padding,
    sizes: tuple[Size, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Pads:
    """Returns the zeros (before, after) each spatial axis.

    `same` gives ceil(size / stride) outputs, the odd zero after; where the size is symbolic it adds
    the constraint that the stride divides it. A list has one number for each axis, for both sides,
    or a pair [before, after].
    """
    if pad == "valid":
        return ((0, 0),) * len(sizes)
    if not isinstance(pad, str):
        return pairs_of(pad, len(sizes))
    totals = [
        _same_total(size, (k - 1) * d + 1, s)
        for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)
    ]
    return tuple((total // 2, total - total // 2) for total in totals)


def pairs_of(pad: int | tuple[int | tuple[int, int], ...], rank: int) -> Pads:
    """Returns padding (before, after) of each spatial axis."""
    listed = (pad,) * rank if isinstance(pad, int) else pad
    pairs = [(each, each) if isinstance(each, int) else each for each in listed]
    sides = [spread("pad", tuple(pair[side] for pair in pairs), rank, least=0) for side in (0, 1)]
    return tuple(zip(*sides, strict=True))


def _same_total(size: Size, extent: int, stride: int) -> int:
    if isinstance(size, int):
        return max((-(-size // stride) - 1) * stride + extent - size, 0)
    unify(size // stride * stride, size)
    return max(extent - stride, 0)


@layer("conv")
def conv(
    context: LayerContext,
    x: Node,
    filters: int,
    kernel: Ints = 3,
    stride: Ints = 1,
    pad: Padding = "valid",
    dilation: Ints = 1,
    groups: int = 1,
    bias: bool = True,
) -> Node:
    """Convolution with `filters` output channels over 1, 2 or 3 spatial axes."""
    rank = x.type.rank - 2
    if rank not in (1, 2, 3):
        raise TypeRuleError(f"'conv' needs an input [N, C, ...] of 3 to 5 axes, not {x.type}.", 0)
    channels = int_size(x.type.shape[1])
    if groups < 1 or channels % groups or filters % groups:
        raise TypeRuleError(
            f"'conv' cannot split {channels} input and {filters} output channels "
            f"into {groups} groups."
        )
    size, steps = spread("kernel", kernel, rank), spread("stride", stride, rank)
    gaps = spread("dilation", dilation, rank)
    pads = resolve_padding(pad, x.type.shape[2:], size, steps, gaps)
    taps = int(np.prod(size))
    fans = Initializer(
        "he_normal", fan_in=channels // groups * taps, fan_out=filters // groups * taps
    )
    weight = context.param("weight", (filters, channels // groups, *size), fans)
    rest = (context.param("bias", (filters,), Initializer()),) if bias else ()
    return Conv(steps, pads, gaps, groups)(x, weight, *rest)


@layer("depthwise")
def depthwise(
    context: LayerContext,
    x: Node,
    kernel: Ints = 3,
    stride: Ints = 1,
    pad: Padding = "valid",
    dilation: Ints = 1,
    multiplier: int = 1,
    bias: bool = True,
) -> Node:
    """Convolution of each channel by itself, with `multiplier` output channels for each."""
    if x.type.rank < 3:
        raise TypeRuleError(f"'depthwise' needs [N, C, ...] of 3 to 5 axes, not {x.type}.", 0)
    channels = int_size(x.type.shape[1])
    filters = channels * multiplier
    return conv(context, x, filters, kernel, stride, pad, dilation, channels, bias)
