"""Gradients of lookups by index: what was taken is added up where it came from.

Each element of a result searches the indices for its own number, and adds what it finds in their
order. So there is nothing that two threads could write at once, and the sum is the same each time;
the price is a pass over all indices of the axis for each element.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.scalar import Scalar, reduce_over, select
from dhc.ir.size import Shape, Size, static, unify
from dhc.ir.types import Tensor
from dhc.ops.base import (
    Array,
    Axis,
    Index,
    Operand,
    Structured,
    TypeRuleError,
    axis_variable,
    normalize_axis,
    op,
)
from dhc.ops.lookup import Gather, GatherElements, from_front, require_integers
from dhc.ops.sample import Sample, sample


@op("gather_grad")
class GatherGrad(Structured):
    """The transpose of `gather`: entries added up at their numbers along an axis of `size`.

    upstream is [*before, *indices, *after]; the result is [*before, size, *after]. Numbers count as
    in `gather`, and entries with numbers that are not there are dropped.
    """

    untold: ClassVar[str] = "training alone needs it"

    size: Size
    axis: Axis = 0

    def infer(self, upstream: Tensor, indices: Tensor) -> Tensor:
        require_integers(self.name, indices)
        rank = upstream.rank - indices.rank + 1
        if rank < 1:
            raise TypeRuleError(f"'{self.name}' has more indices {indices} than {upstream}.", 1)
        axis = normalize_axis(self.name, self.axis, rank)
        end = axis + indices.rank
        _require_index_for_each(self.name, upstream.shape[axis:end], indices)
        return upstream.with_shape((*upstream.shape[:axis], self.size, *upstream.shape[end:]))

    def element(self, out: Tensor, index: Index, upstream: Operand, indices: Operand) -> Scalar:
        axis = self.axis % out.rank
        places = tuple(axis_variable(f"p{i}", s) for i, s in enumerate(indices.type.shape))
        here = from_front(indices[places], self.size).equals(index[axis])
        entry = upstream[(*index[:axis], *places, *index[axis + 1 :])]
        return reduce_over("sum", places, select(here, entry, 0))

    def numpy(self, upstream: Array, indices: Array) -> Array:
        rank = upstream.ndim - indices.ndim + 1
        axis, (count,) = self.axis % rank, static((self.size,))
        before, after = upstream.shape[:axis], upstream.shape[axis + indices.ndim :]
        places, valid = _places(indices.ravel(), count)
        rows = (math.prod(before), indices.size, math.prod(after))
        entries = np.moveaxis(upstream.reshape(rows), 1, 0)
        total = np.zeros((count, rows[0], rows[2]), upstream.dtype)
        np.add.at(total, places[valid], entries[valid])
        return np.moveaxis(total, 0, 1).reshape((*before, count, *after))

    def grad(self, upstream: Node, output: Node, x: Node, indices: Node) -> tuple[Node | None, ...]:
        return Gather(self.axis % output.type.rank)(upstream, indices), None

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((-2.0, 2.0), (-4.0, 4.0))
        return [
            sample(cls(4, 1), "f32[2, 7, 3]", "i64[7]", ranges=ranges),
            sample(cls(4), "f32[2, 3, 3]", "i32[2, 3]", ranges=ranges),
            sample(cls(4, -1), "f32[2]", "i64[]", ranges=ranges),
        ]


@op("gather_elements_grad")
class GatherElementsGrad(Structured):
    """The transpose of `gather_elements`: elements added up at their numbers along an axis.

    upstream and indices have one shape. The result has the shape of what was gathered from, and
    elements with numbers that are not there are dropped.
    """

    untold: ClassVar[str] = "training alone needs it"

    shape: tuple[Size, ...]
    axis: Axis = -1

    def infer(self, upstream: Tensor, indices: Tensor) -> Tensor:
        require_integers(self.name, indices)
        normalize_axis(self.name, self.axis, upstream.rank)
        if len(self.shape) != upstream.rank:
            raise TypeRuleError(f"'{self.name}' needs {len(self.shape)} axes, not {upstream}.", 0)
        _require_index_for_each(self.name, upstream.shape, indices)
        return upstream.with_shape(self.shape)

    def element(self, out: Tensor, index: Index, upstream: Operand, indices: Operand) -> Scalar:
        axis = self.axis % out.rank
        place = axis_variable("p", indices.type.shape[axis])
        where = (*index[:axis], place, *index[axis + 1 :])
        here = from_front(indices.padded(where), self.shape[axis]).equals(index[axis])
        return reduce_over("sum", (place,), select(here, upstream.padded(where), 0))

    def numpy(self, upstream: Array, indices: Array) -> Array:
        axis, shape = self.axis % upstream.ndim, static(self.shape)
        result = np.zeros(shape, upstream.dtype)
        places, valid = _places(indices, shape[axis])
        where: list[Array] = [*np.indices(indices.shape)]
        where[axis] = places
        np.add.at(result, tuple(part[valid] for part in where), upstream[valid])
        return result

    def grad(self, upstream: Node, output: Node, x: Node, indices: Node) -> tuple[Node | None, ...]:
        return GatherElements(self.axis)(upstream, indices), None

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((-2.0, 2.0), (-5.0, 5.0))
        return [
            sample(cls((2, 5, 3), 1), "f32[2, 4, 2]", "i64[2, 4, 2]", ranges=ranges),
            sample(cls((3, 4)), "f32[3, 6]", "i32[3, 6]", ranges=ranges),
        ]


def _require_index_for_each(name: str, shape: Shape, indices: Tensor) -> None:
    if len(shape) != indices.rank or any(
        unify(a, b) is None for a, b in zip(shape, indices.shape, strict=True)
    ):
        raise TypeRuleError(f"'{name}' needs an index for each entry, not {indices}.", 1)


def _places(indices: Array, count: int) -> tuple[Array, Array]:
    """The numbers counted from the front, and which of them are there."""
    wide = indices.astype(np.int64)
    places = np.where(wide < 0, wide + count, wide)
    return places, (places >= 0) & (places < count)
