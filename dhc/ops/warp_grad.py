"""Gradients of the affine warp for its picture and for its matrix (arXiv:1506.02025, section 3.3).

Which output pixels read an input pixel depends on the matrix, whose numbers are known only when
running. So every input pixel asks all output pixels: correct and the same each time, but slow for
large pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from dhc.ir.derive import derive
from dhc.ir.graph import Node, literal
from dhc.ir.replace import replace_variables
from dhc.ir.scalar import Scalar, Var, cast, floor, lift, reduce_over, select
from dhc.ir.size import Size, static, unify
from dhc.ir.types import Tensor
from dhc.ops.affine import pick, require_matrix
from dhc.ops.base import (
    Array,
    Index,
    Operand,
    Structured,
    TypeRuleError,
    axis_variable,
    op,
    require_elements,
)
from dhc.ops.movement import Expand
from dhc.ops.resize import CUBIC, blend, kernel, weights_of
from dhc.ops.sample import Range, Sample, sample
from dhc.ops.warp import AffineWarp, AsFloat, Border, Interpolation

_RANGES: tuple[Range, ...] = ((-2.0, 2.0), (-1.5, 1.5))


def warp_gradients(
    warp: AffineWarp, upstream: Node, x: Node, matrix: Node
) -> tuple[Node | None, ...]:
    """Returns the gradients for the picture x [..., H, W] and for the matrix [2, 3].

    The nearest pixel stays the same when a matrix changes a little, and so does what is outside.
    """
    if not x.type.dtype.is_float:
        return None, None
    *_, height, width = x.type.shape
    of_picture = AffineWarpGrad((height, width), warp.interpolation, warp.border)
    if warp.interpolation == "nearest":
        flat = Expand(matrix.type.shape)(literal(0.0, matrix.type.dtype))
        return of_picture(upstream, matrix), flat
    of_matrix = AffineWarpMatrixGrad(warp.interpolation, warp.border)
    return of_picture(upstream, matrix), of_matrix(x, upstream, matrix)


# ---- the picture -----------------------------------------------------------------------------


@op("affine_warp_grad")
class AffineWarpGrad(Structured):
    """The transpose of `affine_warp`: each output pixel goes back to those that it was made of.

    upstream is [..., H', W'], the matrix takes its pixels to places in the result [..., H, W].

    Attributes:
        size: Height and width of the picture that was warped.
        interpolation, border: As of the warp.
    """

    untold: ClassVar[str] = "training alone needs it"

    size: tuple[Size, Size]
    interpolation: Interpolation = "linear"
    border: Border = "constant"

    def infer(self, upstream: Tensor, matrix: Tensor) -> Tensor:
        require_elements(self.name, "float", (upstream,))
        require_matrix(self.name, matrix, 1)
        if upstream.rank < 2:
            raise TypeRuleError(f"'{self.name}' needs a picture [..., H, W], not {upstream}.", 0)
        return upstream.with_shape((*upstream.shape[:-2], *self.size))

    def element(self, out: Tensor, index: Index, upstream: Operand, matrix: Operand) -> Scalar:
        *_, height, width = upstream.type.shape
        warp = AffineWarp((height, width), self.interpolation, self.border)
        pixel = (axis_variable("p0", height), axis_variable("p1", width))
        places = warp.places(pixel, matrix)
        shares = [
            self._share(warp, place, size, at)
            for place, size, at in zip(places, self.size, index[-2:], strict=True)
        ]
        value = cast(upstream[(*index[:-2], *pixel)], matrix.type.dtype)
        value = value * (shares[0] * shares[1])
        if self.border == "constant":
            value = select(warp.inside(places, self.size), value, 0)
        return cast(reduce_over("sum", pixel, value), out.dtype)

    def _share(self, warp: AffineWarp, place: Scalar, size: Size, at: Scalar) -> Scalar:
        """The weight of pixel `at` at a place along one axis; a border pixel may have several."""
        zero = lift(0, place.dtype)
        if self.interpolation == "nearest":
            return select(warp.nearest(place, size).equals(at), lift(1, place.dtype), zero)
        total = zero
        for pixel, weight in warp.taps(place, size):
            total = total + select(pixel.equals(at), weight, zero)
        return total

    def numpy(self, upstream: Array, matrix: Array) -> Array:
        """Adds every output pixel to its neighbours, times their weights."""
        size = static(self.size)
        across, down = _places(matrix, upstream.shape[-2:])
        if self.border == "constant":
            upstream = np.where(_inside(across, down, size), upstream, 0)
        total = np.zeros((*size, *upstream.shape[:-2]))
        for row, row_weight, _ in _neighbours(down, self.interpolation):
            for column, column_weight, _ in _neighbours(across, self.interpolation):
                pixels = (_clipped(row, size[0]), _clipped(column, size[1]))
                shares = upstream * row_weight * column_weight
                np.add.at(total, pixels, np.moveaxis(shares, (-2, -1), (0, 1)))
        return np.moveaxis(total, (0, 1), (-2, -1)).astype(upstream.dtype)

    def grad(self, upstream: Node, output: Node, x: Node, matrix: Node) -> tuple[Node | None, ...]:
        """It is linear in x; for the matrix, the two pictures of the warp change their places."""
        *_, height, width = x.type.shape
        warp = AffineWarp((height, width), self.interpolation, self.border)
        _, of_matrix = warp_gradients(warp, x, upstream, matrix)
        return warp(upstream, matrix), of_matrix

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ways: list[tuple[Interpolation, Border]] = [
            ("nearest", "constant"), ("nearest", "replicate"), ("linear", "constant"),
            ("linear", "replicate"), ("cubic", "constant"), ("cubic", "replicate"),
        ]  # fmt: skip
        return [
            sample(cls((4, 7), *way), "f32[2, 6, 5]", "f32[2, 3]", ranges=_RANGES) for way in ways
        ]


# ---- the matrix ------------------------------------------------------------------------------


@op("affine_warp_matrix_grad")
class AffineWarpMatrixGrad(Structured):
    """The gradient of `affine_warp` for its matrix: how its places move the picture's values.

    `result[r, c]` is the sum of `upstream * slope[r] * (column, row, 1)[c]` over all pixels of
    upstream [..., H', W'], where `slope` is the derivative of the interpolated x [..., H, W] to the
    right and down.

    Attributes:
        interpolation, border: As of the warp.
    """

    untold: ClassVar[str] = "training alone needs it"

    interpolation: Literal["linear", "cubic"] = "linear"
    border: Border = "constant"

    def infer(self, x: Tensor, upstream: Tensor, matrix: Tensor) -> Tensor:
        require_elements(self.name, "float", (x, upstream))
        require_matrix(self.name, matrix, 2)
        if (
            x.rank < 2
            or x.rank != upstream.rank
            or any(
                unify(a, b) is None for a, b in zip(x.shape[:-2], upstream.shape[:-2], strict=True)
            )
        ):
            raise TypeRuleError(f"'{self.name}' cannot compare {x} and {upstream}.", 1)
        return matrix

    def element(
        self, out: Tensor, index: Index, x: Operand, upstream: Operand, matrix: Operand
    ) -> Scalar:
        *batch, height, width = upstream.type.shape
        sizes = x.type.shape[-2:]
        warp = AffineWarp((height, width), self.interpolation, self.border)
        outer = tuple(axis_variable(f"b{i}", size) for i, size in enumerate(batch))
        pixel = (axis_variable("p0", height), axis_variable("p1", width))
        places = warp.places(pixel, matrix)
        picture = AsFloat(x, out.dtype)
        weights = [warp.taps(place, size) for place, size in zip(places, sizes, strict=True)]
        slopes = [
            self._slopes(warp, place, size) for place, size in zip(places, sizes, strict=True)
        ]
        right = blend(picture, outer, [weights[0], slopes[1]])
        down = blend(picture, outer, [slopes[0], weights[1]])
        y, x_ = (cast(i, out.dtype) for i in pixel)
        moved = pick((right * x_, right * y, right, down * x_, down * y, down), index)
        value = cast(upstream[(*outer, *pixel)], out.dtype) * moved
        if self.border == "constant":
            value = select(warp.inside(places, sizes), value, 0)
        return reduce_over("sum", (*outer, *pixel), value)

    def _slopes(self, warp: AffineWarp, place: Scalar, size: Size) -> list[tuple[Scalar, Scalar]]:
        """The neighbours of a place along one axis, with the derivatives of their weights."""
        part = Var("part", place.dtype)
        slopes = [derive(w, part) for w in weights_of(part, self.interpolation, CUBIC)]
        bound = [replace_variables(slope, {part: place - floor(place)}) for slope in slopes]
        taps = warp.taps(place, size)
        return [(pixel, slope) for (pixel, _), slope in zip(taps, bound, strict=True)]

    def numpy(self, x: Array, upstream: Array, matrix: Array) -> Array:
        across, down = _places(matrix, upstream.shape[-2:])
        right, below = np.zeros(upstream.shape), np.zeros(upstream.shape)
        for row, row_weight, row_slope in _neighbours(down, self.interpolation):
            for column, column_weight, column_slope in _neighbours(across, self.interpolation):
                value = x[..., _clipped(row, x.shape[-2]), _clipped(column, x.shape[-1])]
                right += value * row_weight * column_slope
                below += value * row_slope * column_weight
        if self.border == "constant":
            upstream = np.where(_inside(across, down, x.shape[-2:]), upstream, 0)
        rows, columns = np.indices(upstream.shape[-2:])
        factors = (columns, rows, 1)
        entries = [[np.sum(upstream * s * f) for f in factors] for s in (right, below)]
        return np.array(entries, matrix.dtype)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((-2.0, 2.0), (-2.0, 2.0), (-0.7, 0.9))
        ways: list[tuple[Literal["linear", "cubic"], Border]] = [
            ("linear", "constant"), ("linear", "replicate"),
            ("cubic", "constant"), ("cubic", "replicate"),
        ]  # fmt: skip
        return [
            sample(cls(*way), "f32[2, 4, 7]", "f32[2, 6, 5]", "f32[2, 3]", ranges=ranges)
            for way in ways
        ]


# ---- for numpy -------------------------------------------------------------------------------


def _places(matrix: Array, size: tuple[int, ...]) -> tuple[Array, Array]:
    """Where the pixels of a picture of this size lie in the input: to the right, and down."""
    rows, columns = np.indices(size)
    across, down = np.tensordot(matrix, np.stack([columns, rows, np.ones_like(rows)]), 1)
    return across, down


def _inside(across: Array, down: Array, size: tuple[int, ...]) -> Array:
    inside = (across >= -0.5) & (across <= size[1] - 0.5)
    return np.asarray(inside & (down >= -0.5) & (down <= size[0] - 0.5))


def _clipped(pixel: Array, size: int) -> Array:
    return np.clip(pixel, 0, size - 1).astype(np.int64)


def _neighbours(place: Array, interpolation: str) -> list[tuple[Array, Array, Array]]:
    """The neighbours of places along one axis, with their weights and the weights' derivatives."""
    below = np.floor(place)
    t, a = place - below, CUBIC
    if interpolation == "nearest":
        return [(np.floor(place + 0.5), np.ones_like(t), np.zeros_like(t))]
    if interpolation == "linear":
        slopes = [-np.ones_like(t), np.ones_like(t)]
    else:
        near = [_near_slope(t, a), -_near_slope(1 - t, a)]
        slopes = [_far_slope(t + 1, a), *near, -_far_slope(2 - t, a)]
    start = 0 if len(slopes) == 2 else -1
    pixels = [below + start + k for k in range(len(slopes))]
    return [
        (pixel, kernel(np.abs(place - pixel), interpolation, a), slope)
        for pixel, slope in zip(pixels, slopes, strict=True)
    ]


def _near_slope(t: Array, a: float) -> Array:
    return (3 * (a + 2) * t - 2 * (a + 3)) * t


def _far_slope(t: Array, a: float) -> Array:
    return (3 * a * t - 10 * a) * t + 8 * a
