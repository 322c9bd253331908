"""Batch normalisation while training: statistics of the batch, and their gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from dhc.ir.graph import Node, literal
from dhc.ir.size import Size
from dhc.ir.types import DType
from dhc.ops.base import Composite, op
from dhc.ops.collective import AllReduce
from dhc.ops.compare import Greater
from dhc.ops.elementwise import Add, Cast, Div, Mul, Sqrt, Sub, Where
from dhc.ops.foreign import Call
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
        across: Whether the batch is that of all ranks.
    """

    untold: ClassVar[str] = "training alone needs it"

    epsilon: float = 1e-5
    across: bool = False

    def expand(self, x: Node, scale: Node, shift: Node) -> Node:
        """The mean is taken off first: a product with it would lose digits."""
        distance = Sub()(x, per_channel(channel_mean(x, self.across), x))
        factor = Mul()(scale, self._inverse_deviation(x))
        return Add()(Mul()(distance, per_channel(factor, x)), per_channel(shift, x))

    def grad(
        self, upstream: Node, output: Node, x: Node, scale: Node, shift: Node
    ) -> tuple[Node | None, ...]:
        """The gradient through the statistics too.

        With z = (x - mean) / deviation and means over the elements of a channel,
        dx = scale / deviation * (up - mean(up) - z * mean(up * z)). The means are those of the
        batch; the gradients of scale and shift are sums over the rank's own part of it.
        """
        inverse = self._inverse_deviation(x)
        distance = Sub()(x, per_channel(channel_mean(x, self.across), x))
        of_shift = channel_sum(upstream)
        of_scale = Mul()(channel_sum(Mul()(upstream, distance)), inverse)
        count = channel_count(x, self.across)
        lean = Div()(Mul()(_total(of_scale, self.across), inverse), count)
        centred = Sub()(upstream, per_channel(Div()(_total(of_shift, self.across), count), x))
        rest = Sub()(centred, Mul()(distance, per_channel(lean, x)))
        return Mul()(rest, per_channel(Mul()(scale, inverse), x)), of_scale, of_shift

    def _inverse_deviation(self, x: Node) -> Node:
        """1 / sqrt(variance + epsilon) of each channel."""
        dtype = x.type.dtype
        variance = channel_variance(x, channel_mean(x, self.across), self.across)
        shifted = Add()(variance, literal(self.epsilon, dtype))
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


def channel_count(x: Node, across: bool = False) -> Node:
    """Returns how many elements a channel has, as a scalar of x's element type.

    Args:
        x: [N, C, ...].
        across: Whether those of all ranks count.
    """
    return _total(SizeValue(_count(x), x.type.dtype)(), across)


def channel_mean(x: Node, across: bool = False) -> Node:
    """Returns the mean of each channel of [N, C, ...], as [C]."""
    return Div()(_total(channel_sum(x), across), channel_count(x, across))


def channel_variance(x: Node, mean: Node, across: bool = False) -> Node:
    """Returns the mean square of each channel's distance from its mean, as [C]."""
    distance = Sub()(x, per_channel(mean, x))
    total = _total(channel_sum(Mul()(distance, distance)), across)
    return Div()(total, channel_count(x, across))


def unbiased(variance: Node, x: Node, across: bool = False) -> Node:
    """Returns a channel's variance divided by n - 1 in place of n, as running statistics keep it.

    With one element there is no such variance; the biased one stands in for it.
    """
    dtype = x.type.dtype
    if across:
        count, one = channel_count(x, across), literal(1.0, dtype)
        larger = Div()(count, Sub()(count, one))
        return Mul()(variance, Where()(Greater()(count, one), larger, one))
    size = _count(x)
    if size == 1:
        return variance
    return Mul()(variance, Div()(_value(size, dtype), _value(size - 1, dtype)))


def _total(own: Node, across: bool) -> Node:
    return AllReduce()(own) if across else own


def _count(x: Node) -> Size:
    return math.prod((x.type.shape[0], *x.type.shape[2:]))


def _value(size: Size, dtype: DType) -> Node:
    return SizeValue(size, dtype)()


def foreign_training(call: Call) -> tuple[Node, ...]:
    """Returns what a node of ONNX gives in training: the result, and the new mean and variance."""
    x, scale, shift, mean, variance = call.tensors
    kept = call.get("momentum", 0.9)
    of_batch = channel_mean(x)
    return (
        BatchNormTrain(call.get("epsilon", 1e-5))(x, scale, shift),
        _moved(mean, of_batch, kept),
        _moved(variance, channel_variance(x, of_batch), kept),
    )


def _moved(old: Node, new: Node, kept: float) -> Node:
    """A running statistic after a batch: so much of the old one is kept."""
    dtype = old.type.dtype
    new = Cast(dtype)(new) if new.type.dtype is not dtype else new
    return Add()(Mul()(old, literal(kept, dtype)), Mul()(new, literal(1 - kept, dtype)))
