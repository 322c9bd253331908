"""Colour spaces of pictures [..., C, H, W] in floats, 0 .. 1.

The definitions are those that OpenCV documents, over the full range and with exact factors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.scalar import Scalar, clamp, floor, lift, maximum, minimum, select
from dhc.ir.types import Tensor
from dhc.ops.base import (
    Array,
    Composite,
    Elementwise,
    Index,
    LayerContext,
    Operand,
    Structured,
    TypeRuleError,
    layer,
    op,
    require_elements,
)
from dhc.ops.elementwise import Add, Max
from dhc.ops.linear import MatMul
from dhc.ops.movement import reversed_axes, slice_axis
from dhc.ops.outward import Outward, Term
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Concat

Row = tuple[float, ...]
Matrix = tuple[Row, ...]

# ITU-R BT.601: how red, green and blue add to luma.
RED, GREEN, BLUE = 0.299, 0.587, 0.114
LUMA: Row = (RED, GREEN, BLUE)


def require_channels(name: str, x: Tensor, count: int) -> None:
    """Refuses what is no picture [..., C, H, W] with so many channels."""
    if x.rank < 3 or x.shape[-3] != count:
        word = "channel" if count == 1 else "channels"
        raise TypeRuleError(f"'{name}' needs a picture with {count} {word}, not {x}.", 0)


def channels_of(x: Node) -> tuple[Node, ...]:
    """Returns the channels, each with an axis of size 1."""
    axis = x.type.rank - 3
    return tuple(slice_axis(x, axis, k, k + 1) for k in range(3))


# ---- linear ----------------------------------------------------------------------------------


@op("color_matrix")
class ColorMatrix(Structured):
    """Each output channel is a sum of input channels times a row of numbers, plus an offset."""

    rows: Matrix
    offset: Row

    inlines_producers: ClassVar[bool] = True

    def infer(self, x: Tensor) -> Tensor:
        require_elements(self.name, "float", (x,))
        require_channels(self.name, x, len(self.rows[0]))
        return x.with_shape((*x.shape[:-3], len(self.rows), *x.shape[-2:]))

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        *before, channel, row, column = index
        inputs = [
            x[(*before, lift(k, channel.dtype), row, column)] for k in range(len(self.rows[0]))
        ]
        result = self._sum(len(self.rows) - 1, inputs)
        for k in reversed(range(len(self.rows) - 1)):
            result = select(channel.equals(k), self._sum(k, inputs), result)
        return result

    def _sum(self, row: int, inputs: Sequence[Scalar]) -> Scalar:
        total = lift(self.offset[row], inputs[0].dtype)
        for factor, value in zip(self.rows[row], inputs, strict=True):
            total = total + value * factor
        return total

    def numpy(self, x: Array) -> Array:
        moved = np.moveaxis(x, -3, -1) @ np.array(self.rows, x.dtype).T
        return np.moveaxis(moved + np.array(self.offset, x.dtype), -1, -3)

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        turned = tuple(zip(*self.rows, strict=True))
        return (ColorMatrix(turned, (0.0,) * len(turned))(upstream),)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """A product with the pixels of each channel as a row."""
        x = inputs[0]
        before, sizes = x.shape[:-3], x.shape[-2:]
        flat = out.reshape(x, (*before, x.shape[-3], math.prod(sizes)))
        rows = out.constant(np.array(self.rows), x.dtype)
        mixed = out.apply(MatMul(), rows, flat)
        moved = out.apply(Add(), mixed, out.constant(np.array(self.offset)[:, None], x.dtype))
        return out.reshape(moved, result.shape)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        gray = sample(cls((LUMA,), (0.0,)), "f32[2, 3, 4, 5]")
        return [gray, sample(cls(TO_YCRCB, (0.0, 0.5, 0.5)), "f32[3, 4, 5]")]


# ITU-T T.871, with Cr before Cb as OpenCV orders them; OpenCV rounds the factors to 3 digits.
TO_YCRCB: Matrix = (
    LUMA,
    (0.5, -0.5 * GREEN / (1 - RED), -0.5 * BLUE / (1 - RED)),
    (-0.5 * RED / (1 - BLUE), -0.5 * GREEN / (1 - BLUE), 0.5),
)
FROM_YCRCB: Matrix = (
    (1.0, 2 * (1 - RED), 0.0),
    (1.0, -2 * RED * (1 - RED) / GREEN, -2 * BLUE * (1 - BLUE) / GREEN),
    (1.0, 0.0, 2 * (1 - BLUE)),
)


def _converted(name: str, x: Node, rows: Matrix, offset: Row) -> Node:
    require_channels(name, x.type, 3)
    _require_floats(name, x)
    return ColorMatrix(rows, offset)(x)


def _require_floats(name: str, x: Node) -> None:
    if not x.type.dtype.is_float:
        hint = "write to_float() before it"
        raise TypeRuleError(f"'{name}' needs floating-point elements, not {x.type}.", 0, hint)


@layer("rgb_to_gray")
def rgb_to_gray(context: LayerContext, x: Node) -> Node:
    """0.299 R + 0.587 G + 0.114 B (ITU-R BT.601)."""
    return _converted("rgb_to_gray", x, (LUMA,), (0.0,))


@layer("gray_to_rgb")
def gray_to_rgb(context: LayerContext, x: Node) -> Node:
    """Three channels that are all equal to the one."""
    require_channels("gray_to_rgb", x.type, 1)
    return Concat(x.type.rank - 3)(x, x, x)


@layer("rgb_to_bgr")
def rgb_to_bgr(context: LayerContext, x: Node) -> Node:
    """The three channels in the opposite order; it is its own opposite."""
    require_channels("rgb_to_bgr", x.type, 3)
    return reversed_axes(x, (x.type.rank - 3,))


@layer("rgb_to_ycrcb")
def rgb_to_ycrcb(context: LayerContext, x: Node) -> Node:
    """Luma Y as `rgb_to_gray`, and the colour differences from 0 to 1 (ITU-T T.871).

    Cr = (R - Y) / (2 - 2 * 0.299) + 0.5 and Cb = (B - Y) / (2 - 2 * 0.114) + 0.5.
    """
    return _converted("rgb_to_ycrcb", x, TO_YCRCB, (0.0, 0.5, 0.5))


@layer("ycrcb_to_rgb")
def ycrcb_to_rgb(context: LayerContext, x: Node) -> Node:
    """The opposite of `rgb_to_ycrcb`."""
    offset = tuple(-0.5 * (row[1] + row[2]) for row in FROM_YCRCB)
    return _converted("ycrcb_to_rgb", x, FROM_YCRCB, offset)


# ---- hue, saturation, value ------------------------------------------------------------------


@op("hue")
class Hue(Elementwise):
    """The angle of a colour on the circle from red (0) over green (120) to blue (240), degrees.

    Grey has hue 0 (Smith, "Color gamut transform pairs", SIGGRAPH 1978).
    """

    def scalar(self, red: Scalar, green: Scalar, blue: Scalar) -> Scalar:
        most = maximum(maximum(red, green), blue)
        spread = most - minimum(minimum(red, green), blue)
        divisor = select(spread > 0, spread, 1)
        from_red = (green - blue) / divisor
        from_green = (blue - red) / divisor + 2
        from_blue = (red - green) / divisor + 4
        turn = select(red >= most, from_red, select(green >= most, from_green, from_blue))
        return 60 * select(turn < 0, turn + 6, turn)


@op("saturation")
class Saturation(Elementwise):
    """(max - min) / max of the three channels; 0 for black."""

    def scalar(self, red: Scalar, green: Scalar, blue: Scalar) -> Scalar:
        most = maximum(maximum(red, green), blue)
        spread = most - minimum(minimum(red, green), blue)
        return select(most > 0, spread / select(most > 0, most, 1), 0)


@op("hsv_channel")
class HsvChannel(Elementwise):
    """Red, green or blue of a colour of hue (degrees), saturation and value."""

    channel: Literal["red", "green", "blue"] = "red"

    def scalar(self, hue: Scalar, saturation: Scalar, value: Scalar) -> Scalar:
        start = {"red": 5.0, "green": 3.0, "blue": 1.0}[self.channel]
        turn = hue / 60 + start
        turn = turn - floor(turn / 6) * 6
        return value - value * saturation * clamp(minimum(turn, 4 - turn), 0, 1)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((-400.0, 400.0), (0.0, 1.0), (0.0, 1.0))
        return [
            sample(cls("red"), *["f32[3, 4]"] * 3, ranges=ranges),
            sample(cls("green"), *["f32[3, 4]"] * 3, ranges=ranges),
            sample(cls("blue"), *["f32[3, 4]"] * 3, ranges=ranges),
        ]


@op("rgb_to_hsv")
class RgbToHsv(Composite):
    """Hue from 0 to less than 360 degrees, saturation and value from 0 to 1."""

    def expand(self, x: Node) -> Node:
        require_channels(self.name, x.type, 3)
        _require_floats(self.name, x)
        red, green, blue = channels_of(x)
        value = Max()(red, green, blue)
        parts = (Hue()(red, green, blue), Saturation()(red, green, blue), value)
        return Concat(x.type.rank - 3)(*parts)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[3, 4, 5]", ranges=((0.0, 1.0),))]


@op("hsv_to_rgb")
class HsvToRgb(Composite):
    """Red, green and blue from hue (degrees), saturation and value: opposite of `rgb_to_hsv`."""

    def expand(self, x: Node) -> Node:
        require_channels(self.name, x.type, 3)
        _require_floats(self.name, x)
        hsv = channels_of(x)
        names: tuple[Literal["red", "green", "blue"], ...] = ("red", "green", "blue")
        return Concat(x.type.rank - 3)(*(HsvChannel(name)(*hsv) for name in names))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[2, 3, 4, 5]", ranges=((0.0, 1.0),))]
