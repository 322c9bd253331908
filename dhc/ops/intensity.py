"""Stages that change the brightness of pixels and not their places.

Integer pictures become f32 first. A number that a stage takes may be a tensor of rank 0: a draw for
each sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from dhc.ir.graph import Node, literal
from dhc.ir.scalar import Const, Scalar, cast, fma, lift, select
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Array,
    Elements,
    Elementwise,
    Index,
    LayerContext,
    Operand,
    Operator,
    OperatorKind,
    TypeRuleError,
    layer,
    normalize_axis,
    op,
    require_elements,
    stage,
)
from dhc.ops.conv import int_size
from dhc.ops.elementwise import Add, Cast, Clip, Div, Mul, Pow, Sub
from dhc.ops.geometry import Amount
from dhc.ops.outward import Outward, Term
from dhc.ops.random import RandomNormal, counter
from dhc.ops.sample import Sample, sample

Numbers = float | tuple[float, ...]


def _floats(x: Node) -> Node:
    return x if x.type.dtype.is_float else Cast(DType.F32)(x)


def _like(value: Amount, x: Node) -> Node:
    """A number as a tensor of rank 0 with the element type of x."""
    dtype = x.type.dtype
    if not isinstance(value, Node):
        return literal(value, dtype)
    return value if value.type.dtype is dtype else Cast(dtype)(value)


# ---- ranges ----------------------------------------------------------------------------------


@op("to_float")
class ToFloat(Elementwise):
    """Unsigned integers divided by the largest of their type, so 0 .. 1 in f32; bool is 0 or 1."""

    elements: ClassVar[Elements] = "any"

    def infer(self, *inputs: Tensor) -> Tensor:
        for each in inputs:
            if each.dtype.is_signed and each.dtype.is_integer:
                hint = "write window(center=..., width=...) or cast(f32)"
                raise TypeRuleError(f"'to_float' needs u8 or u16 elements, not {each}.", 0, hint)
        return super().infer(*inputs)

    def scalar(self, x: Scalar) -> Scalar:
        if x.dtype.is_float:
            return x
        value = cast(x, DType.F32)
        return value if x.dtype is DType.BOOL else value / float(2**x.dtype.bits - 1)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        full = ((0.0, 255.0),)
        types = ("u8[3, 4]", "u16[3, 4]", "f32[3, 4]", "bool[3, 4]")
        return [sample(cls(), type, ranges=full) for type in types]


@layer("window")
def window(context: LayerContext, x: Node, center: Amount, width: Amount) -> Node:
    """Maps a window of Hounsfield units, or of any unit, to 0 .. 1; what is outside is clipped.

    (x - center) / width + 0.5: the function LINEAR_EXACT of DICOM PS3.3 C.11.2.1.3.2.
    """
    if not isinstance(width, Node) and width <= 0:
        raise TypeRuleError(f"'window' needs a positive width, not {width}.")
    values = _floats(x)
    centred = Sub()(values, _like(center, values))
    scaled = Div()(centred, _like(width, values))
    return Clip(0.0, 1.0)(Add()(scaled, literal(0.5, values.type.dtype)))


@op("normalize")
class Normalize(Operator):
    """(x - mean) / std, with one mean and one standard deviation for each entry of an axis.

    Attributes:
        mean, std: One number for each entry, or one for all.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    axis: int = 1

    kind: ClassVar[OperatorKind] = "elementwise"
    inlines_producers: ClassVar[bool] = True

    def infer(self, x: Tensor) -> Tensor:
        require_elements(self.name, "float", (x,))
        axis = normalize_axis(self.name, self.axis, x.rank)
        for word, numbers in (("means", self.mean), ("standard deviations", self.std)):
            if len(numbers) not in (1, int_size(x.shape[axis])):
                raise TypeRuleError(
                    f"'{self.name}' has {len(numbers)} {word} for {x.shape[axis]} channels.", 0
                )
        if not all(each > 0 for each in self.std):
            raise TypeRuleError(f"'{self.name}' needs positive standard deviations.")
        return x

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        entry = index[self.axis % out.rank]
        scales = tuple(1 / each for each in self.std)
        means = self.mean * len(scales) if len(self.mean) == 1 else self.mean
        widths = scales * len(means) if len(scales) == 1 else scales
        shifts = tuple(-mean * scale for mean, scale in zip(means, widths, strict=True))
        scale, shift = (_entry(numbers, entry, out.dtype) for numbers in (scales, shifts))
        return fma(x[index], scale, shift)  # a division takes ten times as long

    def numpy(self, x: Array) -> Array:
        shape = [1] * x.ndim
        shape[self.axis] = -1
        mean, std = (np.array(each, x.dtype).reshape(shape) for each in (self.mean, self.std))
        return np.asarray((x - mean) / std)

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        return (Normalize((0.0,), self.std, self.axis)(upstream),)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        x = inputs[0]
        behind = (1,) * (x.type.rank - 1 - self.axis % x.type.rank)
        mean, std = (
            out.constant(np.array(each).reshape(-1, *behind), x.dtype)
            for each in (self.mean, self.std)
        )
        return out.apply(Div(), out.apply(Sub(), x, mean), std)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        each = cls((0.5, -1.0, 0.25), (0.5, 2.0, 3.0), -3)
        return [sample(each, "f32[2, 3, 4, 2]"), sample(cls((0.5,), (2.0,), 0), "f32[3, 4]")]


