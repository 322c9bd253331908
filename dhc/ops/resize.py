"""Resizing on a grid: nearest, linear and cubic, over any number of trailing axes.

Where an output element lies in the input is a fraction of integers, so that every backend finds the
same neighbours; only the weights are floats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.scalar import Scalar, cast, clamp
from dhc.ir.size import Size
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
from dhc.ops.conv import Ints, spread
from dhc.ops.sample import Sample, sample

Coordinates = Literal["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
Rounding = Literal["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]
Mode = Literal["nearest", "linear", "bilinear", "trilinear", "cubic", "bicubic"]
CUBIC = -0.75  # the slope of cubic interpolation that ONNX, PyTorch and OpenCV use


@dataclass(frozen=True)
class Position:
    """The place of output element `i` in the input: (step * i + start) / unit."""

    step: Size
    start: Size
    unit: Size


def position(source: Size, target: Size, coordinates: Coordinates) -> Position:
    """Returns where output elements lie when `source` elements become `target`."""
    single = isinstance(target, int) and target == 1
    if single and coordinates in ("align_corners", "pytorch_half_pixel"):
        return Position(0, 0, 1)
    if coordinates == "align_corners":
        return _reduced(source - 1, 0, target - 1)
    source, target = _ratio(source, target)
    if coordinates == "asymmetric":
        return _reduced(source, 0, target)
    return _reduced(source * 2, source - target, target * 2)


def _ratio(source: Size, target: Size) -> tuple[Size, Size]:
    """The two sizes without a common factor that shows, even if both are symbolic."""
    if isinstance(source, int) or isinstance(target, int):
        return source, target
    ratios: set[tuple[int, int]] = set()
    for (name, a), (other, b) in zip(source.terms, target.terms, strict=False):
        if name != other:
            return source, target
        ratios.add((a // math.gcd(a, b), b // math.gcd(a, b)))
    same = len(ratios) == 1 and len(source.terms) == len(target.terms)
    return ratios.pop() if same else (source, target)


def _reduced(step: Size, start: Size, unit: Size) -> Position:
    if isinstance(step, int) and isinstance(start, int) and isinstance(unit, int):
        common = math.gcd(step, start, unit)
        return Position(step // common, start // common, unit // common)
    return Position(step, start, unit)


@dataclass(frozen=True)
class Resizing(Structured):
    """The base of resizing; `size` has the new sizes of the last axes."""

    size: tuple[Size, ...]
    coordinates: Coordinates = "half_pixel"

    inlines_producers: ClassVar[bool] = False

    def infer(self, x: Tensor) -> Tensor:
        if x.rank < len(self.size):
            raise TypeRuleError(f"'{self.name}' of {len(self.size)} axes cannot take {x}.", 0)
        if any(isinstance(s, int) and s < 1 for s in self.size):
            raise TypeRuleError(f"'{self.name}' needs positive sizes.", 0)
        return x.with_shape((*x.shape[: x.rank - len(self.size)], *self.size))

    def positions(self, x: Tensor) -> list[Position]:
        """The place of output elements along each resized axis."""
        sources = x.shape[x.rank - len(self.size) :]
        return [position(s, t, self.coordinates) for s, t in zip(sources, self.size, strict=True)]


@op("resize_nearest", onnx=Onnx("Resize", since=13))
class ResizeNearest(Resizing):
    """The element at the nearest place; `rounding` says which one that is."""

    rounding: Rounding = "round_prefer_floor"

    kind: ClassVar[OperatorKind] = "movement"
    inlines_producers: ClassVar[bool] = True

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        first = len(index) - len(self.size)
        where = list(index)
        for axis, place in enumerate(self.positions(x.type), first):
            where[axis] = self.nearest(place, index[axis], x.type.shape[axis])
        return x[tuple(where)]

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
        for axis, target in enumerate(self.size, x.ndim - len(self.size)):
            place = _coordinates(x.shape[axis], int(str(target)), self.coordinates)
            near = rounders[self.rounding](place).astype(np.int64)
            x = np.take(x, np.clip(near, 0, x.shape[axis] - 1), axis=axis)
        return x

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        from dhc.ops.resize_grad import resize_nearest_gradient

        return (resize_nearest_gradient(self, upstream, x),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ways: list[tuple[Coordinates, Rounding]] = [
            ("half_pixel", "round_prefer_floor"), ("asymmetric", "floor"),
            ("align_corners", "round_prefer_ceil"), ("pytorch_half_pixel", "ceil"),
        ]  # fmt: skip
        return [sample(cls((7, 2), *way), "f32[1, 2, 4, 5]") for way in ways]


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
        first = len(index) - len(self.size)
        taps = [
            self.neighbours(place, index[axis], x.type.shape[axis], x.type.dtype)
            for axis, place in enumerate(self.positions(x.type), first)
        ]
        return blend(x, index[:first], taps)

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
        for axis, target in enumerate(self.size, x.ndim - len(self.size)):
            place = _coordinates(x.shape[axis], int(str(target)), self.coordinates)
            x = np.moveaxis(self._along(np.moveaxis(x, axis, -1), place), -1, axis)
        return x

    def _along(self, x: Array, place: Array) -> Array:
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
        return [
            sample(cls((6, 10)), "f32[1, 2, 3, 5]"),
            sample(cls((4, 1), "pytorch_half_pixel"), "f32[1, 2, 3, 5]"),
            sample(cls((7,), "align_corners", "cubic"), "f32[2, 3, 5]"),
            sample(cls((2, 5, 3), "asymmetric"), "f32[1, 1, 3, 3, 4]"),
            sample(cls((7, 3), mode="cubic"), "f32[1, 1, 4, 5]"),
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


def _coordinates(source: int, target: int, coordinates: Coordinates) -> Array:
    """The places in f64, as the ONNX specification writes them."""
    i = np.arange(target)
    if coordinates == "asymmetric":
        return np.asarray(i * source / target)
    if coordinates == "align_corners":
        return np.asarray(i * (source - 1) / max(target - 1, 1))
    if coordinates == "pytorch_half_pixel" and target == 1:
        return np.zeros(1)
    return np.asarray(((2 * i + 1) * source - target) / (2 * target))


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
        return ResizeNearest(size, "asymmetric", "floor")(x)
    coordinates: Coordinates = "align_corners" if align_corners else "half_pixel"
    return Resize(size, coordinates, "cubic" if "cubic" in mode else "linear")(x)
