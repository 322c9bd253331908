"""Affine maps of the plane as [2, 3] matrices, made of numbers that are known when running.

A matrix takes the centre of an output pixel (x to the right, y down) to a place in the input. So
`compose_affine(a, b)` is what the warp by `a`, followed by the warp by `b`, amounts to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.scalar import Scalar, cast, cos, lift, select, sin
from dhc.ir.size import Size, static
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Array,
    Index,
    Operand,
    Structured,
    TypeRuleError,
    op,
    require_elements,
    size_scalar,
)
from dhc.ops.outward import Outward, Term
from dhc.ops.outward_elements import write_elements
from dhc.ops.sample import Sample, sample

Entries = Sequence[Scalar]  # row by row
Plane = tuple[Size, Size]  # height and width


@dataclass(frozen=True)
class AffineMatrix(Structured):
    """The base of operators that make a matrix of scalar tensors."""

    def entries(self, *inputs: Any, **unused: Any) -> Entries:
        """Returns the six entries, from one scalar for each input."""
        raise NotImplementedError

    def infer(self, *inputs: Tensor) -> Tensor:
        require_elements(self.name, "float", inputs)
        for i, tensor in enumerate(inputs):
            if tensor.rank:
                raise TypeRuleError(f"'{self.name}' needs single numbers, not {tensor}.", i)
        return Tensor(inputs[0].dtype if inputs else DType.F32, (2, 3))

    def element(self, out: Tensor, index: Index, *inputs: Operand) -> Scalar:
        return pick(self.entries(*(operand[()] for operand in inputs)), index)

    def grad(self, upstream: Node, output: Node, *inputs: Node) -> tuple[Node | None, ...]:
        from dhc.ops.affine_grad import matrix_gradients

        return matrix_gradients(self, upstream, inputs)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return write_elements(out, self, result, *inputs)


def pick(entries: Entries, index: Index) -> Scalar:
    """The entry at a row and a column."""
    place = index[0] * 3 + index[1]
    result = entries[-1]
    for k in reversed(range(len(entries) - 1)):
        result = select(place.equals(k), entries[k], result)
    return result


def number(size: Size, dtype: DType) -> Scalar:
    """A size as a float."""
    return cast(size_scalar(size), dtype)


@op("affine_rotation")
class AffineRotation(AffineMatrix):
    """Turns a picture counter-clockwise about its centre, by an angle in degrees."""

    size: tuple[Size, Size]

    def entries(self, angle: Scalar) -> Entries:
        turn = angle * (math.pi / 180)
        c, s = cos(turn), sin(turn)
        y, x = ((number(size, angle.dtype) - 1) * 0.5 for size in self.size)
        return c, -s, x - c * x + s * y, s, c, y - s * x - c * y

    def numpy(self, angle: Array) -> Array:
        turn = np.deg2rad(angle)
        linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        height, width = static(self.size)
        centre = np.array([width - 1, height - 1]) / 2
        matrix = np.column_stack([linear, centre - linear @ centre])
        return np.asarray(matrix.astype(angle.dtype))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls((5, 8)), "f32[]", ranges=((-180, 180),))]


@op("affine_translation")
class AffineTranslation(AffineMatrix):
    """Moves a picture so that place (x, y) of the input comes to the upper left."""

    def entries(self, x: Scalar, y: Scalar) -> Entries:
        one, zero = lift(1, x.dtype), lift(0, x.dtype)
        return one, zero, x, zero, one, y

    def numpy(self, x: Array, y: Array) -> Array:
        return np.array([[1, 0, x], [0, 1, y]], x.dtype)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[]", "f32[]")]


@op("affine_zoom")
class AffineZoom(AffineMatrix):
    """Enlarges a picture about its centre by factors along x and y."""

    size: tuple[Size, Size]

    def entries(self, x: Scalar, y: Scalar) -> Entries:
        height, width = ((number(size, x.dtype) - 1) * 0.5 for size in self.size)
        zero = lift(0, x.dtype)
        return 1 / x, zero, width - width / x, zero, 1 / y, height - height / y

    def numpy(self, x: Array, y: Array) -> Array:
        height, width = static(self.size)
        across, down = (width - 1) / 2, (height - 1) / 2
        return np.array([[1 / x, 0, across - across / x], [0, 1 / y, down - down / y]], x.dtype)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls((5, 8)), "f32[]", "f32[]", ranges=((0.5, 2), (0.5, 2)))]


@op("affine_shear")
class AffineShear(AffineMatrix):
    """Slants a picture about its centre, by angles in degrees along x and along y.

    Positive angles move the lower rows to the left, and the right columns up.
    """

    size: tuple[Size, Size]

    def entries(self, horizontal: Scalar, vertical: Scalar) -> Entries:
        across, down = (_tangent(angle * (math.pi / 180)) for angle in (horizontal, vertical))
        y, x = ((number(size, horizontal.dtype) - 1) * 0.5 for size in self.size)
        one = lift(1, horizontal.dtype)
        return one, across, -across * y, down, one, -down * x

    def numpy(self, horizontal: Array, vertical: Array) -> Array:
        height, width = static(self.size)
        across, down = np.tan(np.deg2rad(horizontal)), np.tan(np.deg2rad(vertical))
        y, x = (height - 1) / 2, (width - 1) / 2
        return np.array([[1, across, -across * y], [down, 1, -down * x]], horizontal.dtype)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls((5, 8)), "f32[]", "f32[]", ranges=((-60, 60), (-60, 60)))]


def _tangent(angle: Scalar) -> Scalar:
    return sin(angle) / cos(angle)


@op("affine_resize")
class AffineResize(AffineMatrix):
    """Stretches a picture of one size over another size."""

    source: tuple[Size, Size]
    target: tuple[Size, Size]

    def entries(self) -> Entries:
        y, x = (
            number(source, DType.F32) / number(target, DType.F32)
            for source, target in zip(self.source, self.target, strict=True)
        )
        zero = lift(0, DType.F32)
        return x, zero, x * 0.5 - 0.5, zero, y, y * 0.5 - 0.5

    def numpy(self) -> Array:
        y, x = (a / b for a, b in zip(static(self.source), static(self.target), strict=True))
        return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]], np.float32)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls((5, 8), (10, 3)))]


@op("affine_mirror")
class AffineMirror(AffineMatrix):
    """Swaps left and right, or top and bottom."""

    size: tuple[Size, Size]
    horizontal: bool = True
    vertical: bool = False

    def entries(self) -> Entries:
        y, x = (number(size, DType.F32) - 1 for size in self.size)
        one, zero = lift(1, DType.F32), lift(0, DType.F32)
        across = (-one, zero, x) if self.horizontal else (one, zero, zero)
        return *across, *((zero, -one, y) if self.vertical else (zero, one, zero))

    def numpy(self) -> Array:
        height, width = static(self.size)
        across = [-1, 0, width - 1] if self.horizontal else [1, 0, 0]
        down = [0, -1, height - 1] if self.vertical else [0, 1, 0]
        return np.array([across, down], np.float32)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls((5, 8))), sample(cls((5, 8), False, True))]


@op("compose_affine")
class ComposeAffine(Structured):
    """The map that applies `b` first and then `a`."""

    def infer(self, a: Tensor, b: Tensor) -> Tensor:
        for i, matrix in enumerate((a, b)):
            require_matrix(self.name, matrix, i)
        return a

    def element(self, out: Tensor, index: Index, a: Operand, b: Operand) -> Scalar:
        row, column = index
        zero, one, two = (lift(k, DType.I64) for k in range(3))
        turned = a[(row, zero)] * b[(zero, column)] + a[(row, one)] * b[(one, column)]
        return turned + select(column.equals(2), a[(row, two)], lift(0, out.dtype))

    def numpy(self, a: Array, b: Array) -> Array:
        below = np.array([[0, 0, 1]], b.dtype)
        return np.asarray(a @ np.vstack([b, below]))

    def grad(self, upstream: Node, output: Node, a: Node, b: Node) -> tuple[Node | None, ...]:
        from dhc.ops.affine_grad import composition_gradients

        return composition_gradients(upstream, a, b)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return write_elements(out, self, result, *inputs)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[2, 3]", "f32[2, 3]")]


def require_matrix(name: str, matrix: Tensor, position: int) -> None:
    """Refuses what is no [2, 3] matrix of floats."""
    if matrix.shape != (2, 3) or not matrix.dtype.is_float:
        raise TypeRuleError(f"'{name}' needs a matrix f32[2, 3], not {matrix}.", position)
