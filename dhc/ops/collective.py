"""Operators over the whole batch of all ranks.

Each rank has a part of every batch. A tensor is either *shared*, the same on all ranks, or one of
which each rank has its own. `AllReduce` makes the first of the second, `Shared` marks where the
second begins to depend on the first; each is the gradient of the other. Before a step is compiled
its sums are put together in buckets, which start and end in nodes of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.size import Size, static
from dhc.ir.types import Tensor
from dhc.ops.base import (
    Array,
    Composite,
    OperatorKind,
    Structured,
    TypeRuleError,
    op,
    require_elements,
    require_same_dtype,
)
from dhc.ops.elementwise import Div
from dhc.ops.movement import SizeValue
from dhc.ops.reduce import ReduceMean, ReduceSum
from dhc.ops.sample import Sample, sample


@op("batch_mean")
class BatchMean(Composite):
    """The mean of all elements of the batch, a scalar: of each rank's part together.

    With a second tensor it is a weighted mean, sum(x) / sum(weight), where x has been multiplied
    by its weights already; the two may differ in shape.

    Attributes:
        across: Whether other ranks have parts of the batch too.
    """

    across: bool = False

    def expand(self, x: Node, *weight: Node) -> Node:
        require_elements(self.name, "float", tuple(node.type for node in (x, *weight)))
        if not weight and not self.across:
            return ReduceMean()(x)
        return Div()(_total(x, self.across), self.weight(x, *weight))

    def weight(self, x: Node, *weight: Node) -> Node:
        """Returns by what the sum is divided."""
        if weight:
            return _total(weight[0], self.across)
        count = SizeValue(math.prod(x.type.shape), x.type.dtype)()
        return AllReduce()(count) if self.across else count

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            sample(cls(), "f32[2, 3, 4]"),
            sample(cls(), "f32[3, 2]", "f32[3]", ranges=((-2.0, 2.0), (0.5, 1.5))),
        ]


def _total(x: Node, across: bool) -> Node:
    own = ReduceSum()(x)
    return AllReduce()(own) if across else own


# ---- what a step is written with -------------------------------------------------------------


@dataclass(frozen=True)
class _Passed(Structured):
    """The base of what leaves a tensor as it is where there is one rank."""

    untold: ClassVar[str] = "it is for several processes together"

    kind: ClassVar[OperatorKind] = "opaque"

    def infer(self, x: Tensor) -> Tensor:
        require_elements(self.name, "float", (x,))
        return x

    def numpy(self, x: Array) -> Array:
        return x


@op("all_reduce")
class AllReduce(_Passed):
    """The sum over all ranks; the result is shared."""

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        """What is shared has the whole gradient on each rank, and so has each part of the sum."""
        return (upstream,)


@op("shared")
class Shared(_Passed):
    """A shared tensor where each rank goes on to compute values of its own from it."""

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        return (AllReduce()(upstream),)


# ---- what is compiled ------------------------------------------------------------------------


@op("all_reduce_start")
class AllReduceStart(Structured):
    """Begins to sum a bucket of tensors over all ranks: one after another in one memory.

    Attributes:
        number: All ranks begin their buckets in the order of these numbers.
    """

    untold: ClassVar[str] = "it is for several processes together"

    number: int

    kind: ClassVar[OperatorKind] = "opaque"

    def infer(self, *parts: Tensor) -> Tensor:
        require_elements(self.name, "float", parts)
        require_same_dtype(self.name, parts)
        return Tensor(parts[0].dtype, (sum(math.prod(part.static_shape) for part in parts),))

    def numpy(self, *parts: Array) -> Array:
        return np.concatenate([part.reshape(-1) for part in parts])


@op("all_reduce_wait")
class AllReduceWait(_Passed):
    """The sum that a start of the same number began, in the same memory."""

    number: int


@op("bucket_part")
class BucketPart(Structured):
    """A tensor in a bucket, where it lies.

    Attributes:
        start: Elements of the bucket before it.
        shape: Its shape.
    """

    untold: ClassVar[str] = "it is for several processes together"

    start: int
    shape: tuple[Size, ...]

    kind: ClassVar[OperatorKind] = "opaque"

    def infer(self, bucket: Tensor) -> Tensor:
        if bucket.rank != 1 or self.start + math.prod(static(self.shape)) > bucket.static_shape[0]:
            raise TypeRuleError(f"'{self.name}' lies outside of {bucket}.", 0)
        return bucket.with_shape(self.shape)

    def numpy(self, bucket: Array) -> Array:
        shape = static(self.shape)
        return bucket[self.start : self.start + math.prod(shape)].reshape(shape)
