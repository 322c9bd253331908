"""Gradients of resizing.

Resizing is linear and treats one axis after another, so its gradient is the transposed map along
each axis in turn: an element gets back its share of every output element that it has a part in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.scalar import Scalar, lift, reduce_over, select
from dhc.ir.size import Size, ceil_divide, static
from dhc.ir.types import Tensor
from dhc.ops.base import (
    Array,
    Axis,
    Index,
    Operand,
    Structured,
    axis_variable,
    normalize_axis,
    op,
    require_elements,
)
from dhc.ops.conv import int_size
from dhc.ops.resize import (
    CUBIC,
    Resize,
    ResizeNearest,
    Resizing,
    Rounding,
)
from dhc.ops.resize_axis import Along, Coordinates, Region
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Permute


@dataclass(frozen=True)
class ResizingGrad(Structured):
    """The base of transposed resizing along one axis.

    Attributes:
        axis: The axis, counted from the front.
        size: Its size before the resizing, which the result has.
        coordinates, scale, region: As of the resizing along this axis.
    """

    untold: ClassVar[str] = "training alone needs it"

    axis: Axis
    size: Size
    coordinates: Coordinates = "half_pixel"
    scale: tuple[float, ...] = ()
    region: tuple[Region, ...] = ()

    def infer(self, upstream: Tensor) -> Tensor:
        require_elements(self.name, "float", (upstream,))
        axis = normalize_axis(self.name, self.axis, upstream.rank)
        shape = upstream.shape
        return upstream.with_shape((*shape[:axis], self.size, *shape[axis + 1 :]))

    def forward(self, target: Size) -> Resizing:
        """The resizing of a last axis that this one transposes."""
        raise NotImplementedError

    def reach(self) -> int:
        """How far from an element's place those places end, both excluded, that it matters to."""
        raise NotImplementedError

    def part(self, target: int, i: Scalar, j: Scalar, value: Scalar) -> Scalar:
        """What of the value of output element `i`, one of `target`, goes back to element `j`."""
        raise NotImplementedError

    def along(self, target: Size) -> Along:
        """How the axis was resized."""
        return self.forward(target).along((self.size,))[0]

    def element(self, out: Tensor, index: Index, upstream: Operand) -> Scalar:
        target = int_size(upstream.type.shape[self.axis])
        j = index[self.axis]
        first, count = self._window(target, j)
        offset = axis_variable("k", count)
        i = first + offset
        value = upstream.padded((*index[: self.axis], i, *index[self.axis + 1 :]))
        part, way = self.part(target, i, j, value), self.along(target)
        return reduce_over("sum", (offset,), select(way.inside(i), part, 0) if way.cuts else part)

    def _window(self, target: int, j: Scalar) -> tuple[Scalar, int]:
        """The first output element whose place is within reach of `j`, and how many may be.

        The place of `i` is (step * i + start) / unit: it grows with `i`, but for step 0.
        """
        place = self.along(target).position()
        step, start, unit = static((place.step, place.start, place.unit))
        if step == 0:
            return lift(0, j.dtype), target
        below = ((j - self.reach()) * unit - start) // step
        return below + 1, int_size(ceil_divide(2 * self.reach() * unit, step))

    def numpy(self, upstream: Array) -> Array:
        """The product with the matrix [size, target] of the resizing."""
        unit = np.eye(static((self.size,))[0])
        matrix = self.forward(upstream.shape[self.axis]).numpy(unit)
        product = np.tensordot(upstream, matrix, (self.axis, 1))
        return np.moveaxis(product, -1, self.axis).astype(upstream.dtype)

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        order = list(range(x.type.rank))
        order[self.axis], order[-1] = order[-1], order[self.axis]
        swap = Permute(tuple(order))
        return (swap(self.forward(x.type.shape[self.axis])(swap(upstream))),)


