"""What lies in boxes, brought to one size (Mask R-CNN, arXiv:1703.06870)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from dhc.ir.graph import Node, literal
from dhc.ir.types import DType, Tensor
from dhc.ops.base import Composite, Onnx, TypeRuleError, op, require_elements
from dhc.ops.compare import And, GreaterEqual, LessEqual
from dhc.ops.elementwise import Add, Cast, Max, Mul, Sub
from dhc.ops.foreign import Call, ForeignError
from dhc.ops.lookup import Gather
from dhc.ops.movement import Expand, SizeValue, slice_axis
from dhc.ops.neighbours import Line, Neighbour, weighed
from dhc.ops.outward import Outward, Term
from dhc.ops.positions import CountUp
from dhc.ops.reduce import ReduceMax, ReduceMean
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Reshape


@op("roi_align", onnx=Onnx("RoiAlign", since=16))
class RoiAlign(Composite):
    """x [N, C, H, W] in boxes [R, 4] of the samples [R]: [R, C, *size].

    Each element of the result has `ratio` places along each axis, between whose neighbours x is
    interpolated. A box is (left, top, right, bottom).

    Attributes:
        size: Height and width of the result.
        ratio: The number of places along each axis.
        scale: What boxes are multiplied with.
        half_pixel: Whether pixels have their centres at halves; else boxes are at least 1 long.
        mode: Whether places are averaged, or the largest of their neighbours' shares is taken.
    """

    size: tuple[int, int]
    ratio: int = 2
    scale: float = 1.0
    half_pixel: bool = True
    mode: Literal["avg", "max"] = "avg"

    def expand(self, x: Node, boxes: Node, samples: Node) -> Node:
        require_elements(self.name, "float", (x.type, boxes.type))
        if x.type.rank != 4 or boxes.type.rank != 2 or boxes.type.shape[1] != 4:
            raise TypeRuleError(f"'{self.name}' needs boxes [R, 4], not {boxes.type}.", 1)
        if min(*self.size, self.ratio) < 1:
            raise TypeRuleError(f"'{self.name}' needs positive sizes and a positive ratio.")
        count, channels = boxes.type.shape[0], x.type.shape[1]
        places = [self._places(boxes, axis) for axis in range(2)]
        grid = tuple(part * self.ratio for part in self.size)
        lines: list[list[Neighbour]] = []
        for axis, (place, size) in enumerate(zip(places, x.type.shape[2:], strict=True)):
            shape = (count, grid[axis], 1) if axis == 0 else (count, 1, grid[axis])
            spread = Expand((count, *grid))(Reshape(shape)(place))
            flat = Reshape((count, grid[0] * grid[1]))(spread)
            lines.append(_bordered(flat, Line(size, "border", True)))
        parts = weighed(Gather(0)(x, samples), lines)
        joined = functools.reduce(Add() if self.mode == "avg" else Max(), parts)
        cells = (count, channels, self.size[0], self.ratio, self.size[1], self.ratio)
        fold = (ReduceMean if self.mode == "avg" else ReduceMax)((3, 5))
        return fold(Reshape(cells)(joined))

    def _places(self, boxes: Node, axis: int) -> Node:
        """The places along an axis in units of elements: [R, size * ratio]."""
        dtype, count = boxes.type.dtype, self.size[axis] * self.ratio
        shift = literal(0.5 if self.half_pixel else 0.0, dtype)
        low, high = (
            Sub()(Mul()(slice_axis(boxes, 1, k, k + 1), literal(self.scale, dtype)), shift)
            for k in (1 - axis, 3 - axis)
        )
        length = Sub()(high, low)
        length = length if self.half_pixel else Max()(length, literal(1.0, dtype))
        middle = Add()(Cast(dtype)(CountUp(count)()), literal(0.5, dtype))
        step = Mul()(length, literal(1 / count, dtype))
        return Add()(low, Mul()(Reshape((1, count))(middle), step))

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """Of version 22 ONNX Runtime has no RoiAlign: from there on as what it is made of."""
        x, boxes, samples = inputs
        if out.opset >= 22 or not self._is_plain(out, x.type, boxes.type):
            return out.expanded(self, *inputs)
        half = "half_pixel" if self.half_pixel else "output_half_pixel"
        return out.node(
            "RoiAlign", (x, boxes, out.cast(samples, DType.I64)), result, mode=self.mode,
            coordinate_transformation_mode=half, output_height=self.size[0],
            output_width=self.size[1], sampling_ratio=self.ratio, spatial_scale=float(self.scale),
        )  # fmt: skip

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        x, boxes, samples = (call.tensor(k) for k in range(3))
        ratio, mode = call.get("sampling_ratio", 0), call.word("mode", "avg", ("avg", "max"))
        if ratio < 1:
            raise ForeignError("how many places it samples depends on the boxes")
        usual = "half_pixel" if call.opset >= 16 else "output_half_pixel"
        places = ("half_pixel", "output_half_pixel")
        half = call.word("coordinate_transformation_mode", usual, places) == "half_pixel"
        size = call.get("output_height", 1), call.get("output_width", 1)
        found = cls(size, ratio, call.get("spatial_scale", 1.0), half)
        return (replace(found, mode="max") if mode == "max" else found)(x, boxes, samples)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        types = ("f32[2, 1, 3, 4]", "f32[2, 4]", "i64[2]")
        ranges = ((-2.0, 2.0), (-0.5, 4.0), (0.0, 1.0))
        return [
            sample(cls((2, 1)), *types, ranges=ranges),
            sample(cls((1, 2), 1, 0.5, False), *types, ranges=ranges),
            sample(cls((2, 2), 1, mode="max"), *types, ranges=ranges),
        ]


def _bordered(place: Node, line: Line) -> list[Neighbour]:
    """The neighbours of places up to one element beyond the border; farther out there is none."""
    dtype = place.type.dtype
    inside = And()(
        GreaterEqual()(place, literal(-1.0, dtype)),
        LessEqual()(place, SizeValue(line.size, dtype)()),
    )
    return [replace(each, inside=inside) for each in line.neighbours(place, "linear")]
