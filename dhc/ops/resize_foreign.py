"""Resizing as ONNX describes it: sizes or scales, for some axes, in many ways."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import get_args

from dhc.ir.graph import Node
from dhc.ir.size import Size
from dhc.ops.foreign import Call, ForeignError, reads
from dhc.ops.resize import CUBIC, Resize, ResizeNearest, Rounding
from dhc.ops.resize_axis import Coordinates, Region
from dhc.ops.resize_matrix import Kernel, by_matrices

_MODES = ("nearest", "linear", "bilinear", "cubic")
Scaled = tuple[tuple[Size, ...], tuple[float, ...]]


@reads("Resize", "Upsample")
def _read_resize(call: Call) -> Node:
    """The axes before the first one that changes are left out."""
    x = call.tensor(0)
    axes = [axis % x.type.rank for axis in call.ints("axes", tuple(range(x.type.rank)))]
    sizes, scales = _foreign_sizes(call, x, axes)
    coordinates, mode = _foreign_coordinates(call), call.word("mode", "nearest", _MODES)
    slope, filtered = call.get("cubic_coeff_a", CUBIC), bool(call.get("antialias", 0))
    excluded = bool(call.get("exclude_outside", 0))
    outside = call.get("extrapolation_value", 0.0)
    usual = "floor" if call.opset < 11 else "round_prefer_floor"
    nearest = call.word("nearest_mode", usual, get_args(Rounding))
    cuts = coordinates == "tf_crop_and_resize"
    region = _foreign_region(call, x.type.rank, axes) if cuts else ()
    first = _first_changed(x, sizes, scales, region)
    if first == x.type.rank:
        return x
    uneven = coordinates == "align_corners" and any(not each.is_integer() for each in scales)
    if uneven and mode == "nearest":
        raise ForeignError("its scales are no whole numbers, with corners aligned")
    if mode != "nearest" and (uneven or filtered or excluded):
        kernel = Kernel("cubic" if mode == "cubic" else "linear", slope, filtered, excluded)
        return by_matrices(call, x, sizes, scales, coordinates, kernel)
    shared = (sizes[first:], coordinates, scales[first:], region[first:], outside)
    if mode == "nearest":
        return ResizeNearest(*shared, nearest)(x)  # type: ignore[arg-type]
    return Resize(*shared, "cubic", slope)(x) if mode == "cubic" else Resize(*shared, "linear")(x)


def _first_changed(
    x: Node, sizes: Sequence[Size], scales: Sequence[float], region: Sequence[Region]
) -> int:
    """The first axis that does not stay as it is; the rank if all of them do."""
    for axis, (old, new) in enumerate(zip(x.type.shape, sizes, strict=True)):
        scaled = bool(scales) and scales[axis] != 1
        if old != new or scaled or (region and region[axis] != (0.0, 1.0)):
            return axis
    return x.type.rank


def _foreign_region(call: Call, rank: int, axes: Sequence[int]) -> tuple[Region, ...]:
    """The part of each axis that is taken: all of those that are not named."""
    ends = [float(each) for each in call.numbers(1).reshape(-1)]
    region: list[Region] = [(0.0, 1.0)] * rank
    for axis, *part in zip(axes, ends[: len(axes)], ends[len(axes) :], strict=True):
        region[axis] = (part[0], part[1])
    return tuple(region)


def _foreign_coordinates(call: Call) -> Coordinates:
    usual = "asymmetric" if call.opset < 11 else "half_pixel"
    found = call.get("coordinate_transformation_mode", usual)
    if found not in get_args(Coordinates):
        raise ForeignError(f"attribute 'coordinate_transformation_mode' is {found!r}")
    return found  # type: ignore[return-value]


def _foreign_sizes(call: Call, x: Node, axes: Sequence[int]) -> Scaled:
    """The sizes of the result, and the scales where these were given instead."""
    shape = x.type.shape
    policy = call.get("keep_aspect_ratio_policy", "stretch")
    if call.has(3) and call.known(3).size:
        wanted = call.sizes(3)
        if policy != "stretch":
            return _of_one_scale(policy, shape, axes, wanted)
        sizes = list(shape)
        for axis, size in zip(axes, wanted, strict=True):
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


def _of_one_scale(
    policy: str, shape: Sequence[Size], axes: Sequence[int], wanted: Sequence[Size]
) -> Scaled:
    """Sizes within those that are wanted, or around them, at one scale for all axes."""
    choose: dict[str, Callable[[list[float]], float]] = {"not_larger": min, "not_smaller": max}
    if policy not in choose:
        raise ForeignError(f"attribute 'keep_aspect_ratio_policy' is {policy!r}")
    old, new = [shape[axis] for axis in axes], list(wanted)
    if not all(isinstance(size, int) for size in (*old, *new)):
        raise ForeignError("one scale for all axes needs sizes that are known")
    scale = choose[policy]([int(b) / int(a) for a, b in zip(old, new, strict=True)])  # type: ignore[arg-type]
    sizes, scales = list(shape), [1.0] * len(shape)
    for axis, size in zip(axes, old, strict=True):
        sizes[axis] = math.floor(int(size) * scale + 0.5)  # type: ignore[arg-type]
        scales[axis] = scale
    return tuple(sizes), tuple(scales)
