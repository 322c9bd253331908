"""Where the elements of a resized axis lie in the axis before, in the ways that ONNX names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from dhc.ir.scalar import Scalar
from dhc.ir.size import Size, static
from dhc.ops.base import Array, size_scalar

Coordinates = Literal[
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
    "tf_crop_and_resize",
]  # fmt: skip
Region = tuple[float, float]
MAX_DENOMINATOR = 1_000_000  # of scales and regions


@dataclass(frozen=True)
class Position:
    """The place of output element `i` in the input: (step * i + start) / unit."""

    step: Size
    start: Size
    unit: Size


@dataclass(frozen=True)
class Along:
    """How one axis is resized.

    Attributes:
        source, target: Its sizes before and after.
        coordinates: One of ONNX's ways to place output elements.
        scale: How much longer it becomes, where `target` was rounded down from it; 0 for the ratio
            of the sizes.
        region: For `tf_crop_and_resize` the part of the axis that is taken, in shares of 1.
    """

    source: Size
    target: Size
    coordinates: Coordinates
    scale: float = 0.0
    region: Region = (0.0, 1.0)

    @property
    def cuts(self) -> bool:
        """Whether elements may lie outside of the input, where they get a value of their own."""
        return self.coordinates == "tf_crop_and_resize"

    def position(self) -> Position:
        """Returns where output elements lie."""
        source, target = self.source, self.target
        single = isinstance(target, int) and target == 1
        if self.cuts:
            return self._cut(single)
        if single and self.coordinates in ("align_corners", "pytorch_half_pixel"):
            return Position(0, 0, 1)
        if self.coordinates == "align_corners":
            return _reduced(source - 1, 0, target - 1)
        old, new = _fraction(1 / self.scale) if self.scale else _ratio(source, target)
        if self.coordinates == "asymmetric":
            return _reduced(old, 0, new)
        start = old - new
        if self.coordinates == "half_pixel_symmetric" and self.scale:
            start = start + source * new - target * old
        return _reduced(old * 2, start, new * 2)

    def _cut(self, single: bool) -> Position:
        """The first and the last element lie at the ends of the region."""
        (start, below), (end, under) = (_fraction(share) for share in self.region)
        first, last, unit = start * under, end * below, below * under
        gaps, spans = self.source - 1, self.target - 1
        if single:
            return _reduced(0, gaps * (first + last), 2 * unit)
        return _reduced(gaps * (last - first), gaps * spans * first, spans * unit)

    def places(self) -> Array:
        """For numpy: the places in f64, each rounded once, so that ties stay ties."""
        place = self.position()
        step, start, unit = static((place.step, place.start, place.unit))
        (target,) = static((self.target,))
        return np.asarray((step * np.arange(target) + start) / unit)

    def inside(self, i: Scalar) -> Scalar:
        """Whether output element `i` lies in the input."""
        place = self.position()
        top = size_scalar(place.step) * i + size_scalar(place.start)
        return (top >= 0) & (top <= size_scalar((self.source - 1) * place.unit))


def _fraction(value: float) -> tuple[int, int]:
    """A number as a fraction with a small denominator, which is what was meant by 0.6."""
    return Fraction(value).limit_denominator(MAX_DENOMINATOR).as_integer_ratio()


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
