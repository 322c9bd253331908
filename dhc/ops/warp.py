"""Resampling of a picture under an affine map: one operator for all geometric stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.scalar import Number, Scalar, cast, clamp, floor, fma, round_half_even, select
from dhc.ir.scalar import index as to_index
from dhc.ir.size import Size, static
from dhc.ir.types import DType, Tensor
from dhc.ops.affine import AffineResize, number, require_matrix
from dhc.ops.base import Array, Index, Operand, Structured, TypeRuleError, op, size_scalar
from dhc.ops.outward import Outward, Term
from dhc.ops.outward_elements import write_elements
from dhc.ops.resize import CUBIC, Resize, blend, kernel, weights_of
from dhc.ops.sample import Sample, sample

Interpolation = Literal["nearest", "linear", "cubic"]
Border = Literal["constant", "replicate"]


@op("affine_warp")
class AffineWarp(Structured):
    """The picture [..., H, W] seen through a map from output pixels to places in the input.

    A pixel covers half a unit around its centre, so the picture reaches from -0.5 to W - 0.5.
    Inside, neighbours beyond the border are those at the border. Integer elements are interpolated
    in f32 and rounded.

    Attributes:
        size: Height and width of the result.
        border: What lies outside the picture: `fill`, or the nearest pixel.
        alone: Whether it must stay a step of its own, never composed with another warp.
    """

    inlines_casts: ClassVar[bool] = True

    size: tuple[Size, Size]
    interpolation: Interpolation = "linear"
    border: Border = "constant"
    fill: float = 0.0
    alone: bool = False

    def infer(self, x: Tensor, matrix: Tensor) -> Tensor:
        require_matrix(self.name, matrix, 1)
        if x.rank < 2:
            raise TypeRuleError(f"'{self.name}' needs a picture [..., H, W], not {x}.", 0)
        if x.dtype is DType.BOOL and self.interpolation != "nearest":
            raise TypeRuleError(f"'{self.name}' of {x} needs interpolation=nearest.", 0)
        return x.with_shape((*x.shape[:-2], *self.size))

    def element(self, out: Tensor, index: Index, x: Operand, matrix: Operand) -> Scalar:
        places = self.places(index, matrix)
        sizes = x.type.shape[-2:]
        if self.interpolation == "nearest":
            near = tuple(map(self.nearest, places, sizes))
            value = x[(*index[:-2], *near)]
        else:
            float_ = matrix.type.dtype
            taps = [self.taps(place, size) for place, size in zip(places, sizes, strict=True)]
            value = self._back(blend(AsFloat(x, float_), index[:-2], taps), out.dtype)
        if self.border == "replicate":
            return value
        return select(self.inside(places, sizes), value, self._filling(out.dtype))

    def places(self, index: Index, matrix: Operand) -> list[Scalar]:
        """Where the output pixel lies in the input: y, then x."""
        float_ = matrix.type.dtype
        y, x = (cast(i, float_) for i in index[-2:])
        rows = [[matrix[(to_index(r), to_index(c))] for c in range(3)] for r in (1, 0)]
        return [fma(across, x, fma(down, y, offset)) for across, down, offset in rows]

    def nearest(self, place: Scalar, size: Size) -> Scalar:
        """The number of the pixel that has a place along one axis."""
        return self.pixel(floor(place + 0.5), size, 0)

    def taps(self, place: Scalar, size: Size) -> list[tuple[Scalar, Scalar]]:
        """The neighbours of a place along one axis, with their weights."""
        below = floor(place)
        weights = weights_of(place - below, self.interpolation, CUBIC)
        start = 0 if len(weights) == 2 else -1
        return [(self.pixel(below, size, start + k), w) for k, w in enumerate(weights)]

    def pixel(self, place: Scalar, size: Size, offset: int) -> Scalar:
        """The number of a pixel, brought inside the picture before and after it is an integer."""
        near = cast(clamp(place, -3, number(size, place.dtype) + 2), DType.I64)
        return clamp(near + offset, 0, size_scalar(size) - 1)

    def inside(self, places: Sequence[Scalar], sizes: Sequence[Size]) -> Scalar:
        """Whether a place lies in the picture."""
        checks = [
            (place >= -0.5) & (place <= number(size, place.dtype) - 0.5)
            for place, size in zip(places, sizes, strict=True)
        ]
        return checks[0] & checks[1]

    def _back(self, value: Scalar, dtype: DType) -> Scalar:
        if dtype.is_float:
            return cast(value, dtype)
        return cast(round_half_even(value), dtype, saturate=True)

    def _filling(self, dtype: DType) -> Number:
        if dtype is DType.BOOL:
            return bool(self.fill)
        return self.fill if dtype.is_float else int(self.fill)

    def numpy(self, x: Array, matrix: Array) -> Array:
        height, width = static(self.size)
        rows, columns = np.mgrid[0:height, 0:width]
        across, down = np.tensordot(matrix, np.stack([columns, rows, np.ones_like(rows)]), 1)
        if self.interpolation == "nearest":
            picked = _pick(x, np.floor(down + 0.5), np.floor(across + 0.5))
        else:
            total = self._interpolated(x, across, down)
            picked = total if x.dtype.kind == "f" else np.rint(total)
        if self.border == "constant":
            inside = (across >= -0.5) & (across <= x.shape[-1] - 0.5)
            inside &= (down >= -0.5) & (down <= x.shape[-2] - 0.5)
            picked = np.where(inside, picked, self.fill)
        return _converted(picked, x.dtype)

    def grad(self, upstream: Node, output: Node, x: Node, matrix: Node) -> tuple[Node | None, ...]:
        from dhc.ops.warp_grad import warp_gradients

        return warp_gradients(self, upstream, x, matrix)

    def _interpolated(self, x: Array, across: Array, down: Array) -> Array:
        steps = {"linear": (0, 1), "cubic": (-1, 0, 1, 2)}[self.interpolation]
        total = np.zeros((*x.shape[:-2], *across.shape))
        for i in steps:
            for k in steps:
                row, column = np.floor(down) + i, np.floor(across) + k
                weight = kernel(np.abs(down - row), self.interpolation, CUBIC)
                weight = weight * kernel(np.abs(across - column), self.interpolation, CUBIC)
                total += _pick(x, row, column) * weight
        return total

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """What only brings a picture of floats to another size is that in ONNX, too."""
        x, matrix = inputs
        if isinstance(out.maker(matrix), AffineResize) and x.dtype.is_float and self.is_smooth:
            cubic = self.interpolation == "cubic"
            return out.apply(Resize(self.size, mode="cubic" if cubic else "linear"), x)
        return write_elements(out, self, result, x, matrix)

    @property
    def is_smooth(self) -> bool:
        """Whether it blends neighbours."""
        return self.interpolation != "nearest"

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((-2.0, 2.0), (-1.5, 1.5))
        ways: list[tuple[Interpolation, Border]] = [
            ("nearest", "constant"), ("linear", "constant"), ("linear", "replicate"),
            ("cubic", "constant"), ("cubic", "replicate"),
        ]  # fmt: skip
        floats = [
            sample(cls((6, 5), *way, 0.5), "f32[2, 4, 7]", "f32[2, 3]", ranges=ranges)
            for way in ways
        ]
        bytes_ = sample(cls((4, 4)), "u8[1, 5, 6]", "f32[2, 3]", ranges=((0, 255), (-1.5, 1.5)))
        mask = sample(cls((4, 4), "nearest"), "bool[5, 6]", "f32[2, 3]", ranges=ranges)
        return [*floats, bytes_, mask]


class AsFloat(Operand):
    """A tensor whose elements are converted where they are read."""

    def __init__(self, inner: Operand, dtype: DType) -> None:
        self._inner = inner
        self._dtype = dtype
        self.type = inner.type.with_dtype(dtype)

    def read(self, index: Index, guard: Scalar | None = None, otherwise: Number = 0) -> Scalar:
        return cast(self._inner.read(index, guard, otherwise), self._dtype)


def _pick(x: Array, rows: Array, columns: Array) -> Array:
    """The pixels of whole rows and columns, or the nearest ones at the border."""
    row = np.clip(rows, 0, x.shape[-2] - 1).astype(np.int64)
    column = np.clip(columns, 0, x.shape[-1] - 1).astype(np.int64)
    return x[..., row, column]


def _converted(values: Array, dtype: np.dtype) -> Array:
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        values = np.clip(values, info.min, info.max)
    return values.astype(dtype)
