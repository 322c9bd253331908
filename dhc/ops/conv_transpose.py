"""Transposed convolution, the gradient of convolution: it enlarges by its stride.

Layout of the operands: x is [N, C, *spatial], weights are [C, K / groups, *kernel], bias is [K].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from dhc.ir.graph import Initializer, Node
from dhc.ir.scalar import Const, Scalar, reduce_over
from dhc.ir.size import Size, static, unify
from dhc.ir.types import DType, Tensor
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
from dhc.ops.compare import Equal
from dhc.ops.conv import (
    AUTO_PADS,
    Ints,
    Padding,
    Pads,
    foreign_pads,
    foreign_window,
    int_size,
    pairs_of,
    spread,
)
from dhc.ops.elementwise import Cast
from dhc.ops.foreign import Call, ForeignError, reads
from dhc.ops.outward import Outward, Term
from dhc.ops.phrase import Phrase, even, even_padding, plain_phrase, unusual, weights_of
from dhc.ops.positions import CountUp
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Reshape


@op("conv_transpose", onnx=Onnx("ConvTranspose", since=11))
class ConvTranspose(Structured):
    """Every element of x adds its multiple of the kernel to the output, plus an optional bias.

    Attributes:
        stride, dilation: One integer for each spatial axis.
        pads: Elements cut off (before, after) each spatial axis.
        output_pad: Elements added after each spatial axis.
        groups: Input and output channels are split into this many independent groups.
    """

    stride: tuple[int, ...]
    pads: Pads
    output_pad: tuple[Size, ...]
    dilation: tuple[int, ...]
    groups: int = 1

    multiplies: ClassVar[bool] = True

    def infer(self, x: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
        if x.rank not in (3, 4, 5) or weight.rank != x.rank:
            raise TypeRuleError(f"'{self.name}' needs [N, C, ...] of 3 to 5 axes, not {x}.", 0)
        if unify(x.shape[1], weight.shape[0]) is None:
            raise TypeRuleError(
                f"'{self.name}' has weights for {weight.shape[0]} channels, "
                f"and its input has {x.shape[1]}.",
                0,
            )
        spatial = tuple(
            (size - 1) * s + (int_size(k) - 1) * d + 1 + extra - before - after
            for size, k, s, d, extra, (before, after) in zip(
                x.shape[2:],
                weight.shape[2:],
                self.stride,
                self.dilation,
                self.output_pad,
                self.pads,
                strict=True,
            )
        )
        if any(isinstance(size, int) and size < 1 for size in spatial):
            raise TypeRuleError(f"The padding of '{self.name}' leaves nothing of {x}.", 0)
        return x.with_shape((x.shape[0], int_size(weight.shape[1]) * self.groups, *spatial))

    def element(self, out: Tensor, index: Index, x: Operand, *rest: Operand) -> Scalar:
        weight, bias = rest[0], rest[1:]
        n, k, *place = index
        group_in = int_size(x.type.shape[1]) // self.groups
        group_out = int_size(weight.type.shape[1])
        c = axis_variable("c", group_in)
        channel = k // group_out * group_in + c
        taps = tuple(axis_variable(f"k{i}", s) for i, s in enumerate(weight.type.shape[2:]))
        where, guard = self._source(tuple(place), taps, x.type)
        value = x.read((n, channel, *where), guard, 0) * weight[(channel, k % group_out, *taps)]
        total = reduce_over("sum", (c, *taps), value)
        return total + bias[0][(k,)] if bias else total

    def _source(self, place: Index, taps: Index, x: Tensor) -> tuple[Index, Scalar]:
        """Which input element reaches an output place through a tap, and whether one does."""
        guard: Scalar = Const(True, DType.BOOL)
        where: list[Scalar] = []
        for axis, (p, tap) in enumerate(zip(place, taps, strict=True)):
            steps = p + self.pads[axis][0] - tap * self.dilation[axis]
            source = steps // self.stride[axis]
            if self.stride[axis] > 1:
                guard = guard & (steps % self.stride[axis]).equals(0)
            guard = guard & (source >= 0) & (source < size_scalar(x.shape[2 + axis]))
            where.append(source)
        return tuple(where), guard

    def numpy(self, x: Array, weight: Array, *bias: Array) -> Array:
        kernel, axes, extra = weight.shape[2:], range(x.ndim - 2), static(self.output_pad)
        room = tuple(
            (x.shape[2 + a] - 1) * self.stride[a]
            + (kernel[a] - 1) * self.dilation[a]
            + 1
            + extra[a]
            for a in axes
        )
        total = np.zeros((x.shape[0], weight.shape[1] * self.groups, *room), x.dtype)
        parts = np.split(x, self.groups, 1), np.split(weight, self.groups, 0)
        for tap in np.ndindex(*kernel):
            reached = tuple(slice(tap[a] * self.dilation[a], None, self.stride[a]) for a in axes)
            sums = [
                np.moveaxis(np.tensordot(part, w[(..., *tap)], axes=(1, 0)), -1, 1)
                for part, w in zip(*parts, strict=True)
            ]
            window = total[(slice(None), slice(None), *reached)]
            corner = [slice(0, s) for s in x.shape[2:]]
            window[(slice(None), slice(None), *corner)] += np.concatenate(sums, 1)
        kept = tuple(slice(b, r - a) for (b, a), r in zip(self.pads, room, strict=True))
        result = total[(slice(None), slice(None), *kept)]
        return result + bias[0].reshape(1, -1, *[1] * len(kernel)) if bias else result

    def grad(
        self, upstream: Node, output: Node, x: Node, weight: Node, *bias: Node
    ) -> tuple[Node | None, ...]:
        from dhc.ops.conv_grad import conv_transpose_gradients

        return conv_transpose_gradients(self, upstream, x, weight, bias)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        x, weight = call.tensor(0), call.tensor(1)
        kernel = tuple(int_size(size) for size in weight.type.shape[2:])
        sizes = x.type.shape[2:]
        whole, extra = call.ints("output_shape"), call.ints("output_padding", (0,) * len(sizes))
        same = call.word("auto_pad", "NOTSET", AUTO_PADS)
        if whole or same.startswith("SAME"):
            ones = (1,) * len(sizes)
            stride, dilation = call.ints("strides", ones), call.ints("dilations", ones)
            grown = tuple(n * s for n, s in zip(sizes, stride, strict=True))
            wanted: tuple[Size, ...] = whole[-len(sizes) :] or grown
            pads, extra = _foreign_cut(sizes, wanted, kernel, stride, dilation, extra, same)
            call.ints("pads")
        else:
            stride, pads, dilation = foreign_window(call, sizes, kernel)
        call.ints("kernel_shape", kernel)
        return cls(stride, pads, extra, dilation, call.get("group", 1))(*call.tensors)

    def phrase(self, x: Node, weight: Node, *bias: Node) -> Phrase:
        weights = weights_of(weight=weight, **({"bias": bias[0]} if bias else {}))
        extra = [each for each in self.output_pad if isinstance(each, int)]
        if weights is None or len(extra) < len(self.output_pad):
            return plain_phrase(self, (x, weight, *bias))
        filters = weight.type.static_shape[1] * self.groups
        attributes = unusual(
            kernel=(even(weight.type.static_shape[2:]), 2),
            stride=(even(self.stride), 2),
            pad=(even_padding(self.pads), 0),
            output_pad=(even(extra), 0),
            dilation=(even(self.dilation), 1),
            groups=(self.groups, 1),
            bias=(bool(bias), True),
        )
        return Phrase(self.name, (x,), {"filters": filters} | attributes, weights)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        kernel = tuple(int_size(size) for size in inputs[1].shape[2:])
        extra = [size for size in self.output_pad if isinstance(size, int)]
        if len(extra) < len(self.output_pad):
            raise ForeignError("what is added to its result depends on the sizes of inputs")
        return out.node(
            "ConvTranspose", inputs, result, kernel_shape=kernel, strides=self.stride,
            dilations=self.dilation, pads=foreign_pads(self.pads), output_padding=extra,
            group=self.groups,
        )  # fmt: skip

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        twice = cls((2, 2), ((0, 0), (0, 0)), (0, 0), (1, 1))
        uneven = cls((2, 1), ((1, 0), (0, 1)), (1, 0), (1, 2), groups=2)
        line = cls((3,), ((1, 1),), (1,), (1,))
        volume = cls((2, 2, 2), ((1, 1),) * 3, (0, 0, 0), (1, 1, 1))
        return [
            sample(twice, "f32[2, 3, 4, 3]", "f32[3, 5, 2, 2]", "f32[5]"),
            sample(uneven, "f32[1, 4, 3, 4]", "f32[4, 3, 3, 2]"),
            sample(line, "f32[2, 2, 5]", "f32[2, 3, 4]", "f32[3]"),
            sample(volume, "f32[1, 2, 2, 3, 2]", "f32[2, 2, 3, 3, 3]"),
        ]


@layer("conv_transpose")
def conv_transpose(
    context: LayerContext,
    x: Node,
    filters: int,
    kernel: Ints = 2,
    stride: Ints = 2,
    pad: Padding = "valid",
    output_pad: Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
    bias: bool = True,
) -> Node:
    """Transposed convolution; with `pad=same` the output is `stride` times as large."""
    rank = x.type.rank - 2
    if rank not in (1, 2, 3):
        raise TypeRuleError(f"'conv_transpose' needs [N, C, ...] of 3 to 5 axes, not {x.type}.", 0)
    channels = int_size(x.type.shape[1])
    if groups < 1 or channels % groups or filters % groups:
        raise TypeRuleError(
            f"'conv_transpose' cannot split {channels} input and {filters} output channels "
            f"into {groups} groups."
        )
    size, steps = spread("kernel", kernel, rank), spread("stride", stride, rank)
    gaps = spread("dilation", dilation, rank)
    extra = spread("output_pad", output_pad, rank, least=0)
    if any(e >= max(s, d) for e, s, d in zip(extra, steps, gaps, strict=True)):
        raise TypeRuleError("'output_pad' must be less than the stride or the dilation.")
    if pad == "same":
        spare = [(k - 1) * d + 1 - s for k, s, d in zip(size, steps, gaps, strict=True)]
        pads = tuple((max(each, 0) // 2, (max(each, 0) + 1) // 2) for each in spare)
        extra = tuple(max(-each, 0) for each in spare)
    else:
        pads = pairs_of(0 if pad == "valid" else pad, rank)
    taps = int(np.prod(size))
    fans = Initializer(
        "he_normal", fan_in=channels // groups * taps, fan_out=filters // groups * taps
    )
    weight = context.param("weight", (channels, filters // groups, *size), fans)
    rest = (context.param("bias", (filters,), Initializer()),) if bias else ()
    return ConvTranspose(steps, pads, extra, gaps, groups)(x, weight, *rest)


def _foreign_cut(
    sizes: Sequence[Size],
    wanted: Sequence[Size],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    extra: Sequence[int],
    same: str,
) -> tuple[Pads, tuple[int, ...]]:
    """What ONNX cuts off, and what it adds, where it says how large the result is."""
    found, added = [], []
    for size, whole, k, s, d, more in zip(
        sizes, wanted, kernel, stride, dilation, extra, strict=True
    ):
        total = s * (size - 1) + more + (k - 1) * d + 1 - whole
        if not isinstance(total, int):
            raise ForeignError("what it cuts off depends on the sizes of the inputs")
        less = max(total, 0) // 2
        more_cut = max(total, 0) - less
        found.append((less, more_cut) if same != "SAME_LOWER" else (more_cut, less))
        added.append(more + max(-total, 0))
    return tuple(found), tuple(added)


@reads("Col2Im")
def _read_columns(call: Call) -> Node:
    """Blocks [N, C * taps, L] put back where they were cut out, and added: kernels of one 1."""
    x, image, block = call.tensor(0), call.listed(1), call.listed(2)
    batch, rows, _ = x.type.shape
    taps, rank = math.prod(block), len(block)
    stride, dilation = call.ints("strides", (1,) * rank), call.ints("dilations", (1,) * rank)
    listed = call.ints("pads", (0,) * 2 * rank)
    pads = tuple(zip(listed[:rank], listed[rank:], strict=True))
    axes = list(zip(image, block, stride, dilation, pads, strict=True))
    room = [size + sum(pad) - (k - 1) * d - 1 for size, k, _, d, pad in axes]
    counts = tuple(each // step + 1 for each, step in zip(room, stride, strict=True))
    extra = tuple(each % step for each, step in zip(room, stride, strict=True))
    numbers = CountUp(taps)()
    ones = Cast(x.type.dtype)(Equal()(Reshape((taps, 1))(numbers), numbers))
    blocks = Reshape((batch * (rows // taps), taps, *counts))(x)
    back = ConvTranspose(stride, pads, extra, dilation)
    return Reshape((batch, rows // taps, *image))(back(blocks, Reshape((taps, 1, *block))(ones)))
