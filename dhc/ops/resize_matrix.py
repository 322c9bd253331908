"""Resizing as products with known matrices: for filters whose reach depends on the scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.size import Size
from dhc.ops.base import Array
from dhc.ops.foreign import Call, ForeignError
from dhc.ops.linear import MatMul
from dhc.ops.resize import kernel
from dhc.ops.resize_axis import Along, Coordinates
from dhc.ops.shape import Permute

MOST_WEIGHTS = 1 << 24  # of one matrix


@dataclass(frozen=True)
class Kernel:
    """How neighbours are weighed.

    Attributes:
        mode: Whether two or four neighbours count.
        slope: The coefficient of the cubic.
        filtered: Whether the kernel is stretched where an axis becomes shorter, against aliases.
        excluded: Whether places outside of the axis do not count; else the nearest element does.
    """

    mode: Literal["linear", "cubic"]
    slope: float
    filtered: bool
    excluded: bool

    def matrix(self, places: Array, size: int, scale: float) -> Array:
        """The weights [len(places), size] of the elements of an axis, in f64."""
        stretch = min(scale, 1.0) if self.filtered else 1.0
        reach = int(np.ceil(2 / stretch)) + 1
        below = np.floor(places).astype(np.int64)
        result, rows = np.zeros((len(places), size)), np.arange(len(places))
        for step in range(-reach, reach + 1):
            number = below + step
            weight = kernel(np.abs(places - number) * stretch, self.mode, self.slope)
            outside = (number < 0) | (number >= size)
            weight = np.where(outside & self.excluded, 0.0, weight)
            np.add.at(result, (rows, np.clip(number, 0, size - 1)), weight)
        total = result.sum(axis=1, keepdims=True)
        return result / np.where(total == 0, 1.0, total)


def by_matrices(
    call: Call,
    x: Node,
    sizes: Sequence[Size],
    scales: Sequence[float],
    coordinates: Coordinates,
    kernel: Kernel,
) -> Node:
    """Returns x resized, one axis after another.

    Raises:
        ForeignError: if a size is not known, or parts of axes are cut out.
    """
    if coordinates == "tf_crop_and_resize":
        raise ForeignError("it filters while it cuts out a part")
    for axis, (old, new) in enumerate(zip(x.type.shape, sizes, strict=True)):
        scale = scales[axis] if scales else 0.0
        if old == new and scale in (0.0, 1.0):
            continue
        if not isinstance(old, int) or not isinstance(new, int) or old * new > MOST_WEIGHTS:
            raise ForeignError(f"its filter needs known sizes in place of {old} and {new}")
        ratio = scale or new / old
        matrix = kernel.matrix(_places(old, new, scale, coordinates), old, ratio)
        x = _times(x, axis, call.constant(matrix.T.astype(x.type.dtype.numpy)))
    return x


def _places(old: int, new: int, scale: float, coordinates: Coordinates) -> Array:
    """Where the elements lie; with corners aligned a scale counts, not what it is rounded to."""
    if coordinates == "align_corners" and scale:
        spans = scale * old - 1
        return np.arange(new) * ((old - 1) / spans if spans else 0.0)
    return Along(old, new, coordinates, scale).places()


def _times(x: Node, axis: int, matrix: Node) -> Node:
    """X times a matrix along an axis."""
    order = list(range(x.type.rank))
    order[axis], order[-1] = order[-1], order[axis]
    swap = Permute(tuple(order))
    return MatMul()(x, matrix) if axis == x.type.rank - 1 else swap(MatMul()(swap(x), matrix))
