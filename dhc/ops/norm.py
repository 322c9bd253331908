"""Normalisation."""

from __future__ import annotations

from collections.abc import Sequence

from dhc.ir.graph import Initializer, Node, literal
from dhc.ir.number import canonical
from dhc.ir.types import DType, Tensor
from dhc.ops.base import Composite, LayerContext, Onnx, TypeRuleError, layer, op
from dhc.ops.conv import int_size
from dhc.ops.elementwise import Add, Div, Mul, Sqrt, Sub
from dhc.ops.foreign import Call, ForeignError
from dhc.ops.outward import Outward, Term
from dhc.ops.phrase import Phrase, plain_phrase, weights_of
from dhc.ops.rules import require_least
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Reshape


@op("batchnorm", onnx=Onnx("BatchNormalization", since=15))
class BatchNorm(Composite):
    """(x - mean) / sqrt(variance + epsilon) * scale + shift for each channel (arXiv:1502.03167).

    x is [N, C, ...]; scale, shift, mean and variance are [C].

    Attributes:
        epsilon: What is added to the variance.
        momentum: The share of each batch in the running statistics; training uses it.
    """

    epsilon: float = 1e-5
    momentum: float = 0.1

    @classmethod
    def from_onnx(cls, call: Call) -> Node | tuple[Node, ...]:
        if call.get("training_mode", 0):
            from dhc.ops.norm_train import foreign_training

            return foreign_training(call)
        call.must("spatial", 1)
        call.get("is_test", 1)
        if any(call.results[1:]):
            raise ForeignError("new statistics are wanted, as in training")
        kept = call.get("momentum", 0.9)  # the share of the old statistics, which is no use here
        momentum = float(canonical(1 - kept, DType.F32))
        return cls(call.get("epsilon", 1e-5), momentum)(*call.tensors)

    def expand(self, x: Node, scale: Node, shift: Node, mean: Node, variance: Node) -> Node:
        dtype = x.type.dtype
        factor = Div()(scale, Sqrt()(Add()(variance, literal(self.epsilon, dtype))))
        offset = Sub()(shift, Mul()(mean, factor))
        return Add()(Mul()(x, per_channel(factor, x)), per_channel(offset, x))

    def phrase(self, x: Node, scale: Node, shift: Node, mean: Node, variance: Node) -> Phrase:
        weights = weights_of(scale=scale, bias=shift, mean=mean, variance=variance)
        plain = plain_phrase(self, (x, scale, shift, mean, variance))
        return plain if weights is None else Phrase(self.name, (x,), plain.attributes, weights)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        kept = 1 - self.momentum
        return out.node("BatchNormalization", inputs, result, epsilon=self.epsilon, momentum=kept)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        four = ["f32[3]"] * 4
        ranges = ((-2.0, 2.0), (0.5, 2.0), (-1.0, 1.0), (-1.0, 1.0), (0.2, 2.0))
        return [sample(cls(), "f32[2, 3, 4, 5]", *four, ranges=ranges)]


@layer("batchnorm")
def batchnorm(context: LayerContext, x: Node, epsilon: float = 1e-5, momentum: float = 0.1) -> Node:
    """Batch normalisation over axis C; keeps running statistics."""
    if x.type.rank < 2:
        raise TypeRuleError(f"'batchnorm' needs an input [N, C, ...], not {x.type}.", 0)
    shape = (int_size(x.type.shape[1]),)
    one = Initializer(value=1.0)
    scale, shift = context.param("scale", shape, one), context.param("bias", shape, Initializer())
    mean = context.param("mean", shape, Initializer(), trainable=False)
    variance = context.param("variance", shape, one, trainable=False)
    require_least("batchnorm", "epsilon", epsilon, 0)
    return BatchNorm(epsilon, momentum)(x, scale, shift, mean, variance)


def per_channel(values: Node, x: Node) -> Node:
    """Returns [C] in a form that broadcasts against x [N, C, ...]."""
    return Reshape((x.type.shape[1], *[1] * (x.type.rank - 2)))(values)
