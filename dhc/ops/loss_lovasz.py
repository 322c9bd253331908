"""The Lovász extension of the Jaccard loss (arXiv:1705.08790).

The loss of sorted errors is the sum of each error times what the Jaccard index loses when its
element becomes wrong too. These weights change only where errors change their order, so the loss is
a product of errors and weights whose gradient passes through the errors alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from dhc.ir.graph import Node, literal
from dhc.ir.kernel import Assign, Declare, For, Let, Statement, Store
from dhc.ir.scalar import Buffer, Load, Scalar, Var, cast, index, lift
from dhc.ir.types import DType, Tensor
from dhc.ops.base import Array, Composite, OperatorKind, Structured, TypeRuleError, op
from dhc.ops.movement import Expand
from dhc.ops.sample import Sample, sample
from dhc.ops.sort import ArgSort, row_count, rows_of


@op("lovasz_weights")
class LovaszWeights(Composite):
    """What each error along the last axis counts for in the Lovász extension.

    Errors are [..., P]; the truth is bool of the same shape: which elements belong to the class.
    """

    def expand(self, errors: Node, truth: Node) -> Node:
        return JaccardSteps(errors.type.dtype)(ArgSort(True)(errors), truth)

    def grad(
        self, upstream: Node, output: Node, errors: Node, truth: Node
    ) -> tuple[Node | None, ...]:
        return Expand(errors.type.shape)(literal(0.0, errors.type.dtype)), None

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[2, 3, 9]", "bool[2, 3, 9]"), sample(cls(), "f32[5]", "bool[5]")]


@op("jaccard_steps")
class JaccardSteps(Structured):
    """How much the Jaccard loss grows with each element that becomes wrong, in a given order.

    The order [..., P] holds numbers of elements, i64; each one's growth stands at its own place.

    Attributes:
        dtype: The type of the result's elements.
    """

    dtype: DType = DType.F32

    kind: ClassVar[OperatorKind] = "opaque"

    def infer(self, order: Tensor, truth: Tensor) -> Tensor:
        if order.dtype is not DType.I64 or order.rank < 1:
            raise TypeRuleError(f"'{self.name}' needs an order, not {order}.", 0)
        if truth.dtype is not DType.BOOL or truth.shape != order.shape:
            text = f"'{self.name}' needs a truth bool of the shape of {order}, not {truth}."
            raise TypeRuleError(text, 1, "write truth > 0.5")
        return order.with_dtype(self.dtype)

    def loops(self, out: Buffer, order: Buffer, truth: Buffer) -> tuple[Statement, ...]:
        row, lead = rows_of(out)
        count = index(out.shape[-1])
        i, k = Var("i", DType.I64), Var("k", DType.I64)
        total, right = Var("total", DType.I64), Var("right", DType.I64)
        before, after = Var("before", self.dtype), Var("after", self.dtype)
        element = Var("element", DType.I64)
        belongs = cast(Load(truth, (*lead, i)), DType.I64)
        found = cast(Load(truth, (*lead, element)), DType.I64)
        step: tuple[Statement, ...] = (
            Let(element, Load(order, (*lead, k))),
            Assign(right, right + found),
            Let(after, _jaccard_loss(total, right, k + 1, self.dtype)),
            Store(out, (*lead, element), after - before),
            Assign(before, after),
        )
        body: tuple[Statement, ...] = (
            Declare(total, index(0)),
            For(i, count, (Assign(total, total + belongs),)),
            Declare(right, index(0)),
            Declare(before, lift(0, self.dtype)),
            For(k, count, step),
        )
        return (For(row, row_count(out), body, "parallel"),)

    def numpy(self, order: Array, truth: Array) -> Array:
        sorted_truth = np.take_along_axis(truth, order, -1).astype(np.int64)
        right = np.cumsum(sorted_truth, -1)
        seen = np.arange(1, order.shape[-1] + 1)
        total = right[..., -1:]
        loss = 1 - (total - right) / (total + seen - right)
        result = np.zeros(order.shape, self.dtype.numpy)
        np.put_along_axis(result, order, np.diff(loss, axis=-1, prepend=0.0), -1)
        return result

    def grad(self, upstream: Node, output: Node, order: Node, truth: Node) -> tuple[None, None]:
        return None, None

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """One row is the only one whose random numbers are an order: all 0, of one element."""
        return [sample(cls(), "i64[2, 1]", "bool[2, 1]", ranges=((0, 0),))]


def _jaccard_loss(total: Scalar, right: Scalar, seen: Scalar, dtype: DType) -> Scalar:
    """Where `seen` elements are wrong, `right` of the class's `total` among them."""
    return 1 - cast(total - right, dtype) / cast(total + seen - right, dtype)
