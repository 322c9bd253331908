"""Stages that move the pixels of pictures: maps of the plane, crops and mirror images.

Pictures are [..., H, W]. What is an affine map of the plane becomes an `affine_warp`; neighbouring
ones become a single one, so that pixels are interpolated once. Crops, padding and mirror images
without chance copy pixels as they are.

A number that a stage takes may be a tensor of rank 0: a draw for each sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from dhc.ir.graph import Node, literal
from dhc.ir.size import Size
from dhc.ir.types import DType
from dhc.ops.affine import (
    AffineMirror,
    AffineResize,
    AffineRotation,
    AffineShear,
    AffineTranslation,
    AffineZoom,
    Plane,
)
from dhc.ops.base import Axis, LayerContext, TypeRuleError, layer, normalize_axis, stage
from dhc.ops.compare import Less
from dhc.ops.elementwise import Add, Cast, Floor, Mul, Where
from dhc.ops.movement import SizeValue, Slice, reversed_axes
from dhc.ops.random import RandomUniform, counter
from dhc.ops.resize import Resize, ResizeNearest
from dhc.ops.warp import AffineWarp, Border, Interpolation

Amount = float | Node


@dataclass(frozen=True)
class Sampling:
    """How a map reads the picture (see `AffineWarp`)."""

    interpolation: Interpolation = "linear"
    border: Border = "constant"
    fill: float = 0.0


def plane_of(name: str, x: Node) -> Plane:
    """Returns the height and width of a picture."""
    if x.type.rank < 2:
        raise TypeRuleError(f"'{name}' needs a picture [..., H, W], not {x.type}.", 0)
    return x.type.shape[-2], x.type.shape[-1]


def number_node(value: Amount) -> Node:
    """Returns a number as a tensor of rank 0."""
    return value if isinstance(value, Node) else literal(value, DType.F32)


def probability(name: str, p: float) -> float:
    """Refuses what is no probability."""
    if not 0 <= p <= 1:
        raise TypeRuleError(f"'p' of '{name}' is a probability from 0 to 1, not {p}.")
    return p


def _mapped(
    context: LayerContext, name: str, x: Node, matrix: Node, how: Sampling, p: float = 1.0
) -> Node:
    """Applies a map that keeps the size, with probability `p`."""
    if probability(name, p) < 1:
        draw = RandomUniform(context.stream())(counter())
        none = literal(0.0, DType.F32)
        stays = AffineTranslation()(none, none)
        matrix = Where()(Less()(draw, literal(p, DType.F32)), matrix, stays)
    return AffineWarp(plane_of(name, x), how.interpolation, how.border, how.fill)(x, matrix)


# ---- maps of the plane -----------------------------------------------------------------------


@layer("rotate")
def rotate(
    context: LayerContext,
    x: Node,
    angle: Amount = 0.0,
    interpolation: Interpolation = "linear",
    border: Border = "constant",
    fill: float = 0.0,
    p: float = 1.0,
) -> Node:
    """Turns a picture counter-clockwise about its centre, by an angle in degrees."""
    matrix = AffineRotation(plane_of("rotate", x))(number_node(angle))
    return _mapped(context, "rotate", x, matrix, Sampling(interpolation, border, fill), p)


@layer("zoom")
def zoom(
    context: LayerContext,
    x: Node,
    factor: Amount = 1.0,
    interpolation: Interpolation = "linear",
    border: Border = "constant",
    fill: float = 0.0,
    p: float = 1.0,
) -> Node:
    """Enlarges a picture about its centre; the size stays, so a factor above 1 cuts the border."""
    if not isinstance(factor, Node) and factor <= 0:
        raise TypeRuleError(f"'zoom' needs a positive factor, not {factor}.")
    both = number_node(factor)
    matrix = AffineZoom(plane_of("zoom", x))(both, both)
    return _mapped(context, "zoom", x, matrix, Sampling(interpolation, border, fill), p)


@layer("shear")
def shear(
    context: LayerContext,
    x: Node,
    horizontal: Amount = 0.0,
    vertical: Amount = 0.0,
    interpolation: Interpolation = "linear",
    border: Border = "constant",
    fill: float = 0.0,
    p: float = 1.0,
) -> Node:
    """Slants a picture about its centre, by angles in degrees between -90 and 90."""
    angles = (number_node(horizontal), number_node(vertical))
    matrix = AffineShear(plane_of("shear", x))(*angles)
    return _mapped(context, "shear", x, matrix, Sampling(interpolation, border, fill), p)


@layer("translate")
def translate(
    context: LayerContext,
    x: Node,
    right: Amount = 0.0,
    down: Amount = 0.0,
    interpolation: Interpolation = "linear",
    border: Border = "constant",
    fill: float = 0.0,
    p: float = 1.0,
) -> Node:
    """Moves the content of a picture, by parts of its width and height such as 10%."""
    height, width = plane_of("translate", x)
    for part in (right, down):
        if not isinstance(part, Node) and not -1 <= part <= 1:
            hint = "write 10% for a tenth"
            raise TypeRuleError("'translate' takes parts of the size, from -1 to 1.", None, hint)
    moved = [
        Mul()(number_node(part), SizeValue(size * -1)())
        for part, size in ((right, width), (down, height))
    ]
    matrix = AffineTranslation()(*moved)
    return _mapped(context, "translate", x, matrix, Sampling(interpolation, border, fill), p)


@layer("mirror")
def mirror(
    context: LayerContext, x: Node, p: float = 1.0, interpolation: Interpolation = "linear"
) -> Node:
    """Swaps left and right, with probability `p`."""
    return _mirrored(context, "mirror", x, (x.type.rank - 1,), p, interpolation)


@layer("flip")
def flip(
    context: LayerContext,
    x: Node,
    axis: Axis | tuple[Axis, ...] = -2,
    p: float = 1.0,
    interpolation: Interpolation = "linear",
) -> Node:
    """The elements in the opposite order along axes, with probability `p`.

    Top and bottom of a picture are swapped unless an axis is given.
    """
    given = (axis,) if isinstance(axis, int) else axis
    axes = tuple(normalize_axis("flip", each, x.type.rank) for each in given)
    if len(set(axes)) != len(axes):
        raise TypeRuleError("'flip' names an axis twice.", 0)
    return _mirrored(context, "flip", x, axes, p, interpolation)


def _mirrored(
    context: LayerContext,
    name: str,
    x: Node,
    axes: Sequence[int],
    p: float,
    interpolation: Interpolation,
) -> Node:
    if probability(name, p) == 1:
        return reversed_axes(x, axes)
    down, across = x.type.rank - 2, x.type.rank - 1
    if not set(axes) <= {down, across}:
        raise TypeRuleError(f"'{name}' with p= takes the axes H and W only.")
    matrix = AffineMirror(plane_of(name, x), across in axes, down in axes)()
    return _mapped(context, name, x, matrix, Sampling(interpolation), p)


# ---- other sizes -----------------------------------------------------------------------------


@stage("resize")
def resize(
    context: LayerContext,
    x: Node,
    size: tuple[Size, ...],
    interpolation: Interpolation = "linear",
) -> Node:
    """Brings a picture to a height and width, or a volume to a depth, height and width.

    The picture keeps its borders: places are (i + 0.5) * old / new - 0.5.
    """
    if len(size) not in (2, 3) or x.type.rank <= len(size):
        raise TypeRuleError(
            f"'resize' needs a height and a width, or for volumes a depth too, for {x.type}.", 0
        )
    if any(isinstance(each, int) and each < 1 for each in size):
        raise TypeRuleError("'resize' needs positive sizes.")
    if len(size) == 2:
        target = (size[0], size[1])
        matrix = AffineResize(plane_of("resize", x), target)()
        return AffineWarp(target, interpolation, "replicate")(x, matrix)
    if interpolation == "nearest":
        return ResizeNearest(size, rounding="round_prefer_ceil")(x)
    floats = x if x.type.dtype.is_float else Cast(DType.F32)(x)
    return Resize(size, mode=interpolation)(floats)


@layer("scale")
def scale(
    context: LayerContext,
    x: Node,
    factor: float | tuple[float, ...],
    interpolation: Interpolation = "linear",
) -> Node:
    """Resizes a picture by a factor, or by one for the height and one for the width."""
    height, width = plane_of("scale", x)
    factors = (factor, factor) if isinstance(factor, int | float) else factor
    if len(factors) != 2 or min(factors) <= 0:
        raise TypeRuleError("'scale' needs one positive factor, or two: down and across.")
    pairs = zip((height, width), factors, strict=True)
    return resize(context, x, tuple(_times(size, each) for size, each in pairs), interpolation)


def _times(size: Size, factor: float) -> Size:
    """A size times a factor, rounded down."""
    exact = Fraction(factor).limit_denominator(10_000)
    return size * exact.numerator // exact.denominator


# ---- crops -----------------------------------------------------------------------------------


def _cut(x: Node, top: Size, left: Size, height: int, width: int) -> Node:
    others = x.type.shape[:-2]
    start = (*(0 for _ in others), top, left)
    return Slice(start, (*others, height, width), (1,) * x.type.rank)(x)


def _room(name: str, x: Node, height: int, width: int) -> Plane:
    """How much larger than the crop the picture is."""
    whole = plane_of(name, x)
    for size, wanted, word in zip(whole, (height, width), ("high", "wide"), strict=True):
        if wanted < 1 or (isinstance(size, int) and wanted > size):
            raise TypeRuleError(
                f"'{name}' cannot take {wanted} pixels of a picture that is {size} {word}.", 0
            )
    return whole[0] - height, whole[1] - width


@layer("crop")
def crop(context: LayerContext, x: Node, top: int, left: int, height: int, width: int) -> Node:
    """The part of a picture that begins at row `top` and column `left`."""
    down, across = _room("crop", x, height, width)
    for room, start in ((down, top), (across, left)):
        if start < 0 or (isinstance(room, int) and start > room):
            raise TypeRuleError(f"'crop' reaches beyond the picture {x.type}.", 0)
    return _cut(x, top, left, height, width)


@layer("center_crop")
def center_crop(context: LayerContext, x: Node, height: int, width: int | None = None) -> Node:
    """The middle of a picture; a square unless there is a width."""
    across = height if width is None else width
    down_room, across_room = _room("center_crop", x, height, across)
    return _cut(x, down_room // 2, across_room // 2, height, across)


@layer("random_crop")
def random_crop(
    context: LayerContext,
    x: Node,
    height: int,
    width: int | None = None,
    interpolation: Interpolation = "nearest",
) -> Node:
    """A part of a picture at a random place; a square unless there is a width.

    Pixels are copied, since the place is a whole number of pixels.
    """
    across = height if width is None else width
    room = _room("random_crop", x, height, across)
    stream = context.stream()
    starts = []
    for size, axis in zip(room, ("y", "x"), strict=True):
        draw = RandomUniform(f"{stream}.{axis}")(counter())
        count = Add()(SizeValue(size)(), literal(1.0, DType.F32))
        starts.append(Floor()(Mul()(draw, count)))
    matrix = AffineTranslation()(starts[1], starts[0])
    return AffineWarp((height, across), interpolation, "replicate")(x, matrix)


@layer("exact_steps")
def exact_steps(context: LayerContext, x: Node) -> Node:
    """From here on, the stages of a pipeline that move pixels interpolate one by one."""
    raise TypeRuleError("'exact_steps' is a stage of pipelines only.")
