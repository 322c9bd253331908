"""Depthwise convolutions, each channel with its own taps, and their gradients.

Weights are packed with channels innermost, as a vector of channels reads them. A transposed one is
made of phases, as `dhc.backends.cpu.transposed` explains.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.transposed import Phases, packable, phases_of
from dhc.ir.graph import Node
from dhc.ir.scalar import Scalar, reduce_over
from dhc.ir.scalar import index as to_index
from dhc.ir.types import Tensor
from dhc.ops.base import Array, Index, Operand, Structured, axis_variable, op
from dhc.ops.conv import Conv, Pads, read_place
from dhc.ops.conv_grad import ConvWeightGrad
from dhc.ops.conv_transpose import ConvTranspose
from dhc.ops.movement import Movement


@op("cpu_pack_depthwise")
class PackDepthwise(Structured):
    """Weights [C, 1, *taps] as [*taps, C]."""

    inlines_producers: ClassVar[bool] = True
    inlines_movement: ClassVar[bool] = True

    def infer(self, weight: Tensor) -> Tensor:
        return weight.with_shape((*weight.shape[2:], weight.shape[0]))

    def element(self, out: Tensor, index: Index, weight: Operand) -> Scalar:
        *taps, channel = index
        return weight[(channel, to_index(0), *taps)]

    def numpy(self, weight: Array) -> Array:
        return np.ascontiguousarray(np.moveaxis(weight[:, 0], 0, -1))


@op("cpu_unpack_depthwise")
class UnpackDepthwise(Movement):
    """The inverse of `cpu_pack_depthwise`."""

    def infer(self, packed: Tensor) -> Tensor:
        return packed.with_shape((packed.shape[-1], 1, *packed.shape[:-1]))

    def element(self, out: Tensor, index: Index, packed: Operand) -> Scalar:
        channel, _, *taps = index
        return packed[(*taps, channel)]

    def numpy(self, packed: Array) -> Array:
        return np.moveaxis(packed, -1, 0)[:, None]


@op("cpu_depthwise")
class PackedDepthwise(Structured):
    """`conv` with as many groups as channels, on packed weights."""

    stride: tuple[int, ...]
    pads: Pads
    dilation: tuple[int, ...]

    def infer(self, x: Tensor, packed: Tensor, *bias: Tensor) -> Tensor:
        return self._plain(x.static_shape[1]).infer(x, UnpackDepthwise().infer(packed))

    def element(self, out: Tensor, index: Index, x: Operand, *rest: Operand) -> Scalar:
        packed, bias = rest[0], rest[1:]
        n, c, *place = index
        taps = tuple(axis_variable(f"k{i}", s) for i, s in enumerate(packed.type.shape[:-1]))
        where = read_place(place, taps, self.stride, self.dilation, self.pads)
        total = reduce_over("sum", taps, x.padded((n, c, *where)) * packed[(*taps, c)])
        return total + bias[0][(c,)] if bias else total

    def numpy(self, x: Array, packed: Array, *bias: Array) -> Array:
        return self._plain(x.shape[1]).numpy(x, UnpackDepthwise().numpy(packed), *bias)

    def _plain(self, channels: int) -> Conv:
        return Conv(self.stride, self.pads, self.dilation, channels)


@op("cpu_depthwise_grad")
class PackedDepthwiseGrad(Structured):
    """The gradient of `cpu_depthwise` for its packed weights."""

    stride: tuple[int, ...]
    pads: Pads
    dilation: tuple[int, ...]
    kernel: tuple[int, ...]

    def infer(self, x: Tensor, upstream: Tensor) -> Tensor:
        return PackDepthwise().infer(self._plain(x.static_shape[1]).infer(x, upstream))

    def element(self, out: Tensor, index: Index, x: Operand, upstream: Operand) -> Scalar:
        *taps, c = index
        n = axis_variable("n", x.type.shape[0])
        places = tuple(axis_variable(f"p{i}", s) for i, s in enumerate(upstream.type.shape[2:]))
        where = read_place(places, taps, self.stride, self.dilation, self.pads)
        product = upstream[(n, c, *places)] * x.padded((n, c, *where))
        return reduce_over("sum", (n, *places), product)

    def numpy(self, x: Array, upstream: Array) -> Array:
        return PackDepthwise().numpy(self._plain(x.shape[1]).numpy(x, upstream))

    def _plain(self, channels: int) -> ConvWeightGrad:
        return ConvWeightGrad(self.stride, self.pads, self.dilation, channels, self.kernel)


# ---- phases of transposed ones -----------------------------------------------------------------


@op("cpu_pack_depthwise_transposed")
class PackDepthwiseTransposed(Structured):
    """Weights [C, 1, *taps] as [*phases, *turns, C], zeros where a phase has fewer taps.

    Attributes:
        stride: Phases along each axis.
        cut: Elements that the convolution leaves out before each axis.
    """

    stride: tuple[int, ...]
    cut: tuple[int, ...]

    inlines_producers: ClassVar[bool] = True
    inlines_movement: ClassVar[bool] = True

    def infer(self, weight: Tensor) -> Tensor:
        channels, _, *taps = weight.static_shape
        turns = (-(-t // s) for t, s in zip(taps, self.stride, strict=True))
        return weight.with_shape((*self.stride, *turns, channels))

    def element(self, out: Tensor, index: Index, weight: Operand) -> Scalar:
        rank = len(self.stride)
        phases, turns = index[:rank], index[rank:-1]
        taps = tuple(
            (phase + cut) % s + (count - 1 - turn) * s
            for phase, turn, s, cut, count in zip(
                phases, turns, self.stride, self.cut, out.static_shape[rank:-1], strict=True
            )
        )
        return weight.padded((index[-1], to_index(0), *taps))

    def numpy(self, weight: Array) -> Array:
        more = [(0, -t % s) for t, s in zip(weight.shape[2:], self.stride, strict=True)]
        wide = PackDepthwise().numpy(np.pad(weight, [(0, 0), (0, 0), *more]))
        turns = [t // s for t, s in zip(wide.shape[:-1], self.stride, strict=True)]
        result = np.zeros((*self.stride, *turns, wide.shape[-1]), weight.dtype)
        for phase in np.ndindex(*self.stride):
            starts = [(p + c) % s for p, c, s in zip(phase, self.cut, self.stride, strict=True)]
            taps = tuple(slice(a, None, s) for a, s in zip(starts, self.stride, strict=True))
            result[phase] = np.flip(wide[taps], tuple(range(len(self.stride))))
        return result


@op("cpu_depthwise_transpose")
class PackedDepthwiseTranspose(Structured):
    """`conv_transpose` with as many groups as channels, without dilation, on packed weights.

    Attributes:
        stride: Strides, which divide the sizes of the output.
        cut: Elements left out before each axis.
        size: The output's spatial axes.
        pads: How far reads go beyond the input, before and after each axis.
    """

    stride: tuple[int, ...]
    cut: tuple[int, ...]
    size: tuple[int, ...]
    pads: Pads

    def infer(self, x: Tensor, packed: Tensor, *bias: Tensor) -> Tensor:
        return x.with_shape((*x.shape[:2], *self.size))

    def element(self, out: Tensor, index: Index, x: Operand, *rest: Operand) -> Scalar:
        packed, bias = rest[0], rest[1:]
        n, c, *place = index
        counts = self.turns(packed.type)
        turns = tuple(axis_variable(f"k{i}", count) for i, count in enumerate(counts))
        where = tuple(
            p // s + (p % s + cut) // s + turn - (count - 1)
            for p, s, cut, turn, count in zip(
                place, self.stride, self.cut, turns, counts, strict=True
            )
        )
        phases = tuple(p % s for p, s in zip(place, self.stride, strict=True))
        product = x.padded((n, c, *where)) * packed[(*phases, *turns, c)]
        total = reduce_over("sum", turns, product)
        return total + bias[0][(c,)] if bias else total

    def turns(self, packed: Tensor) -> tuple[int, ...]:
        """Taps of one phase along each axis."""
        return packed.static_shape[len(self.stride) : -1]

    def numpy(self, x: Array, packed: Array, *bias: Array) -> Array:
        rank = len(self.stride)
        counts = packed.shape[rank:-1]
        wide = np.pad(x, ((0, 0), (0, 0), *self.pads))
        result = np.zeros((*x.shape[:2], *self.size), x.dtype)
        rows = [o // s for o, s in zip(self.size, self.stride, strict=True)]
        for phase in np.ndindex(*self.stride):
            places = tuple(slice(p, None, s) for p, s in zip(phase, self.stride, strict=True))
            for turn in np.ndindex(*counts):
                firsts = [
                    (p + cut) // s + t - (count - 1) + before
                    for p, cut, s, t, count, (before, _) in zip(
                        phase, self.cut, self.stride, turn, counts, self.pads, strict=True
                    )
                ]
                window = tuple(slice(a, a + r) for a, r in zip(firsts, rows, strict=True))
                weight = packed[(*phase, *turn)].reshape(-1, *[1] * rank)
                part = wide[(slice(None), slice(None), *window)]
                result[(slice(None), slice(None), *places)] += part * weight
        return result + bias[0].reshape(1, -1, *[1] * rank) if bias else result


# ---- from plain operators ------------------------------------------------------------------------


def packed_depthwise(node: Node, isa: Isa) -> Node | None:
    """Returns a depthwise convolution or gradient with packed weights; None for anything else."""
    match node.op:
        case Conv() as conv if _is_depthwise(conv.groups, node.inputs[1].type, isa):
            x, weight, *bias = node.inputs
            packed = PackDepthwise()(weight)
            return PackedDepthwise(conv.stride, conv.pads, conv.dilation)(x, packed, *bias)
        case ConvWeightGrad() as grad if _is_depthwise(grad.groups, node.type, isa):
            own = PackedDepthwiseGrad(grad.stride, grad.pads, grad.dilation, grad.kernel)
            return UnpackDepthwise()(own(*node.inputs))
        case ConvTranspose() as conv if _is_depthwise(conv.groups, node.inputs[1].type, isa):
            return _transposed(conv, node) if packable(conv, node.type) else None
    return None


def _is_depthwise(groups: int, weight: Tensor, isa: Isa) -> bool:
    channels, each = weight.static_shape[:2]
    return groups == channels and each == 1 and channels % isa.lanes == 0 and channels > 1


def _transposed(conv: ConvTranspose, node: Node) -> Node:
    x, weight, *bias = node.inputs
    phases: Phases = phases_of(conv, x.type, weight.type, node.type)
    packed = PackDepthwiseTransposed(conv.stride, phases.cut)(weight)
    own = PackedDepthwiseTranspose(conv.stride, phases.cut, phases.size, phases.pads)
    return own(x, packed, *bias)
