"""Sampling at the places that a grid names (spatial transformers, arXiv:1506.02025)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dhc.ir.graph import Node, literal
from dhc.ir.size import Size
from dhc.ir.types import Tensor
from dhc.ops.base import Composite, Onnx, TypeRuleError, op, require_elements
from dhc.ops.elementwise import Add, Div, Mul, Sub
from dhc.ops.foreign import Call, ForeignError
from dhc.ops.movement import Expand, SizeValue, slice_axis
from dhc.ops.neighbours import Interpolation, Line, Outside, interpolated
from dhc.ops.outward import Outward, Term
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Reshape

_MODES: dict[str, Interpolation] = {
    "nearest": "nearest", "linear": "linear", "bilinear": "linear",
    "cubic": "cubic", "bicubic": "cubic",
}  # fmt: skip
_OUTSIDE: dict[str, Outside] = {"zeros": "zeros", "border": "border", "reflection": "reflection"}


@op("grid_sample", onnx=Onnx("GridSample", since=16))
class GridSample(Composite):
    """x [N, C, *spatial] at the places of a grid [N, *result, axes]: [N, C, *result].

    A place has one number for each axis, the last axis first; x reaches from -1 to 1.

    Attributes:
        mode: Which elements around a place count.
        padding: What lies outside of x.
        align_corners: Whether -1 and 1 are the middles of the outermost elements, not their edges.
    """

    mode: Interpolation = "linear"
    padding: Outside = "zeros"
    align_corners: bool = False

    def expand(self, x: Node, grid: Node) -> Node:
        require_elements(self.name, "float", (x.type, grid.type))
        batch, channels, *sizes = x.type.shape if x.type.rank > 2 else (1, 1, 1)
        shape = grid.type.shape
        if grid.type.rank != x.type.rank or shape[0] != batch or shape[-1] != len(sizes):
            text = f"'{self.name}' needs a grid [N, ..., {len(sizes)}] for {x.type}."
            raise TypeRuleError(text, 1)
        flat = Reshape((batch, math.prod(shape[1:-1]), len(sizes)))(grid)
        lines = [
            Line(size, self.padding, self.align_corners).neighbours(
                self._place(flat, len(sizes) - 1 - axis, size), self.mode
            )
            for axis, size in enumerate(sizes)
        ]
        return Reshape((batch, channels, *shape[1:-1]))(interpolated(x, lines))

    def _place(self, grid: Node, column: int, size: Size) -> Node:
        """The places along an axis, in units of elements."""
        dtype = grid.type.dtype
        own = Reshape(grid.type.shape[:2])(slice_axis(grid, 2, column, column + 1))
        shifted, half = Add()(own, literal(1.0, dtype)), literal(0.5, dtype)
        if self.align_corners:
            return Mul()(Mul()(shifted, half), SizeValue(size - 1, dtype)())
        whole = Mul()(shifted, SizeValue(size, dtype)())
        return Div()(Sub()(whole, literal(1.0, dtype)), literal(2.0, dtype))

    def grad(self, upstream: Node, output: Node, x: Node, grid: Node) -> tuple[Node | None, ...]:
        """Where a place takes the nearest element, moving it a little changes nothing."""
        of_x, of_grid = super().grad(upstream, output, x, grid)
        return of_x, of_grid or Expand(grid.type.shape)(literal(0.0, grid.type.dtype))

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """As the operator of ONNX for what its readers sample: planes, and simpler in volumes."""
        rank = result.rank
        volume = rank == 5 and out.opset >= 20 and self.mode != "cubic"
        if not self._is_plain(out, result) or not (rank == 4 or volume):
            return out.expanded(self, *inputs)
        old = {"linear": "bilinear", "cubic": "bicubic", "nearest": "nearest"}
        return out.node(
            "GridSample", inputs, result, mode=self.mode if out.opset >= 20 else old[self.mode],
            padding_mode=self.padding, align_corners=int(self.align_corners),
        )  # fmt: skip

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        mode = call.get("mode", "linear")
        padding = call.get("padding_mode", "zeros")
        if mode not in _MODES or padding not in _OUTSIDE:
            raise ForeignError(f"it samples with '{mode}' and '{padding}'")
        corners = bool(call.get("align_corners", 0))
        return cls(_MODES[mode], _OUTSIDE[padding], corners)(call.tensor(0), call.tensor(1))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((-2.0, 2.0), (-1.6, 1.6))
        line, plane = ("f32[1, 2, 5]", "f32[1, 3, 1]"), ("f32[2, 1, 2, 3]", "f32[2, 2, 1, 2]")
        volume = ("f32[1, 1, 2, 3, 2]", "f32[1, 1, 1, 2, 3]")
        return [
            sample(cls(), *plane, ranges=ranges),
            sample(cls("linear", "border", True), *volume, ranges=ranges),
            sample(cls("linear", "reflection"), *line, ranges=ranges),
            sample(cls("nearest", "reflection", True), *plane, ranges=ranges),
            sample(cls("cubic", "reflection"), *line, ranges=ranges),
        ]
