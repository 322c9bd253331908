"""Convolutions and dense layers with weights packed for vector kernels.

The packed operators have the same meaning as the plain ones and their own definition of an element,
so they run as generic kernels too. Parameters are packed in the prepare graph; weights that are
computed are packed in each run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dhc.backends.cpu.blocks import pack, pack_matrix, unpack, unpack_matrix
from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.transposed import PackTransposed, packable, packed_transpose
from dhc.ir.graph import Graph, Input, Node, topological
from dhc.ir.rewrite import rebuild, transform
from dhc.ir.scalar import Scalar, reduce_over
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Array,
    Index,
    Operand,
    Structured,
    axis_variable,
    broadcast_shapes,
    op,
)
from dhc.ops.conv import Conv, Pads, read_place
from dhc.ops.conv_grad import ConvWeightGrad
from dhc.ops.conv_transpose import ConvTranspose
from dhc.ops.linear import Dense, MatMul
from dhc.passes.manager import Pass

SUMMED = (DType.F32, DType.I32)  # elements of products that have kernels of their own
FEW_ROWS = 4  # products with fewer rows take no longer than packing their matrix


@op("cpu_pack")
class Pack(Structured):
    """Weights [K, C, *taps] as [blocks, *taps, C, block], zeros after the last output channel."""

    block: int

    inlines_producers: ClassVar[bool] = True
    inlines_movement: ClassVar[bool] = True

    def infer(self, weight: Tensor) -> Tensor:
        filters, channels, *taps = weight.static_shape
        return weight.with_shape((-(-filters // self.block), *taps, channels, self.block))

    def element(self, out: Tensor, index: Index, *inputs: Operand, **unused: object) -> Scalar:
        block, *taps, channel, lane = index
        return inputs[0].padded((block * self.block + lane, channel, *taps))

    def numpy(self, weight: Array) -> Array:
        return pack(weight, self.block)


@op("cpu_conv")
class PackedConv(Structured):
    """`conv` without groups on packed weights."""

    filters: int
    stride: tuple[int, ...]
    pads: Pads
    dilation: tuple[int, ...]

    def infer(self, x: Tensor, packed: Tensor, *bias: Tensor) -> Tensor:
        plain = packed.with_shape((self.filters, packed.shape[-2], *packed.shape[1:-2]))
        return self._plain().infer(x, plain)

    def element(self, out: Tensor, index: Index, x: Operand, *rest: Operand) -> Scalar:
        packed, bias = rest[0], rest[1:]
        n, k, *place = index
        *taps_shape, channels, block = packed.type.shape[1:]
        taps = tuple(axis_variable(f"k{i}", size) for i, size in enumerate(taps_shape))
        c = axis_variable("c", channels)
        where = read_place(place, taps, self.stride, self.dilation, self.pads)
        assert isinstance(block, int)
        product = x.padded((n, c, *where)) * packed[(k // block, *taps, c, k % block)]
        total = reduce_over("sum", (*taps, c), product)
        return total + bias[0][(k,)] if bias else total

    def numpy(self, x: Array, packed: Array, *bias: Array) -> Array:
        return self._plain().numpy(x, unpack(packed, self.filters), *bias)

    def _plain(self) -> Conv:
        return Conv(self.stride, self.pads, self.dilation)


@op("cpu_pack_matrix")
class PackMatrix(Structured):
    """Matrices [..., C, K] as [..., blocks, C, block], zeros after the last column."""

    block: int

    inlines_producers: ClassVar[bool] = True
    inlines_movement: ClassVar[bool] = True

    def infer(self, matrix: Tensor) -> Tensor:
        *batch, rows, columns = matrix.static_shape
        return matrix.with_shape((*batch, -(-columns // self.block), rows, self.block))

    def element(self, out: Tensor, index: Index, *inputs: Operand, **unused: object) -> Scalar:
        *batch, block, row, lane = index
        return inputs[0].padded((*batch, row, block * self.block + lane))

    def numpy(self, matrix: Array) -> Array:
        return pack_matrix(matrix, self.block)


@op("cpu_dense")
class PackedDense(Structured):
    """`dense` or `matmul` on packed weights: x [..., M, C] times [..., blocks, C, block].

    Leading axes broadcast. Packed weights of a dense layer have none.
    """

    units: int

    def infer(self, x: Tensor, packed: Tensor, *bias: Tensor) -> Tensor:
        batch = broadcast_shapes(self.name, [x.shape[:-2], packed.shape[:-3]])
        return x.with_shape((*batch, x.shape[-2], self.units))

    def element(self, out: Tensor, index: Index, x: Operand, *rest: Operand) -> Scalar:
        packed, bias = rest[0], rest[1:]
        *batch, _, k = index
        c = axis_variable("c", packed.type.shape[-2])
        block = packed.type.shape[-1]
        assert isinstance(block, int)
        weight = packed.broadcast((*batch, k // block, c, k % block))
        total = reduce_over("sum", (c,), x.broadcast((*index[:-1], c)) * weight)
        return total + bias[0][(k,)] if bias else total

    def numpy(self, x: Array, packed: Array, *bias: Array) -> Array:
        product: Array = np.matmul(x, unpack_matrix(packed, self.units))
        return product + bias[0] if bias else product


@dataclass(frozen=True)
class PackWeights(Pass):
    """Replaces convolutions without groups and products of matrices by their packed forms."""

    name: ClassVar[str] = "pack_weights"
    optional: ClassVar[bool] = True
    isa: Isa

    def __call__(self, graph: Graph) -> Graph:
        return transform(graph, self._step)

    def _step(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        from dhc.backends.cpu.depthwise import packed_depthwise

        new = rebuild(node, inputs)
        match new.op:
            case Conv(stride, pads, dilation, 1):
                x, weight, *bias = new.inputs
                filters = weight.type.static_shape[0]
                pixels = math.prod(new.type.static_shape[2:]) * new.type.static_shape[0]
                block = self.isa.lanes * vectors_per_block(self.isa, filters, pixels)
                packed = Pack(block)(weight)
                return PackedConv(filters, stride, pads, dilation)(x, packed, *bias)
            case ConvTranspose(groups=1) as conv if packable(conv, new.type):
                return self._transposed(conv, new)
            case ConvWeightGrad(groups=1) as grad:
                from dhc.backends.cpu.weight_grad import packed_weight_grad

                x, upstream = new.inputs
                return packed_weight_grad(grad, x, upstream, self.isa)
            case Dense() if new.type.rank >= 2:
                x, weight, *bias = new.inputs
                *rows, units = new.type.static_shape
                block = self.isa.lanes * vectors_per_block(self.isa, units, math.prod(rows))
                return PackedDense(units)(x, Pack(block)(weight), *bias)
            case MatMul() if self._is_worth_packing(new):
                x, matrix = new.inputs
                height, columns = new.type.static_shape[-2:]
                block = self.isa.lanes * vectors_per_block(self.isa, columns, height)
                return PackedDense(columns)(x, PackMatrix(block)(matrix))
        return packed_depthwise(new, self.isa) or new

    def _is_worth_packing(self, product: Node) -> bool:
        """Whether the lanes of vectors have work, and a computed matrix serves several rows."""
        rows, columns = product.type.static_shape[-2:]
        matrix = product.inputs[1]
        prepared = not any(isinstance(node.op, Input) for node in topological([matrix]))
        wide = product.type.dtype in SUMMED and 2 * columns >= self.isa.lanes
        return wide and (prepared or rows >= FEW_ROWS)

    def _transposed(self, conv: ConvTranspose, node: Node) -> Node:
        x, weight, *bias = node.inputs
        filters = weight.type.static_shape[1]
        pixels = math.prod(x.type.static_shape[2:]) * x.type.static_shape[0]
        block = self.isa.lanes * vectors_per_block(self.isa, filters, pixels)
        transposed = packed_transpose(conv, x.type, weight.type, node.type)
        packed = PackTransposed(block, conv.stride, transposed.cut)(weight)
        return transposed(x, packed, *bias)


def vectors_per_block(isa: Isa, filters: int, pixels: int) -> int:
    """Returns how many vectors of output channels a kernel computes at once.

    It divides the number of vectors, so no block is partly empty. Two or three leave registers for
    enough pixels; with one pixel more vectors hide the latency of the additions.
    """
    vectors = -(-filters // isa.lanes)
    preferred = (8, 7, 6, 5, 4, 3, 2) if pixels == 1 else (2, 3)
    return next((n for n in preferred if vectors % n == 0), 1)
