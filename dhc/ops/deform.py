"""Convolution whose windows are moved by values (arXiv:1703.06211, arXiv:1811.11168)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dhc.ir.graph import Node, literal
from dhc.ir.size import static
from dhc.ir.types import DType, Tensor
from dhc.ops.base import Composite, Onnx, TypeRuleError, op, require_elements
from dhc.ops.conv import Pads, foreign_pads, foreign_window, int_size
from dhc.ops.elementwise import Add, Cast, Div, Mod, Mul
from dhc.ops.foreign import Call
from dhc.ops.linear import MatMul
from dhc.ops.movement import Expand, SizeValue, slice_axis
from dhc.ops.neighbours import Line, interpolated
from dhc.ops.norm import per_channel
from dhc.ops.outward import Outward, Term
from dhc.ops.positions import CountUp
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Reshape


@op("deformable_conv", onnx=Onnx("DeformConv", since=19))
class DeformConv(Composite):
    """Convolution that reads each tap between elements, as far away as an offset says.

    x is [N, C, *spatial], weight [K, C / groups, *kernel], offset [N, G * taps * axes, *result]:
    for each tap one number for each axis; bias [K]; mask [N, G * taps, *result] are factors. There
    are zeros outside of x.

    Attributes:
        stride, pads, dilation, groups: As of `conv`.
        offset_groups: Neighbouring channels are split into so many parts with own offsets.
    """

    stride: tuple[int, ...]
    pads: Pads
    dilation: tuple[int, ...]
    groups: int = 1
    offset_groups: int = 1

    def expand(self, x: Node, weight: Node, offset: Node, bias: Node, *mask: Node) -> Node:
        require_elements(self.name, "float", (x.type, weight.type, offset.type))
        self._check(x, weight, offset)
        batch, channels, *sizes = x.type.shape
        kernel, result = weight.type.shape[2:], offset.type.shape[2:]
        taps, places = math.prod(kernel), math.prod(result)
        parts = batch * self.offset_groups
        moves = Reshape((parts, taps, len(sizes), places))(offset)
        lines = [
            Line(size).neighbours(self._place(moves, axis, kernel, result), "linear")
            for axis, size in enumerate(sizes)
        ]
        share = int_size(channels) // self.offset_groups
        columns = interpolated(Reshape((parts, share, *sizes))(x), lines)
        if mask:
            columns = Mul()(columns, Reshape((parts, 1, taps * places))(mask[0]))
        rows = (batch, self.groups, int_size(channels) // self.groups * taps, places)
        outward = int_size(weight.type.shape[0])
        filters = Reshape((self.groups, outward // self.groups, rows[2]))(weight)
        product = Reshape((batch, outward, *result))(MatMul()(filters, Reshape(rows)(columns)))
        return Add()(product, per_channel(bias, product))

    def _check(self, x: Node, weight: Node, offset: Node) -> None:
        rank = x.type.rank - 2
        channels = int_size(x.type.shape[1])
        taps = math.prod(int_size(size) for size in weight.type.shape[2:])
        fits = weight.type.rank == offset.type.rank == x.type.rank and len(self.stride) == rank
        fits = fits and offset.type.shape[1] == self.offset_groups * taps * rank
        fits = fits and channels % self.offset_groups == channels % self.groups == 0
        if not fits or int_size(weight.type.shape[1]) * self.groups != channels:
            raise TypeRuleError(f"'{self.name}' cannot take {x.type} with {offset.type}.", 0)

    def _place(
        self, moves: Node, axis: int, kernel: Sequence[object], result: Sequence[object]
    ) -> Node:
        """Where the taps of all windows lie along an axis: [N * G, taps * result]."""
        parts, taps, _, places = moves.type.shape
        own = Reshape((parts, taps, places))(slice_axis(moves, 2, axis, axis + 1))
        window = _numbers(axis, result, self.stride[axis], -self.pads[axis][0])
        tap = _numbers(axis, kernel, self.dilation[axis], 0)
        start = Add()(Reshape((taps, 1))(tap), Reshape((1, places))(window))
        place = Add()(own, Cast(own.type.dtype)(start))
        return Reshape((parts, taps * places))(place)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        if not self._is_plain(out, result):
            return out.expanded(self, *inputs)
        return out.node(
            "DeformConv", inputs, result, kernel_shape=static(inputs[1].shape[2:]),
            strides=self.stride, pads=foreign_pads(self.pads), dilations=self.dilation,
            group=self.groups, offset_group=self.offset_groups,
        )  # fmt: skip

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        x, weight, offset = (call.tensor(k) for k in range(3))
        kernel = tuple(int_size(size) for size in weight.type.shape[2:])
        stride, pads, dilation = foreign_window(call, x.type.shape[2:], kernel)
        groups = call.get("group", 1), call.get("offset_group", 1)
        zeros = Expand((weight.type.shape[0],))(literal(0.0, x.type.dtype))
        bias = call.tensor(3) if call.has(3) else zeros
        mask = (call.tensor(4),) if call.has(4) else ()
        return cls(stride, pads, dilation, *groups)(x, weight, offset, bias, *mask)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        plain = cls((1, 1), ((0, 0), (0, 0)), (1, 1))
        grouped = cls((2, 1), ((1, 0), (0, 1)), (1, 2), 2, 2)
        types = (
            "f32[1, 2, 2, 3]",
            "f32[2, 1, 2, 1]",
            "f32[1, 8, 1, 4]",
            "f32[2]",
            "f32[1, 4, 1, 4]",
        )
        return [
            sample(plain, "f32[1, 1, 3, 3]", "f32[1, 1, 2, 2]", "f32[1, 8, 2, 2]", "f32[1]"),
            sample(grouped, *types),
        ]


def _numbers(axis: int, shape: Sequence[object], step: int, start: int) -> Node:
    """For all elements of a shape, in row-major order: step * (number along an axis) + start."""
    sizes = [int_size(size) for size in shape]  # type: ignore[arg-type]
    behind = literal(math.prod(sizes[axis + 1 :]), DType.I64)
    own = Mod()(Div()(CountUp(math.prod(sizes))(), behind), SizeValue(sizes[axis], DType.I64)())
    return Add()(Mul()(own, literal(step, DType.I64)), literal(start, DType.I64))
