"""Normalisation of each sample by its own mean and variance: over named axes, groups or planes."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from dhc.ir.graph import Initializer, Node, literal
from dhc.ir.size import Size
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Axis,
    Composite,
    LayerContext,
    Onnx,
    TypeRuleError,
    layer,
    normalize_axis,
    op,
    require_elements,
)
from dhc.ops.compare import Equal
from dhc.ops.conv import int_size
from dhc.ops.elementwise import Add, Div, Mul, Pow, Sqrt, Sub, Where
from dhc.ops.foreign import Call, ForeignError, reads
from dhc.ops.movement import Expand, Pad, slice_axis
from dhc.ops.outward import Outward, Term
from dhc.ops.phrase import Phrase, plain_phrase, unusual, weights_of
from dhc.ops.reduce import ReduceMean
from dhc.ops.rules import require_least
from dhc.ops.sample import Range, Sample, sample
from dhc.ops.shape import Reshape
from dhc.ops.statistics import ReduceL1, ReduceL2

_RANGES: tuple[Range, ...] = ((-2.0, 2.0), (0.5, 2.0), (-1.0, 1.0))


def standardised(x: Node, axes: Sequence[int], epsilon: float) -> Node:
    """Returns (x - mean) / sqrt(variance + epsilon); the variance divides by n."""
    distance = Sub()(x, ReduceMean(tuple(axes), True)(x))
    variance = ReduceMean(tuple(axes), True)(Mul()(distance, distance))
    return Div()(distance, Sqrt()(Add()(variance, literal(epsilon, x.type.dtype))))


def _scaled(x: Node, weights: tuple[Node, ...], shape: tuple[Size, ...]) -> Node:
    """Returns x * scale + bias where there are weights, brought to `shape` first."""
    if not weights:
        return x
    scale, bias = (Reshape(shape)(weight) for weight in weights)
    return Add()(Mul()(x, scale), bias)


def _check(name: str, x: Node, weights: tuple[Node, ...]) -> None:
    require_elements(name, "float", (x.type,))
    if len(weights) not in (0, 2):
        raise TypeRuleError(f"'{name}' takes a scale and a bias, or neither.")


def _channels(name: str, x: Node) -> int:
    if x.type.rank < 3:
        raise TypeRuleError(f"'{name}' needs an input [N, C, ...] of 3 axes or more.", 0)
    return int_size(x.type.shape[1])


# ---- operators -------------------------------------------------------------------------------


@op("layernorm")
class LayerNorm(Composite):
    """x normalised over `axes`, times a scale, plus a bias (arXiv:1607.06450).

    Scale and bias have the sizes of the axes, in the order of x.
    """

    axes: tuple[int, ...] = (-1,)
    epsilon: float = 1e-5

    def expand(self, x: Node, *weights: Node) -> Node:
        _check(self.name, x, weights)
        axes = normalised_axes(self.name, x, self.axes)
        shape = tuple(size if i in axes else 1 for i, size in enumerate(x.type.shape))
        return _scaled(standardised(x, axes, self.epsilon), weights, shape)

    def phrase(self, x: Node, *weights: Node) -> Phrase:
        axes = normalised_axes(self.name, x, self.axes)
        axis = axes[0] if len(axes) == 1 else axes
        return _layer_phrase(self, x, weights, unusual(axis=(axis, x.type.rank - 1)))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        last = sample(cls(), "f32[2, 3, 5]", "f32[5]", "f32[5]", ranges=_RANGES)
        channels = sample(cls((1,)), "f32[2, 3, 4, 2]", "f32[3]", "f32[3]", ranges=_RANGES)
        return [last, channels, sample(cls((1, -1), 0.1), "f32[2, 3, 2, 4]")]


def normalised_axes(name: str, x: Node, axes: Sequence[int]) -> tuple[int, ...]:
    """Returns the axes counted from the front, in order; refuses none and doubles."""
    found = sorted(normalize_axis(name, axis, x.type.rank) for axis in axes)
    if not found or len(set(found)) != len(found):
        raise TypeRuleError(f"'{name}' needs at least one axis, and each only once.", 0)
    return tuple(found)


class OverSpace(Composite):
    """The base of normalisations with a scale and a bias for each channel, or neither."""

    def phrase(self, x: Node, *weights: Node) -> Phrase:
        return _layer_phrase(self, x, weights)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        if len(inputs) == 1:
            return out.expanded(self, *inputs)
        return super().to_onnx(out, result, *inputs)


@op("groupnorm", onnx=Onnx("GroupNormalization", since=21, attributes=(("groups", "num_groups"),)))
class GroupNorm(OverSpace):
    """Each group of neighbouring channels normalised over channels and space (arXiv:1803.08494).

    x is [N, C, ...]; scale and bias are [C].
    """

    groups: int
    epsilon: float = 1e-5

    def expand(self, x: Node, *weights: Node) -> Node:
        _check(self.name, x, weights)
        channels = _channels(self.name, x)
        if self.groups < 1 or channels % self.groups:
            raise TypeRuleError(
                f"'{self.name}' cannot split {channels} channels into {self.groups} groups.", 0
            )
        shape = x.type.shape
        size = channels // self.groups * math.prod(shape[2:])
        grouped = Reshape((shape[0], self.groups, size))(x)
        result = Reshape(shape)(standardised(grouped, (2,), self.epsilon))
        return _scaled(result, weights, (channels, *[1] * (len(shape) - 2)))

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        """Before version 21 scale and bias had one number for each group."""
        x, groups = call.tensor(0), call.get("num_groups", 0)
        call.must("stash_type", 1)
        weights: tuple[Node, ...] = (call.tensor(1), call.tensor(2))
        if call.opset < 21:
            channels = _channels(cls.name, x)
            each = Expand((groups, channels // groups))
            weights = tuple(Reshape((channels,))(each(Reshape((groups, 1))(w))) for w in weights)
        return cls(groups, call.get("epsilon", 1e-5))(x, *weights)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        plane = sample(cls(2), "f32[2, 4, 3, 2]", "f32[4]", "f32[4]", ranges=_RANGES)
        return [plane, sample(cls(3, 0.1), "f32[1, 3, 2, 2, 3]")]


@op("instancenorm", onnx=Onnx("InstanceNormalization", since=6))
class InstanceNorm(OverSpace):
    """Each channel of each sample normalised over space (arXiv:1607.08022).

    x is [N, C, ...]; scale and bias are [C].
    """

    epsilon: float = 1e-5

    def expand(self, x: Node, *weights: Node) -> Node:
        _check(self.name, x, weights)
        channels, rank = _channels(self.name, x), x.type.rank
        result = standardised(x, range(2, rank), self.epsilon)
        return _scaled(result, weights, (channels, *[1] * (rank - 2)))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        plane = sample(cls(), "f32[2, 3, 4, 2]", "f32[3]", "f32[3]", ranges=_RANGES)
        return [plane, sample(cls(0.1), "f32[2, 2, 5]")]


@op("rmsnorm", onnx=Onnx("RMSNormalization", since=23))
class RmsNorm(Composite):
    """x over its root mean square over the last axes, times a scale (arXiv:1910.07467).

    The scale has the sizes of the axes.
    """

    axes: tuple[int, ...] = (-1,)
    epsilon: float = 1e-5

    def expand(self, x: Node, *scale: Node) -> Node:
        require_elements(self.name, "float", (x.type,))
        axes = normalised_axes(self.name, x, self.axes)
        if axes != tuple(range(x.type.rank - len(axes), x.type.rank)) or len(scale) > 1:
            raise TypeRuleError(f"'{self.name}' takes the last axes of {x.type}, and a scale.", 0)
        result = Div()(x, root_mean_square(x, axes, self.epsilon))
        return Mul()(result, scale[0]) if scale else result

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        call.must("stash_type", 1)
        x = call.tensor(0)
        first = normalize_axis(cls.name, call.get("axis", -1), x.type.rank)
        axes = tuple(range(first, x.type.rank))
        return cls(axes, call.get("epsilon", 1e-5))(x, call.tensor(1))

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """As what it is made of: few readers know the operator."""
        return out.expanded(self, *inputs)

    def phrase(self, x: Node, *scale: Node) -> Phrase:
        count = len(normalised_axes(self.name, x, self.axes))
        own = weights_of(scale=scale[0]) if scale else {}
        if own is None:
            return plain_phrase(self, (x, *scale))
        said = unusual(axes=(count, 1), epsilon=(self.epsilon, 1e-5), affine=(bool(scale), True))
        return Phrase(self.name, (x,), said, own)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        last = sample(cls(), "f32[2, 3, 5]", "f32[5]", ranges=_RANGES[:2])
        return [last, sample(cls((1, 2), 0.1), "f32[2, 3, 4]")]


def _layer_phrase(
    operator: Composite, x: Node, weights: tuple[Node, ...], said: dict[str, object] | None = None
) -> Phrase:
    """The call of the layer, with or without a scale and a bias; `said` stands for its axes."""
    plain = plain_phrase(operator, (x, *weights))
    own = weights_of(**dict(zip(("scale", "bias"), weights, strict=False)))
    if own is None or len(weights) == 1:
        return plain
    others = {name: value for name, value in plain.attributes.items() if name != "axes"}
    affine = {} if weights else {"affine": False}
    return Phrase(operator.name, (x,), (said or {}) | others | affine, own)


# ---- layers ----------------------------------------------------------------------------------


def _weights(
    context: LayerContext, shape: tuple[int, ...], affine: bool, dtype: DType
) -> tuple[Node, ...]:
    if not affine:
        return ()
    scale = context.param("scale", shape, Initializer(value=1.0), dtype=dtype)
    return scale, context.param("bias", shape, Initializer(), dtype=dtype)


@layer("layernorm")
def layernorm(
    context: LayerContext,
    x: Node,
    axis: Axis | tuple[Axis, ...] = -1,
    epsilon: float = 1e-5,
    affine: bool = True,
) -> Node:
    """Normalisation over one axis or several, of each place by itself.

    The last axis unless given, as in transformers; `axis=C` normalises the channels of each pixel,
    `axis=[C, H, W]` the whole image, whose sizes must then be known.
    """
    axes = normalised_axes("layernorm", x, (axis,) if isinstance(axis, int) else axis)
    shape = tuple(int_size(x.type.shape[each]) for each in axes) if affine else ()
    require_least("layernorm", "epsilon", epsilon, 0)
    return LayerNorm(axes, epsilon)(x, *_weights(context, shape, affine, x.type.dtype))


@layer("groupnorm")
def groupnorm(
    context: LayerContext, x: Node, groups: int = 32, epsilon: float = 1e-5, affine: bool = True
) -> Node:
    """Normalisation over groups of channels and all of space, independent of the batch."""
    shape = (_channels("groupnorm", x),)
    require_least("groupnorm", "epsilon", epsilon, 0)
    return GroupNorm(groups, epsilon)(x, *_weights(context, shape, affine, x.type.dtype))


@layer("instancenorm")
def instancenorm(
    context: LayerContext, x: Node, epsilon: float = 1e-5, affine: bool = True
) -> Node:
    """Normalisation of each channel over space, independent of the batch."""
    shape = (_channels("instancenorm", x),)
    require_least("instancenorm", "epsilon", epsilon, 0)
    return InstanceNorm(epsilon)(x, *_weights(context, shape, affine, x.type.dtype))


@layer("rmsnorm")
def rmsnorm(
    context: LayerContext, x: Node, axes: int = 1, epsilon: float = 1e-5, affine: bool = True
) -> Node:
    """Division by the root mean square over the last axes, as many as `axes` says."""
    require_least("rmsnorm", "epsilon", epsilon, 0)
    last = tuple(range(x.type.rank - axes, x.type.rank))
    shape = tuple(int_size(x.type.shape[each]) for each in last) if affine else ()
    scale = (context.param("scale", shape, Initializer(value=1.0), dtype=x.type.dtype),)
    return RmsNorm(last, epsilon)(x, *(scale if affine else ()))


# ---- nodes of ONNX ---------------------------------------------------------------------------


@reads("LayerNormalization")
def _read_layernorm(call: Call) -> tuple[Node, ...]:
    x, scale = call.tensor(0), call.tensor(1)
    call.must("stash_type", 1)
    first = normalize_axis("layernorm", call.get("axis", -1), x.type.rank)
    bias = call.tensor(2) if call.has(2) else None
    axes = tuple(range(first, x.type.rank))
    return layer_normalised(x, scale, bias, axes, call.get("epsilon", 1e-5))


def layer_normalised(
    x: Node, scale: Node, bias: Node | None, axes: tuple[int, ...], epsilon: float
) -> tuple[Node, Node, Node]:
    """Returns the normalised tensor, its mean, and one over its deviation."""
    mean = ReduceMean(axes, True)(x)
    distance = Sub()(x, mean)
    deviation = root_mean_square(distance, axes, epsilon)
    result = Mul()(Div()(distance, deviation), scale)
    result = result if bias is None else Add()(result, bias)
    return result, mean, Div()(literal(1.0, x.type.dtype), deviation)


def root_mean_square(x: Node, axes: tuple[int, ...], epsilon: float) -> Node:
    """Returns the root of the mean square over axes, which stay with size 1."""
    square = ReduceMean(axes, True)(Mul()(x, x))
    return Sqrt()(Add()(square, literal(epsilon, x.type.dtype)))


@reads("LRN")
def _read_local_response(call: Call) -> Node:
    """Each element over the squares of its neighbours among the channels (Krizhevsky, 2012)."""
    x, size = call.tensor(0), call.get("size", 1)
    dtype, channels = x.type.dtype, int_size(x.type.shape[1])
    if size < 1:
        raise ForeignError(f"attribute 'size' is {size}")
    before, after = (min(way, channels - 1) for way in ((size - 1) // 2, size // 2))
    around = ((0, 0), (before, after), *[(0, 0)] * (x.type.rank - 2))
    squares = Pad(around)(Mul()(x, x))
    firsts = range(before + after + 1)
    windows = [slice_axis(squares, 1, first, first + channels) for first in firsts]
    total = functools.reduce(Add(), windows)
    share = literal(call.get("alpha", 1e-4) / size, dtype)
    base = Add()(literal(call.get("bias", 1.0), dtype), Mul()(share, total))
    return Div()(x, Pow()(base, literal(call.get("beta", 0.75), dtype)))


@reads("LpNormalization")
def _read_lp_normalization(call: Call) -> Node:
    """Elements over their norm along an axis; where that is zero, zeros."""
    x, axes = call.tensor(0), (call.get("axis", -1),)
    power = call.get("p", 2)
    if power not in (1, 2):
        raise ForeignError(f"attribute 'p' is {power}")
    norm = (ReduceL1 if power == 1 else ReduceL2)(axes, True)(x)
    zero = literal(0.0, x.type.dtype)
    empty = Equal()(norm, zero)
    return Where()(empty, zero, Div()(x, Where()(empty, literal(1.0, x.type.dtype), norm)))
