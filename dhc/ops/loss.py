"""Losses: how far a prediction is from the truth.

A loss is a tensor with one number for each sample, or for each of its elements, whose mean is
minimised; or, where the mean has weights, a scalar that is that mean already.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from dhc.ir.graph import Node, literal
from dhc.ir.scalar import Scalar, cast, exp, lift, log, maximum, select
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Array,
    Composite,
    Elementwise,
    Index,
    Onnx,
    Operand,
    OperatorKind,
    Structured,
    TypeRuleError,
    op,
    require_elements,
)
from dhc.ops.collective import BatchMean
from dhc.ops.compare import And, Equal, GreaterEqual, Less, LessEqual, NotEqual, Or
from dhc.ops.conv import int_size
from dhc.ops.elementwise import Add, Cast, Mul, Neg, Where
from dhc.ops.foreign import Call
from dhc.ops.movement import slice_axis
from dhc.ops.outward import Outward, Term
from dhc.ops.outward_elements import write_elements
from dhc.ops.reduce import ReduceSum
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Permute, Reshape, joined
from dhc.ops.softmax import LogSoftmax


@op("one_hot", onnx=Onnx("OneHot", since=11))
class OneHot(Structured):
    """Class numbers [N, ...] as 1 at their own place along a new axis 1, and 0 elsewhere.

    A number that is no class, such as -1, gives zeros.

    Attributes:
        classes: The size of the new axis.
        dtype: The type of the result's elements.
    """

    classes: int
    dtype: DType = DType.F32

    kind: ClassVar[OperatorKind] = "movement"
    inlines_producers: ClassVar[bool] = True

    def infer(self, number: Tensor) -> Tensor:
        if number.rank < 1 or not number.dtype.is_integer:
            raise TypeRuleError(f"'{self.name}' needs class numbers [N, ...], not {number}.", 0)
        return Tensor(self.dtype, (number.shape[0], self.classes, *number.shape[1:]))

    def element(self, out: Tensor, index: Index, number: Operand) -> Scalar:
        own = number[(index[0], *index[2:])]
        return select(cast(own, DType.I64).equals(index[1]), lift(1, self.dtype), 0)

    def numpy(self, number: Array) -> Array:
        classes = np.arange(self.classes).reshape(-1, *[1] * (number.ndim - 1))
        return np.asarray(number[:, None] == classes).astype(self.dtype.numpy)

    def grad(self, upstream: Node, output: Node, number: Node) -> tuple[Node | None, ...]:
        return (None,)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        """The new axis may be any, and 0 and 1 any other values; negative numbers count back."""
        indices, classes = call.tensor(0), int(call.numbers(1).reshape(-1)[0])
        values = call.tensor(2)
        number = indices if indices.type.dtype.is_integer else Cast(DType.I64)(indices)
        zero = literal(0, number.type.dtype)
        back = Add()(number, literal(classes, number.type.dtype))
        place = Where()(Less()(number, zero), back, number)
        flat = Reshape((1, math.prod(number.type.shape)))(place)
        last = Permute((0, 2, 1))(cls(classes, DType.BOOL)(flat))
        spread = Reshape((*number.type.shape, classes))(last)
        rank = number.type.rank
        axis = call.get("axis", -1) % (rank + 1)
        order = (*range(axis), rank, *range(axis, rank))
        off, on = (Reshape(())(slice_axis(values, 0, k, k + 1)) for k in range(2))
        return Where()(Permute(order)(spread), on, off)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return write_elements(out, self, result, *inputs)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            sample(cls(4), "i64[3]", ranges=((-1, 4),)),
            sample(cls(3), "u8[2, 2, 3]", ranges=((0, 3),)),
        ]


@op("cross_entropy")
class CrossEntropy(Composite):
    """The negative logarithm of the probability that the softmax of logits gives the truth.

    Logits are [N, C, ...]; the truth is class numbers [N, ...], or probabilities [N, C, ...]. The
    result is [N, ...]; with weights or a number to ignore it is the weighted mean, a scalar. Where
    a number is no class and not to be ignored, the loss is NaN, so that training stops there.

    Attributes:
        weights: One for each class; all the same if empty. The mean divides by their sum.
        label_smoothing: The share of the truth that is spread evenly (arXiv:1512.00567).
        ignore_index: Class numbers that do not count.
    """

    weights: tuple[float, ...] = ()
    label_smoothing: float = 0.0
    ignore_index: int | None = None

    def expand(self, logits: Node, truth: Node) -> Node:
        require_elements(self.name, "float", (logits.type,))
        classes = self._classes(logits, truth)
        by_number = truth.type.dtype.is_integer
        if by_number:
            truth = Cast(DType.I64)(truth)  # where all numbers fit that it is compared with
        target = OneHot(classes, logits.type.dtype)(truth) if by_number else truth
        weight = self._weight(target, truth) if by_number else None
        spread = self._smoothed(target, classes)
        if self.weights:
            spread = Mul()(spread, _vector(self.weights, logits))
        loss = Neg()(ReduceSum((1,))(Mul()(spread, LogSoftmax(1)(logits))))
        if by_number:
            nothing = literal(math.nan, loss.type.dtype)
            loss = Where()(self._has_meaning(truth, classes), loss, nothing)
        if weight is None:
            return BatchMean()(loss) if self.weights else loss
        counted = self._counted(truth, logits.type.dtype)
        return BatchMean()(loss if counted is None else Mul()(loss, counted), weight)

    def _classes(self, logits: Node, truth: Node) -> int:
        shape = logits.type.shape
        wanted = (shape[0], *shape[2:]) if truth.type.dtype.is_integer else shape
        if logits.type.rank < 2 or truth.type.shape != wanted:
            text = f"'{self.name}' of {logits.type} cannot take the truth {truth.type}."
            raise TypeRuleError(text, 1)
        classes = int_size(shape[1])
        if self.weights and len(self.weights) != classes:
            text = f"'{self.name}' has {len(self.weights)} weights for {classes} classes."
            raise TypeRuleError(text, 0)
        return classes

    def _smoothed(self, target: Node, classes: int) -> Node:
        if not self.label_smoothing:
            return target
        dtype, share = target.type.dtype, self.label_smoothing
        kept = Mul()(target, literal(1 - share, dtype))
        return Add()(kept, literal(share / classes, dtype))

    def _weight(self, target: Node, truth: Node) -> Node | None:
        """What each place counts for in the mean; None where all count the same."""
        counted = self._counted(truth, target.type.dtype)
        if not self.weights:
            return counted
        own = ReduceSum((1,))(Mul()(target, _vector(self.weights, target)))
        return own if counted is None else Mul()(own, counted)

    def _has_meaning(self, truth: Node, classes: int) -> Node:
        """Whether a number is a class, or to be ignored."""
        first, last = literal(0, DType.I64), literal(classes - 1, DType.I64)
        known = And()(GreaterEqual()(truth, first), LessEqual()(truth, last))
        if self.ignore_index is None:
            return known
        return Or()(known, Equal()(truth, literal(self.ignore_index, DType.I64)))

    def _counted(self, truth: Node, dtype: DType) -> Node | None:
        if self.ignore_index is None:
            return None
        return Cast(dtype)(NotEqual()(truth, literal(self.ignore_index, truth.type.dtype)))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        numbers = ((-2.0, 2.0), (0, 2))
        weighted = cls((0.5, 2.0, 1.0), 0.1, 1)
        return [
            sample(cls(), "f32[4, 3]", "i64[4]", ranges=numbers),
            sample(cls(), "f32[2, 3, 2, 2]", "f32[2, 3, 2, 2]", ranges=((-2.0, 2.0), (0.1, 0.9))),
            sample(weighted, "f32[2, 3, 4]", "i64[2, 4]", ranges=numbers),
        ]


def _vector(values: tuple[float, ...], like: Node) -> Node:
    """A number for each class, in a form that broadcasts against [N, C, ...]."""
    rank = like.type.rank
    ones = [Reshape((1,) * rank)(literal(value, like.type.dtype)) for value in values]
    return joined(ones, 1)


@op("binary_cross_entropy")
class BinaryCrossEntropy(Elementwise):
    """The negative logarithm of the probability of the truth, 0 or 1 or between; stable.

    Attributes:
        prediction: Whether the prediction is logits or probabilities.
        pos_weight: What the truth 1 counts for, where 0 counts for 1.
    """

    prediction: Literal["logits", "probabilities"] = "logits"
    pos_weight: float = 1.0

    def scalar(self, p: Scalar, t: Scalar) -> Scalar:
        if self.prediction == "probabilities":
            tiny = 1e-12 if p.dtype is DType.F64 else 1e-7
            yes, no = log(maximum(p, tiny)), log(maximum(1 - p, tiny))
            return -(t * yes * self.pos_weight + (1 - t) * no)
        # log(1 + exp(-p)), which has no kink where a network begins: at 0
        soft = 0.5 * (abs(p) - p) + log(1 + exp(-abs(p)))
        return (1 - t) * p + (1 + (self.pos_weight - 1) * t) * soft

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        both = ("f32[3, 4]", "f32[3, 4]")
        return [
            sample(cls(), *both, ranges=((-3.0, 3.0), (0.0, 1.0))),
            sample(cls(pos_weight=3.0), *both, ranges=((-3.0, 3.0), (0.0, 1.0))),
            sample(cls("probabilities", 2.0), *both, ranges=((0.1, 0.9), (0.0, 1.0))),
        ]


@op("mse")
class SquaredError(Elementwise):
    """(p - t)^2."""

    def scalar(self, p: Scalar, t: Scalar) -> Scalar:
        return (p - t) * (p - t)


@op("mae")
class AbsoluteError(Elementwise):
    """|p - t|."""

    def scalar(self, p: Scalar, t: Scalar) -> Scalar:
        return abs(p - t)


@op("huber")
class Huber(Elementwise):
    """Half the squared error up to `delta`, and beyond it as steep as there (Huber, 1964)."""

    delta: float = 1.0

    def scalar(self, p: Scalar, t: Scalar) -> Scalar:
        far = abs(p - t)
        near = far * far * 0.5
        return select(far <= self.delta, near, (far - 0.5 * self.delta) * self.delta)


@op("hinge")
class Hinge(Elementwise):
    """max(0, 1 - s * p), where s is 1 for the truth 1 and -1 for the truth 0."""

    def scalar(self, p: Scalar, t: Scalar) -> Scalar:
        return maximum(1 - (2 * t - 1) * p, 0)
