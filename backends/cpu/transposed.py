"""Transposed convolutions with packed weights, as convolutions at the input's resolution.

An output place is a whole number of strides and a *phase*. For one phase the sum is an ordinary
convolution of the input with every stride-th tap. All phases have the same number of taps: where
the kernel is no multiple of the stride, zeros stand in for those that are missing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dhc.ir.scalar import Scalar, reduce_over
from dhc.ir.types import Tensor
from dhc.ops.base import Array, Index, Operand, Structured, axis_variable, op
from dhc.ops.conv import Pads
from dhc.ops.conv_transpose import ConvTranspose


@op("cpu_pack_transposed")
class PackTransposed(Structured):
    """Weights [C, K, *taps] as [*phases, blocks, *turns, C, block], in the order of reading.

    Attributes:
        block: Output channels of one block; there are zeros after the last channel.
        stride: Phases along each axis.
        cut: Elements that the convolution leaves out before each axis.
    """

    block: int
    stride: tuple[int, ...]
    cut: tuple[int, ...]

    inlines_producers: ClassVar[bool] = True
    inlines_movement: ClassVar[bool] = True

    def infer(self, weight: Tensor) -> Tensor:
        channels, filters, *taps = weight.static_shape
        turns = tuple(-(-t // s) for t, s in zip(taps, self.stride, strict=True))
        blocks = -(-filters // self.block)
        return weight.with_shape((*self.stride, blocks, *turns, channels, self.block))

    def element(self, out: Tensor, index: Index, *inputs: Operand, **unused: object) -> Scalar:
        rank = len(self.stride)
        phases, block, turns = index[:rank], index[rank], index[rank + 1 : 2 * rank + 1]
        channel, lane = index[-2:]
        taps = tuple(
            (phase + cut) % s + (count - 1 - turn) * s
            for phase, turn, s, cut, count in zip(
                phases, turns, self.stride, self.cut, self._turns(out), strict=True
            )
        )
        return inputs[0].padded((channel, block * self.block + lane, *taps))

    def _turns(self, out: Tensor) -> tuple[int, ...]:
        rank = len(self.stride)
        return out.static_shape[rank + 1 : 2 * rank + 1]

    def numpy(self, weight: Array) -> Array:
        result = np.zeros(self.infer(_type_of(weight)).static_shape, weight.dtype)
        more = [(0, -t % s) for t, s in zip(weight.shape[2:], self.stride, strict=True)]
        weight = np.pad(weight, [(0, 0), (0, 0), *more])
        channels, filters = weight.shape[:2]
        for phase in np.ndindex(*self.stride):
            starts = [(p + c) % s for p, c, s in zip(phase, self.cut, self.stride, strict=True)]
            taps = tuple(slice(a, None, s) for a, s in zip(starts, self.stride, strict=True))
            part = np.flip(weight[(slice(None), slice(None), *taps)], tuple(range(2, weight.ndim)))
            padded = np.zeros((channels, result.shape[len(phase)] * self.block, *part.shape[2:]))
            padded[:, :filters] = part
            split = padded.reshape(channels, -1, self.block, *part.shape[2:])
            result[phase] = np.moveaxis(split, (0, 2), (-2, -1))
        return result


@op("cpu_conv_transpose")
class PackedConvTranspose(Structured):
    """`conv_transpose` without groups and dilation on packed weights.

    Attributes:
        filters: Output channels.
        stride: Strides, which divide the sizes of the output.
        cut: Elements left out before each axis.
        size: The output's spatial axes.
        pads: How far reads go beyond the input, before and after each axis.
        kernel: The sizes of the kernel before it was packed.
    """

    filters: int
    stride: tuple[int, ...]
    cut: tuple[int, ...]
    size: tuple[int, ...]
    pads: Pads
    kernel: tuple[int, ...]

    def infer(self, x: Tensor, packed: Tensor, *bias: Tensor) -> Tensor:
        return x.with_shape((x.shape[0], self.filters, *self.size))

    def element(self, out: Tensor, index: Index, x: Operand, *rest: Operand) -> Scalar:
        packed, bias = rest[0], rest[1:]
        n, k, *place = index
        counts = self.turns(packed.type)
        turns = tuple(axis_variable(f"k{i}", count) for i, count in enumerate(counts))
        c = axis_variable("c", packed.type.shape[-2])
        where = tuple(
            p // s + (p % s + cut) // s + turn - (count - 1)
            for p, s, cut, turn, count in zip(
                place, self.stride, self.cut, turns, counts, strict=True
            )
        )
        phases = tuple(p % s for p, s in zip(place, self.stride, strict=True))
        block = packed.type.static_shape[-1]
        weight = packed[(*phases, k // block, *turns, c, k % block)]
        total = reduce_over("sum", (*turns, c), x.padded((n, c, *where)) * weight)
        return total + bias[0][(k,)] if bias else total

    def turns(self, packed: Tensor) -> tuple[int, ...]:
        """Taps of one phase along each axis."""
        rank = len(self.stride)
        return packed.static_shape[rank + 1 : 2 * rank + 1]

    def numpy(self, x: Array, packed: Array, *bias: Array) -> Array:
        rank = len(self.stride)
        counts = packed.shape[rank + 1 : 2 * rank + 1]
        wide = np.pad(x, ((0, 0), (0, 0), *self.pads))
        result = np.zeros((x.shape[0], self.filters, *self.size), x.dtype)
        rows = [o // s for o, s in zip(self.size, self.stride, strict=True)]
        for phase in np.ndindex(*self.stride):
            for turn in np.ndindex(*counts):
                weight = np.moveaxis(packed[phase][(slice(None), *turn)], 1, 0)
                firsts = [
                    (p + cut) // s + t - (count - 1) + before
                    for p, cut, s, t, count, (before, _) in zip(
                        phase, self.cut, self.stride, turn, counts, self.pads, strict=True
                    )
                ]
                window = tuple(slice(a, a + r) for a, r in zip(firsts, rows, strict=True))
                part = wide[(slice(None), slice(None), *window)]
                flat = weight.reshape(weight.shape[0], -1)[:, : self.filters]
                places = tuple(slice(p, None, s) for p, s in zip(phase, self.stride, strict=True))
                result[(slice(None), slice(None), *places)] += np.moveaxis(
                    np.tensordot(part, flat, axes=(1, 0)), -1, 1
                )
        return result + bias[0].reshape(1, -1, *[1] * rank) if bias else result


def packable(conv: ConvTranspose, out: Tensor) -> bool:
    """Whether every phase makes the same number of places."""
    return set(conv.dilation) == {1} and all(
        o % s == 0 for o, s in zip(out.static_shape[2:], conv.stride, strict=True)
    )


@dataclass(frozen=True)
class Phases:
    """What the phases of a transposed convolution share.

    Attributes:
        cut: Elements left out before each axis.
        size: The output's spatial axes.
        pads: How far reads go beyond the input, before and after each axis.
    """

    cut: tuple[int, ...]
    size: tuple[int, ...]
    pads: Pads


def phases_of(conv: ConvTranspose, x: Tensor, weight: Tensor, out: Tensor) -> Phases:
    """Returns the phases of a convolution that can be packed."""
    cut = tuple(before for before, _ in conv.pads)
    size = out.static_shape[2:]
    pads = []
    for length, taps, o, s, c in zip(
        x.static_shape[2:], weight.static_shape[2:], size, conv.stride, cut, strict=True
    ):
        last = o // s - 1 + (s - 1 + c) // s
        pads.append((max(0, -(-taps // s) - 1 - c // s), max(0, last - (length - 1))))
    return Phases(cut, size, tuple(pads))


def packed_transpose(
    conv: ConvTranspose, x: Tensor, weight: Tensor, out: Tensor
) -> PackedConvTranspose:
    """Returns the operator that takes packed weights."""
    phases = phases_of(conv, x, weight, out)
    filters, *kernel = weight.static_shape[1:]
    return PackedConvTranspose(
        filters, conv.stride, phases.cut, phases.size, phases.pads, tuple(kernel)
    )


def phase_stride(packed: Tensor, axis: int, rank: int) -> int:
    """Elements of packed weights between neighbouring phases of an axis."""
    return math.prod(packed.static_shape[axis + 1 :]) if axis < rank else 0


def _type_of(array: Array) -> Tensor:
    from dhc.ir.types import dtype_of

    return Tensor(dtype_of(array), array.shape)
