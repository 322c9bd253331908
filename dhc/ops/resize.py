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
from typing import ClassVar, Literal

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
from dhc.ops.outward import Attribute, Outward, Term
from dhc.ops.outward_elements import write_elements
from dhc.ops.phrase import Phrase, even, plain_phrase, unusual
from dhc.ops.resize_axis import Along, Coordinates, Position, Region
from dhc.ops.sample import Sample, sample

Rounding = Literal["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]
Mode = Literal["nearest", "linear", "bilinear", "trilinear", "cubic", "bicubic"]
CUBIC = -0.75  # the slope of cubic interpolation that ONNX, PyTorch and OpenCV use

_EXACT = ("half_pixel", "pytorch_half_pixel", "asymmetric")
_NEAREST_TYPES = {
    DType.F32: DType.F32, DType.F16: DType.F16, DType.I32: DType.I32, DType.U8: DType.U8,
    DType.I8: DType.I8, DType.BOOL: DType.U8, DType.I16: DType.I32, DType.U16: DType.I32,
}  # fmt: skip  # what readers of ONNX resize in their place


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
            wanted = int_size(source) * scale if known else 0.0
            if known and target not in (math.floor(wanted + 1e-6), math.floor(wanted + 0.5)):
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

    def written(self, out: Outward, result: Tensor, x: Term, **attributes: Attribute) -> Term:
        """Writes the operator of ONNX, which names all axes."""
        ahead = x.type.rank - len(self.size)
        roi = scales = sizes = None
        if self.region:
            rows = [(0.0, 1.0)] * ahead + list(self.region)
            roi = out.constant(np.array(rows).T.reshape(-1), DType.F32)
            attributes["extrapolation_value"] = float(self.extrapolation)
        if self.scale:
            scales = out.constant(np.array((1.0,) * ahead + self.scale), DType.F32)
        else:
            sizes = out.shape(result.shape)
        given = (x, roi, scales, *(() if sizes is None else (sizes,)))
        way = self.coordinates
        return out.node("Resize", given, result, coordinate_transformation_mode=way, **attributes)

    def is_known(self, out: Outward) -> bool:
        """Whether the version of ONNX has this way to place elements."""
        return self.coordinates != "half_pixel_symmetric" or out.opset >= 19

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

    def phrase(self, x: Node) -> Phrase:
        factors = whole_factors(x.type.shape, self.size)
        if not factors or self != ResizeNearest(self.size, "asymmetric", rounding="floor"):
            return plain_phrase(self, (x,))
        return Phrase("upsample", (x,), unusual(factor=(even(factors), 2)))

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """Where readers might round to another neighbour, elements are named by their places."""
        x = inputs[0]
        wide = _NEAREST_TYPES.get(x.dtype)
        if wide is None or not self.is_known(out) or not self._is_safe(x.shape):
            return write_elements(out, self, result, x)
        found = self.written(
            out, result.with_dtype(wide), out.cast(x, wide), mode="nearest",
            nearest_mode=self.rounding,
        )  # fmt: skip
        return out.cast(found, x.dtype)

    def _is_safe(self, shape: Shape) -> bool:
        """Whether places lie clear of where the nearest element changes, or are exact in f32."""
        return all(self._is_safe_along(way) for way in self.along(shape))

    def _is_safe_along(self, way: Along) -> bool:
        source, target = way.source, way.target
        if not (isinstance(source, int) and isinstance(target, int)):
            return any(source * factor == target for factor in range(1, 9))
        if way.scale == 0 and target * 2**10 % source == 0 and self.coordinates in _EXACT:
            return True
        edges = way.places() - (0.5 if self.rounding.startswith("round") else 0.0)
        return bool(np.abs(edges - np.round(edges)).min() > 1e-3)

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

    def phrase(self, x: Node) -> Phrase:
        factors = whole_factors(x.type.shape, self.size)
        plain = Resize(self.size, self.coordinates, mode=self.mode)
        if not factors or self != plain or self.coordinates not in ("half_pixel", "align_corners"):
            return plain_phrase(self, (x,))
        mode = "bicubic" if self.mode == "cubic" else "bilinear"
        aligned = self.coordinates == "align_corners"
        said = unusual(factor=(even(factors), 2), align_corners=(aligned, False))
        return Phrase("upsample", (x,), said | {"mode": mode})

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """Readers know up to two axes of pictures and three of volumes, and cubics of pictures."""
        rank, count = inputs[0].type.rank, len(self.size)
        pictures = rank in (2, 4) and count <= 2
        known = pictures or (self.mode == "linear" and rank in (3, 5) and count <= 3)
        if not known or not self.is_known(out):
            return write_elements(out, self, result, *inputs)
        cubic = {"cubic_coeff_a": self.slope} if self.mode == "cubic" else {}
        return self.written(out, result, inputs[0], mode=self.mode, **cubic)

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


def whole_factors(shape: Shape, size: tuple[Size, ...]) -> tuple[int, ...]:
    """Returns by which whole numbers the spatial axes of [N, C, ...] grow; () if by no such."""
    factors = tuple(_factor(old, new) for old, new in zip(shape[2:], size, strict=False))
    return () if len(size) != len(shape) - 2 or 0 in factors else factors


def _factor(old: Size, new: Size) -> int:
    if isinstance(old, int) and isinstance(new, int):
        return new // old if new % old == 0 else 0
    return next((k for k in range(1, 65) if old * k == new), 0)