def _entry(numbers: Sequence[float], place: Scalar, dtype: DType) -> Scalar:
    """The number that belongs to a place on the axis."""
    result = lift(numbers[-1], dtype)
    for k in reversed(range(len(numbers) - 1)):
        result = select(place.equals(k), Const(numbers[k], dtype), result)
    return result


def _normalized(x: Node, mean: Numbers, std: Numbers, axis: int) -> Node:
    means, stds = ((n,) if isinstance(n, int | float) else n for n in (mean, std))
    return Normalize(means, stds, axis)(_floats(x))


@layer("normalize")
def normalize(context: LayerContext, x: Node, mean: Numbers = 0.0, std: Numbers = 1.0) -> Node:
    """(x - mean) / std; a list has one number for each channel."""
    return _normalized(x, mean, std, 1)


@stage("normalize")
def normalize_sample(
    context: LayerContext, x: Node, mean: Numbers = 0.0, std: Numbers = 1.0
) -> Node:
    """(x - mean) / std; a list has one number for each channel."""
    return _normalized(x, mean, std, 0)


# ---- augmentation ----------------------------------------------------------------------------


@layer("gamma")
def gamma(context: LayerContext, x: Node, power: Amount) -> Node:
    """Raises pictures of 0 .. 1 to a power; below 1 dark parts become lighter."""
    if not isinstance(power, Node) and power <= 0:
        raise TypeRuleError(f"'gamma' needs a positive power, not {power}.")
    values = _floats(x)
    return Pow()(Clip(low=0.0)(values), _like(power, values))


@layer("brightness")
def brightness(context: LayerContext, x: Node, amount: Amount) -> Node:
    """Adds an amount to every pixel; nothing is clipped."""
    values = _floats(x)
    return Add()(values, _like(amount, values))


@layer("contrast")
def contrast(context: LayerContext, x: Node, factor: Amount, middle: float = 0.5) -> Node:
    """Moves pixels away from `middle` by a factor, or toward it where the factor is below 1."""
    values = _floats(x)
    centre = literal(middle, values.type.dtype)
    return Add()(Mul()(Sub()(values, centre), _like(factor, values)), centre)


@layer("gaussian_noise")
def gaussian_noise(context: LayerContext, x: Node, sigma: Amount) -> Node:
    """Adds independent normal noise with standard deviation `sigma` to every pixel."""
    values = _floats(x)
    drawn = RandomNormal(context.stream(), x.type.shape)(counter())
    noise = _like(drawn, values)
    return Add()(values, Mul()(noise, _like(sigma, values)))