@op("resize_grad")
class ResizeGrad(ResizingGrad):
    """The transpose of `resize` along one axis."""

    mode: Literal["linear", "cubic"] = "linear"
    slope: float = CUBIC

    def forward(self, target: Size) -> Resize:
        way = (self.coordinates, self.scale, self.region)
        return Resize((target,), *way, mode=self.mode, slope=self.slope)

    def reach(self) -> int:
        return 1 if self.mode == "linear" else 2

    def part(self, target: int, i: Scalar, j: Scalar, value: Scalar) -> Scalar:
        """At the border, several neighbours of a place may be the same element."""
        share: Scalar = lift(0, value.dtype)
        resize, place = self.forward(target), self.along(target).position()
        for at, weight in resize.neighbours(place, i, self.size, value.dtype):
            share = share + select(at.equals(j), weight, 0)
        return share * value

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            sample(cls(2, 3), "f32[1, 2, 6, 5]"),
            sample(cls(0, 5, "pytorch_half_pixel"), "f32[1, 3]"),
            sample(cls(1, 5, "align_corners", mode="cubic"), "f32[2, 7]"),
            sample(cls(0, 4, "half_pixel_symmetric", (1.3,)), "f32[5, 2]"),
            sample(cls(1, 4, "tf_crop_and_resize", (), ((-0.2, 0.7),)), "f32[2, 3]"),
            sample(cls(1, 7, "asymmetric"), "f32[2, 3]"),
            sample(cls(0, 4, mode="cubic"), "f32[9, 2]"),
        ]


@op("resize_nearest_grad")
class ResizeNearestGrad(ResizingGrad):
    """The transpose of `resize_nearest` along one axis: the sum of an element's copies."""

    rounding: Rounding = "round_prefer_floor"

    def forward(self, target: Size) -> ResizeNearest:
        way = (self.coordinates, self.scale, self.region)
        return ResizeNearest((target,), *way, rounding=self.rounding)

    def reach(self) -> int:
        return 1

    def part(self, target: int, i: Scalar, j: Scalar, value: Scalar) -> Scalar:
        shown = self.forward(target).nearest(self.along(target).position(), i, self.size)
        return select(shown.equals(j), value, 0)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            sample(cls(1, 3), "f32[2, 7, 2]"),
            sample(cls(0, 4, "asymmetric", rounding="floor"), "f32[8, 3]"),
            sample(cls(1, 5, "align_corners", rounding="round_prefer_ceil"), "f32[2, 3]"),
            sample(cls(0, 4, "half_pixel", rounding="ceil"), "f32[9, 2]"),
            sample(cls(1, 4, "tf_crop_and_resize", (), ((0.25, 1.5),)), "f32[2, 5]"),
        ]


def resize_gradient(operator: Resize, upstream: Node, x: Node) -> Node:
    """Returns the gradient of `resize` for x, one resized axis after another."""
    for axis, way in _resized(operator, x):
        kernel = (operator.mode, operator.slope)
        upstream = ResizeGrad(axis, way.source, *_way(operator, way), *kernel)(upstream)
    return upstream


def resize_nearest_gradient(operator: ResizeNearest, upstream: Node, x: Node) -> Node:
    """Returns the gradient of `resize_nearest` for x, one resized axis after another."""
    for axis, way in _resized(operator, x):
        back = ResizeNearestGrad(axis, way.source, *_way(operator, way), operator.rounding)
        upstream = back(upstream)
    return upstream


def _way(
    operator: Resizing, way: Along
) -> tuple[Coordinates, tuple[float, ...], tuple[Region, ...]]:
    """The attributes that say how one axis was resized."""
    scale = (way.scale,) if operator.scale else ()
    return way.coordinates, scale, (way.region,) if operator.region else ()


def _resized(operator: Resizing, x: Node) -> list[tuple[int, Along]]:
    """The axes that resizing changes: the same size, whole, is the same axis."""
    first = x.type.rank - len(operator.size)
    return [
        (axis, way)
        for axis, way in enumerate(operator.along(x.type.shape), first)
        if way.source != way.target or way.cuts or way.scale
    ]
