"""Lookup of elements by indices that are values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.scalar import Scalar, cast, select
from dhc.ir.size import Size
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Array,
    Axis,
    Index,
    Onnx,
    Operand,
    TypeRuleError,
    normalize_axis,
    op,
    size_scalar,
)
from dhc.ops.foreign import Call
from dhc.ops.movement import Movement
from dhc.ops.sample import Sample, sample


@op("gather", onnx=Onnx("Gather", since=13))
class Gather(Movement):
    """Entries of `x` along an axis, by their numbers; an entry that is not there has zeros.

    The axis is replaced by the axes of `indices`, whose negative numbers count from the end.
    """

    axis: Axis = 0

    def infer(self, x: Tensor, indices: Tensor) -> Tensor:
        axis = normalize_axis(self.name, self.axis, x.rank)
        require_integers(self.name, indices)
        return x.with_shape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))

    def element(self, out: Tensor, index: Index, x: Operand, indices: Operand) -> Scalar:
        axis = self.axis % x.type.rank
        end = axis + indices.type.rank
        entry = from_front(indices[index[axis:end]], x.type.shape[axis])
        return x.padded((*index[:axis], entry, *index[end:]))

    def numpy(self, x: Array, indices: Array) -> Array:
        count = x.shape[self.axis]
        valid = (indices >= -count) & (indices < count)
        axis = self.axis % x.ndim
        taken = np.take(x, np.where(valid, indices, 0).astype(np.int64), axis=axis)
        trailing = (1,) * (x.ndim - axis - 1)
        return np.where(valid.reshape((*valid.shape, *trailing)), taken, x.dtype.type(0))

    def grad(self, upstream: Node, output: Node, x: Node, indices: Node) -> tuple[Node | None, ...]:
        from dhc.ops.lookup_grad import GatherGrad

        axis = self.axis % x.type.rank
        return GatherGrad(x.type.shape[axis], axis)(upstream, indices), None

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((-2.0, 2.0), (-4.0, 4.0))
        return [
            sample(cls(1), "f32[2, 4, 3]", "i64[5]", ranges=ranges),
            sample(cls(0), "f32[4, 3]", "i32[2, 3]", ranges=ranges),
            sample(cls(-1), "f32[2, 4]", "i64[]", ranges=ranges),
        ]


@op("gather_elements", onnx=Onnx("GatherElements", since=13))
class GatherElements(Movement):
    """The element of `x` at each place, but with the number in `indices` along one axis."""

    axis: Axis = -1

    def infer(self, x: Tensor, indices: Tensor) -> Tensor:
        normalize_axis(self.name, self.axis, x.rank)
        require_integers(self.name, indices)
        if indices.rank != x.rank:
            raise TypeRuleError(f"'gather_elements' needs indices of {x.rank} axes.", 1)
        return x.with_shape(indices.shape)

    def element(self, out: Tensor, index: Index, x: Operand, indices: Operand) -> Scalar:
        axis = self.axis % x.type.rank
        entry = from_front(indices[index], x.type.shape[axis])
        return x.padded((*index[:axis], entry, *index[axis + 1 :]))

    def numpy(self, x: Array, indices: Array) -> Array:
        count = x.shape[self.axis]
        valid = (indices >= -count) & (indices < count)
        where = [slice(0, size) for size in indices.shape]
        where[self.axis] = slice(None)
        safe = np.where(valid, indices, 0).astype(np.int64)
        taken = np.take_along_axis(x[tuple(where)], safe, axis=self.axis)
        return np.where(valid, taken, x.dtype.type(0))

    def grad(self, upstream: Node, output: Node, x: Node, indices: Node) -> tuple[Node | None, ...]:
        from dhc.ops.lookup_grad import GatherElementsGrad

        return GatherElementsGrad(x.type.shape, self.axis)(upstream, indices), None

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        return cls(call.get("axis", 0))(*call.tensors)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((-2.0, 2.0), (-5.0, 5.0))
        return [sample(cls(1), "f32[2, 5, 3]", "i64[2, 4, 2]", ranges=ranges)]


def require_integers(name: str, indices: Tensor) -> None:
    """Refuses indices that are no whole numbers."""
    if not indices.dtype.is_integer:
        hint = "convert them with cast(...)"
        raise TypeRuleError(f"'{name}' needs whole numbers as indices, not {indices}.", 1, hint)


def from_front(entry: Scalar, count: Size) -> Scalar:
    """Returns a number that counts from the front, whichever end it counted from."""
    place = cast(entry, DType.I64)
    return select(place < 0, place + size_scalar(count), place) if entry.dtype.is_signed else place
