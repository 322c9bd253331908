"""Gradients of convolutions for their weights, packed as the convolution itself reads weights."""

from __future__ import annotations

import math

from dhc.backends.cpu.blocks import unpack
from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.packing import Pack, vectors_per_block
from dhc.ir.graph import Node
from dhc.ir.scalar import Scalar, reduce_over
from dhc.ir.types import Tensor
from dhc.ops.base import Array, Index, Operand, Structured, axis_variable, op
from dhc.ops.conv import Pads, read_place
from dhc.ops.conv_grad import ConvWeightGrad
from dhc.ops.movement import Movement


@op("cpu_unpack")
class Unpack(Movement):
    """Packed weights [blocks, *taps, C, block] as [K, C, *taps]: the inverse of `cpu_pack`."""

    filters: int

    def infer(self, packed: Tensor) -> Tensor:
        _, *taps, channels, _ = packed.shape
        return packed.with_shape((self.filters, channels, *taps))

    def element(self, out: Tensor, index: Index, *inputs: Operand, **unused: object) -> Scalar:
        k, channel, *taps = index
        block = inputs[0].type.shape[-1]
        assert isinstance(block, int)
        return inputs[0][(k // block, *taps, channel, k % block)]

    def numpy(self, packed: Array) -> Array:
        return unpack(packed, self.filters)


@op("cpu_weight_grad")
class PackedWeightGrad(Structured):
    """`conv_weight_grad` without groups, whose result is packed; it has zeros after channel K.

    Attributes:
        stride, pads, dilation: As of the convolution.
        kernel: The sizes of the kernel.
        block: Output channels of one block.
    """

    stride: tuple[int, ...]
    pads: Pads
    dilation: tuple[int, ...]
    kernel: tuple[int, ...]
    block: int

    def infer(self, x: Tensor, upstream: Tensor) -> Tensor:
        return Pack(self.block).infer(self._plain().infer(x, upstream))

    def element(self, out: Tensor, index: Index, *inputs: Operand, **unused: object) -> Scalar:
        x, upstream = inputs
        block, *taps, channel, lane = index
        n = axis_variable("n", x.type.shape[0])
        places = tuple(axis_variable(f"p{i}", s) for i, s in enumerate(upstream.type.shape[2:]))
        where = read_place(places, taps, self.stride, self.dilation, self.pads)
        above = upstream.padded((n, block * self.block + lane, *places))
        product = above * x.padded((n, channel, *where))
        return reduce_over("sum", (n, *places), product)

    def numpy(self, x: Array, upstream: Array) -> Array:
        return Pack(self.block).numpy(self._plain().numpy(x, upstream))

    def _plain(self) -> ConvWeightGrad:
        return ConvWeightGrad(self.stride, self.pads, self.dilation, 1, self.kernel)


def packed_weight_grad(grad: ConvWeightGrad, x: Node, upstream: Node, isa: Isa) -> Node:
    """Returns the gradient for the weights by way of the packed one."""
    filters = upstream.type.static_shape[1]
    pixels = math.prod(upstream.type.static_shape[2:]) * upstream.type.static_shape[0]
    block = isa.lanes * vectors_per_block(isa, filters, pixels)
    packed = PackedWeightGrad(grad.stride, grad.pads, grad.dilation, grad.kernel, block)
    return Unpack(filters)(packed(x, upstream))
