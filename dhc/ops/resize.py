"""Resizing on a grid: nearest, linear and cubic, over any number of trailing axes.

Where an output element lies in the input is a fraction of integers, so that every backend finds the
same neighbours; only the weights are floats.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.scalar import Scalar, cast, clamp, select
from dhc.ir.size import Shape, Size, static
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Array,
    Index,
    LayerContext,
    Onnx,
    Operand,
    OperatorKind,
    Structured,
    TypeRuleError,
    layer,
    op,
    require_elements,
    size_scalar,
)
from dhc.ops.conv import Ints, int_size, spread
from dhc.ops.foreign import Call, ForeignError, reads
from dhc.ops.resize_axis import Along, Coordinates, Position, Region
from dhc.ops.sample import Sample, sample

Rounding = Literal["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]
Mode = Literal["nearest", "linear", "bilinear", "trilinear", "cubic", "bicubic"]
CUBIC = -0.75  # the slope of cubic interpolation that ONNX, PyTorch and OpenCV use


@dataclass(frozen=True)
class Resizing(Structured):
    """The base of resizing.

    Attributes:
        size: The new sizes of the last axes.
        coordinates: How output elements are placed, as ONNX names it.
        scale: For each of these axes how much longer it becomes, where its size was rounded down
            from that; without it the ratio of the sizes.
        region: For `tf_crop_and_resize` where each of these axes begins and ends, in shares of 1.
        extrapolation: What `tf_crop_and_resize` gives outside of the input.
    """

    size: tuple[Size, ...]
    coordinates: Coordinates = "half_pixel"
    scale: tuple[float, ...] = ()
    region: tuple[Region, ...] = ()
    extrapolation: float = 0.0

    inlines_producers: ClassVar[bool] = False

    def infer(self, x: Tensor) -> Tensor:
        if x.rank < len(self.size):
            raise TypeRuleError(f"'{self.name}' of {len(self.size)} axes cannot take {x}.", 0)
        if any(isinstance(s, int) and s < 1 for s in self.size):
            raise TypeRuleError(f"'{self.name}' needs positive sizes.", 0)
        self._check_region()
        self._check_scale(x.shape[x.rank - len(self.size) :])
        return x.with_shape((*x.shape[: x.rank - len(self.size)], *self.size))

    def _check_region(self) -> None:
        cuts = self.coordinates == "tf_crop_and_resize"
        if len(self.region) != (len(self.size) if cuts else 0):
            text = "one region for each axis" if cuts else "a region only for tf_crop_and_resize"
            raise TypeRuleError(f"'{self.name}' takes {text}.")
        if any(start >= end for start, end in self.region):
            raise TypeRuleError(f"A region of '{self.name}' must begin before it ends.")

    def _check_scale(self, sources: Shape) -> None:
        if self.scale and len(self.scale) != len(self.size):
            raise TypeRuleError(f"'{self.name}' takes one scale for each axis.")
        for scale, source, target in zip(self.scale, sources, self.size, strict=False):
            if scale <= 0:
                raise TypeRuleError(f"'{self.name}' needs positive scales.")
            known = isinstance(source, int) and isinstance(target, int)
            if known and math.floor(int_size(source) * scale + 1e-6) != target:
                raise TypeRuleError(f"{source} elements scaled by {scale} are not {target}.", 0)

    def along(self, shape: Shape) -> list[Along]:
        """How each resized axis of a tensor is treated."""
        sources = shape[len(shape) - len(self.size) :]
        scales = self.scale or (0.0,) * len(self.size)
        regions = self.region or ((0.0, 1.0),) * len(self.size)
        return [
            Along(old, new, self.coordinates, scale, region)
            for old, new, scale, region in zip(sources, self.size, scales, regions, strict=True)
        ]

    def cut(self, value: Scalar, index: Index, ways: list[Along]) -> Scalar:
        """A result, or `extrapolation` where the element lies outside of the input."""
        if self.coordinates != "tf_crop_and_resize":
            return value
        first = len(index) - len(ways)
        inside = [way.inside(i) for way, i in zip(ways, index[first:], strict=True)]
        return select(functools.reduce(operator.and_, inside), value, self.extrapolation)

    def cut_numpy(self, result: Array, ways: list[Along]) -> Array:
        """The same for numpy."""
        for axis, way in enumerate(ways if self.region else (), result.ndim - len(ways)):
            place = way.places()
            (source,) = static((way.source,))
            outside = (place < 0) | (place > source - 1)
            where = np.moveaxis(result, axis, -1)
            where[..., outside] = self.extrapolation
        return result


@op("resize_nearest", onnx=Onnx("Resize", since=13))
class ResizeNearest(Resizing):
    """The element at the nearest place; `rounding` says which one that is."""

    rounding: Rounding = "round_prefer_floor"

    kind: ClassVar[OperatorKind] = "movement"
    inlines_producers: ClassVar[bool] = True

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        ways = self.along(x.type.shape)
        where = list(index)
        for axis, way in enumerate(ways, len(index) - len(ways)):
            where[axis] = self.nearest(way.position(), index[axis], x.type.shape[axis])
        return self.cut(x[tuple(where)], index, ways)

    def nearest(self, place: Position, i: Scalar, size: Size) -> Scalar:
        """The element along one axis that output element `i` shows."""
        top = size_scalar(place.step) * i + size_scalar(place.start)
        near = self._round(top, size_scalar(place.unit))
        return clamp(near, 0, size_scalar(size) - 1)

    def _round(self, top: Scalar, unit: Scalar) -> Scalar:
        match self.rounding:
            case "floor":
                return top // unit
            case "ceil":
                return (top + unit - 1) // unit
            case "round_prefer_ceil":
                return (top * 2 + unit) // (unit * 2)
        return (top * 2 + unit - 1) // (unit * 2)

    def numpy(self, x: Array) -> Array:
        rounders: dict[str, Callable[[Array], Array]] = {
            "floor": np.floor,
            "ceil": np.ceil,
            "round_prefer_floor": lambda p: np.ceil(p - 0.5),
            "round_prefer_ceil": lambda p: np.floor(p + 0.5),
        }
        ways = self.along(x.shape)
        for axis, way in enumerate(ways, x.ndim - len(ways)):
            near = rounders[self.rounding](way.places()).astype(np.int64)
            x = np.take(x, np.clip(near, 0, x.shape[axis] - 1), axis=axis)
        return self.cut_numpy(x, ways)

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        from dhc.ops.resize_grad import resize_nearest_gradient

        return (resize_nearest_gradient(self, upstream, x),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ways: list[tuple[Coordinates, Rounding]] = [
            ("half_pixel", "round_prefer_floor"), ("asymmetric", "floor"),
            ("align_corners", "round_prefer_ceil"), ("pytorch_half_pixel", "ceil"),
        ]  # fmt: skip
        cut = cls((3, 4), "tf_crop_and_resize", (), ((-0.2, 0.7), (0.25, 1.5)), -1.0)
        scaled = cls((5, 2), "half_pixel_symmetric", (1.3, 0.45))
        return [
            *(sample(cls((7, 2), way, rounding=rule), "f32[1, 2, 4, 5]") for way, rule in ways),
            sample(cut, "f32[1, 4, 5]"),
            sample(scaled, "f32[1, 4, 6]"),
        ]


@op("resize", onnx=Onnx("Resize", since=13, attributes=(("slope", "cubic_coeff_a"),)))
class Resize(Resizing):
    """Interpolation between neighbours; places beyond the border take the element at the border.

    Attributes:
        mode: `linear` takes two neighbours along each axis, `cubic` four.
        slope: The coefficient of the cubic (Keys, 1981).
    """

    mode: Literal["linear", "cubic"] = "linear"
    slope: float = CUBIC

    def infer(self, x: Tensor) -> Tensor:
        require_elements(self.name, "float", (x,))
        return super().infer(x)

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        ways = self.along(x.type.shape)
        first = len(index) - len(ways)
        taps = [
            self.neighbours(way.position(), index[axis], x.type.shape[axis], x.type.dtype)
            for axis, way in enumerate(ways, first)
        ]
        return self.cut(blend(x, index[:first], taps), index, ways)

    def neighbours(
        self, place: Position, i: Scalar, size: Size, dtype: DType
    ) -> list[tuple[Scalar, Scalar]]:
        """The neighbours along one axis with their weights."""
        top = size_scalar(place.step) * i + size_scalar(place.start)
        unit = size_scalar(place.unit)
        below, part = top // unit, cast(top % unit, dtype) / cast(unit, dtype)
        weights = weights_of(part, self.mode, self.slope)
        start = 0 if len(weights) == 2 else -1
        last = size_scalar(size) - 1
        return [(clamp(below + start + k, 0, last), weight) for k, weight in enumerate(weights)]

    def numpy(self, x: Array) -> Array:
        ways = self.along(x.shape)
        for axis, way in enumerate(ways, x.ndim - len(ways)):
            x = np.moveaxis(self._blended(np.moveaxis(x, axis, -1), way.places()), -1, axis)
        return self.cut_numpy(x, ways)

    def _blended(self, x: Array, place: Array) -> Array:
        below = np.floor(place)
        distances = {"linear": (0, 1), "cubic": (-1, 0, 1, 2)}[self.mode]
        total = np.zeros((*x.shape[:-1], len(place)), np.float64)
        for k in distances:
            neighbour = np.clip(below + k, 0, x.shape[-1] - 1).astype(np.int64)
            total += x[..., neighbour] * kernel(np.abs(place - below - k), self.mode, self.slope)
        return total.astype(x.dtype)

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        from dhc.ops.resize_grad import resize_gradient

        return (resize_gradient(self, upstream, x),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        cut = ((-0.2, 0.7), (0.25, 1.5))
        return [
            sample(cls((6, 10)), "f32[1, 2, 3, 5]"),
            sample(cls((4, 1), "pytorch_half_pixel"), "f32[1, 2, 3, 5]"),
            sample(cls((7,), "align_corners", mode="cubic"), "f32[2, 3, 5]"),
            sample(cls((2, 5, 3), "asymmetric"), "f32[1, 1, 3, 3, 4]"),
            sample(cls((7, 3), mode="cubic"), "f32[1, 1, 4, 5]"),
            sample(cls((5, 2), "half_pixel_symmetric", (1.3, 0.45)), "f32[1, 4, 6]"),
            sample(cls((5,), "asymmetric", (1.3,), mode="cubic"), "f32[2, 4]"),
            sample(cls((3, 4), "tf_crop_and_resize", (), cut, 0.5), "f32[1, 4, 5]"),
            sample(cls((1, 3), "tf_crop_and_resize", (), cut, mode="cubic"), "f32[1, 4, 5]"),
            sample(cls((3, 4, 3), "half_pixel_symmetric", mode="cubic"), "f32[1, 2, 3, 4]"),
        ]


def weights_of(part: Scalar, mode: str, slope: float) -> list[Scalar]:
    """The weights of two or four neighbours, by how far past the second-last one the place is."""
    if mode == "linear":
        return [1 - part, part]
    return [
        _far(part + 1, slope), _near(part, slope), _near(1 - part, slope), _far(2 - part, slope),
    ]  # fmt: skip


def _near(t: Scalar, a: float) -> Scalar:
    return ((a + 2) * t - (a + 3)) * t * t + 1


def _far(t: Scalar, a: float) -> Scalar:
    return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a


def blend(x: Operand, done: Index, taps: list[list[tuple[Scalar, Scalar]]]) -> Scalar:
    """The weighted sum over the neighbours of all axes, one axis inside the other."""
    if not taps:
        return x[done]
    (at, weight), *others = taps[0]
    total = blend(x, (*done, at), taps[1:]) * weight
    for at, weight in others:
        total = total + blend(x, (*done, at), taps[1:]) * weight
    return total


def kernel(distance: Array, mode: str, a: float) -> Array:
    if mode == "linear":
        return np.asarray(np.maximum(0.0, 1 - distance))
    t = distance
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


@layer("upsample")
def upsample(
    context: LayerContext,
    x: Node,
    factor: Ints = 2,
    like: Node | None = None,
    mode: Mode = "nearest",
    align_corners: bool = False,
) -> Node:
    """Enlarges the spatial axes of [N, C, ...] by whole factors, or to the sizes of `like`."""
    spatial = x.type.shape[2:]
    if not spatial:
        raise TypeRuleError(f"'upsample' needs an input [N, C, ...], not {x.type}.", 0)
    if like is not None:
        size = like.type.shape[2:]
    else:
        factors = spread("factor", factor, len(spatial))
        size = tuple(s * f for s, f in zip(spatial, factors, strict=True))
    if len(size) != len(spatial):
        raise TypeRuleError(f"'upsample' cannot make {x.type} like {like and like.type}.", 0)
    if mode == "nearest":
        return ResizeNearest(size, "asymmetric", rounding="floor")(x)
    coordinates: Coordinates = "align_corners" if align_corners else "half_pixel"
    return Resize(size, coordinates, mode="cubic" if "cubic" in mode else "linear")(x)


# ---- nodes of ONNX ---------------------------------------------------------------------------


@reads("Resize", "Upsample")
def _read_resize(call: Call) -> Node:
    """The axes before the first one that changes are left out."""
    call.must("antialias", 0)
    call.must("exclude_outside", 0)
    call.must("keep_aspect_ratio_policy", "stretch")
    x = call.tensor(0)
    sizes, scales = _foreign_sizes(call, x)
    changed = [axis for axis, (a, b) in enumerate(zip(x.type.shape, sizes, strict=True)) if a != b]
    if not changed:
        return x
    first = changed[0]
    coordinates = _foreign_coordinates(call)
    if coordinates == "align_corners" and any(not each.is_integer() for each in scales):
        raise ForeignError("its scales are no whole numbers, with corners aligned")
    region: tuple[Region, ...] = ()
    if coordinates == "tf_crop_and_resize":
        ends = [float(each) for each in call.numbers(1).reshape(-1)]
        rank = len(ends) // 2
        region = tuple(zip(ends[first:rank], ends[rank + first :], strict=True))
    outside = call.get("extrapolation_value", 0.0)
    shared = (sizes[first:], coordinates, scales[first:], region, outside)
    match call.get("mode", "nearest"):
        case "nearest":
            old = "floor" if call.opset < 11 else "round_prefer_floor"
            return ResizeNearest(*shared, call.get("nearest_mode", old))(x)  # type: ignore[arg-type]
        case "linear" | "bilinear":
            return Resize(*shared, "linear")(x)
        case "cubic":
            return Resize(*shared, "cubic", call.get("cubic_coeff_a", CUBIC))(x)
        case other:
            raise ForeignError(f"attribute 'mode' is {other!r}")


def _foreign_coordinates(call: Call) -> Coordinates:
    usual = "asymmetric" if call.opset < 11 else "half_pixel"
    found = call.get("coordinate_transformation_mode", usual)
    if found not in get_args(Coordinates):
        raise ForeignError(f"attribute 'coordinate_transformation_mode' is {found!r}")
    return found  # type: ignore[return-value]


def _foreign_sizes(call: Call, x: Node) -> tuple[tuple[Size, ...], tuple[float, ...]]:
    """The sizes of the result, and the scales where these were given instead."""
    shape = x.type.shape
    axes = [axis % len(shape) for axis in call.ints("axes", tuple(range(len(shape))))]
    if call.has(3) and call.known(3).size:
        sizes = list(shape)
        for axis, size in zip(axes, call.sizes(3), strict=True):
            sizes[axis] = size
        return tuple(sizes), ()
    if call.op_type == "Upsample":
        given = call.get("scales", ()) or tuple(map(float, call.numbers(1).reshape(-1)))
    else:
        given = tuple(map(float, call.numbers(2 if call.opset >= 11 else 1).reshape(-1)))
    scales = [1.0] * len(shape)
    for axis, scale in zip(axes, given, strict=True):
        scales[axis] = scale
    sizes = [_scaled_size(size, scale) for size, scale in zip(shape, scales, strict=True)]
    return tuple(sizes), tuple(scales)


def _scaled_size(size: Size, scale: float) -> Size:
    if isinstance(size, int):
        return math.floor(size * scale + 1e-6)
    if not float(scale).is_integer():
        raise ForeignError(f"a size that is not known cannot become {scale} times as long")
    return size * int(scale)
