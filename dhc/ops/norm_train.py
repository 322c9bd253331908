"""Batch normalisation while training: statistics of the batch, and their gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dhc.ir.graph import Node, literal
from dhc.ir.size import Size
from dhc.ir.types import DType
from dhc.ops.base import Composite, op
from dhc.ops.elementwise import Add, Div, Mul, Sqrt, Sub
from dhc.ops.movement import SizeValue
from dhc.ops.norm import per_channel
from dhc.ops.reduce import ReduceSum
from dhc.ops.sample import Sample, sample


@op("batchnorm_train")
class BatchNormTrain(Composite):
    """Batch normalisation with the mean and variance of the batch itself (arXiv:1502.03167).

    x is [N, C, ...]; scale and shift are [C]. The variance is divided by n, not by n - 1.

    Attributes:
        epsilon: What is added to the variance.
    """

    epsilon: float = 1e-5

    def expand(self, x: Node, scale: Node, shift: Node) -> Node:
        """The mean is taken off first: a product with it would lose digits."""
        distance = Sub()(x, per_channel(channel_mean(x), x))
        factor = Mul()(scale, self._inverse_deviation(x))
        return Add()(Mul()(distance, per_channel(factor, x)), per_channel(shift, x))

    def grad(
        self, upstream: Node, output: Node, x: Node, scale: Node, shift: Node
    ) -> tuple[Node | None, ...]:
        """The gradient through the statistics too.

        With z = (x - mean) / deviation and means over the elements of a channel,
        dx = scale / deviation * (up - mean(up) - z * mean(up * z)).
        """
        inverse = self._inverse_deviation(x)
        distance = Sub()(x, per_channel(channel_mean(x), x))
        of_shift = channel_sum(upstream)
        of_scale = Mul()(channel_sum(Mul()(upstream, distance)), inverse)
        count = channel_count(x)
        lean = Div()(Mul()(of_scale, inverse), count)
        centred = Sub()(upstream, per_channel(Div()(of_shift, count), x))
        rest = Sub()(centred, Mul()(distance, per_channel(lean, x)))
        return Mul()(rest, per_channel(Mul()(scale, inverse), x)), of_scale, of_shift

    def _inverse_deviation(self, x: Node) -> Node:
        """1 / sqrt(variance + epsilon) of each channel."""
        dtype = x.type.dtype
        shifted = Add()(channel_variance(x, channel_mean(x)), literal(self.epsilon, dtype))
        return Div()(literal(1.0, dtype), Sqrt()(shifted))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((-2.0, 2.0), (0.5, 2.0), (-1.0, 1.0))
        return [
            sample(cls(), "f32[2, 3, 4, 5]", "f32[3]", "f32[3]", ranges=ranges),
            sample(cls(1e-3), "f32[6, 4]", "f32[4]", "f32[4]", ranges=ranges),
        ]


def channel_sum(x: Node) -> Node:
    """Returns the sum of each channel of [N, C, ...], as [C]."""
    return ReduceSum((0, *range(2, x.type.rank)))(x)


def channel_count(x: Node) -> Node:
    """Returns how many elements a channel has, as a scalar of x's element type."""
    return SizeValue(_count(x), x.type.dtype)()


def channel_mean(x: Node) -> Node:
    """Returns the mean of each channel of [N, C, ...], as [C]."""
    return Div()(channel_sum(x), channel_count(x))


def channel_variance(x: Node, mean: Node) -> Node:
    """Returns the mean square of each channel's distance from its mean, as [C]."""
    distance = Sub()(x, per_channel(mean, x))
    return Div()(channel_sum(Mul()(distance, distance)), channel_count(x))


def unbiased(variance: Node, x: Node) -> Node:
    """Returns a channel's variance divided by n - 1 in place of n, as running statistics keep it.

    With one element there is no such variance; the biased one stands in for it.
    """
    count = _count(x)
    if count == 1:
        return variance
    dtype = x.type.dtype
    return Mul()(variance, Div()(_value(count, dtype), _value(count - 1, dtype)))


def _count(x: Node) -> Size:
    return math.prod((x.type.shape[0], *x.type.shape[2:]))


def _value(size: Size, dtype: DType) -> Node:
    return SizeValue(size, dtype)()
