"""Lookup of elements by indices that are values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dhc.ir.graph import Node, literal
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
from dhc.ops.compare import And, GreaterEqual, Less
from dhc.ops.elementwise import Neg, Where
from dhc.ops.foreign import Call, Known
from dhc.ops.movement import Expand, Movement, slice_axis
from dhc.ops.outward import Outward, Term
from dhc.ops.sample import Sample, sample

SEARCHED = 64  # elements along an axis, each of which may look through all indices


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
        if count == 0:
            return np.zeros((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)
        taken = np.take(x, np.where(valid, indices, 0).astype(np.int64), axis=axis)
        trailing = (1,) * (x.ndim - axis - 1)
        return np.where(valid.reshape((*valid.shape, *trailing)), taken, x.dtype.type(0))

    def grad(self, upstream: Node, output: Node, x: Node, indices: Node) -> tuple[Node | None, ...]:
        from dhc.ops.lookup_grad import GatherGrad

        axis = self.axis % x.type.rank
        return GatherGrad(x.type.shape[axis], axis)(upstream, indices), None

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        """One known place is a slice."""
        from dhc.ops.shape import Reshape

        x, axis = call.tensor(0), call.get("axis", 0)
        place = call.value(1)
        axis = normalize_axis(cls.name, axis, x.type.rank)
        size = x.type.shape[axis]
        if not isinstance(place, Known) or place.array.ndim or place.has_names:
            return cls(axis)(x, call.tensor(1))
        number = int(place.array)
        if isinstance(size, int) and -size <= number < size:
            one = slice_axis(x, axis, number % size, number % size + 1)
            return Reshape((*x.type.shape[:axis], *x.type.shape[axis + 1 :]))(one)
        return cls(axis)(x, call.tensor(1))

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """ONNX has nothing for an entry that is not there: the first one is taken, then zeros."""
        x, indices = inputs
        axis = self.axis % x.type.rank
        safe, valid = write_safe(out, indices, x.shape[axis])
        found = out.node("Gather", (x, safe), result, axis=axis)
        behind = (1,) * (x.type.rank - axis - 1)
        return out.apply(
            Where(), out.reshape(valid, (*valid.shape, *behind)), found, zero_of(out, x)
        )

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
        if count == 0:
            return np.zeros(indices.shape, x.dtype)
        valid = (indices >= -count) & (indices < count)
        where = [slice(0, size) for size in indices.shape]
        where[self.axis] = slice(None)
        safe = np.where(valid, indices, 0).astype(np.int64)
        taken = np.take_along_axis(x[tuple(where)], safe, axis=self.axis)
        return np.where(valid, taken, x.dtype.type(0))

    def grad(self, upstream: Node, output: Node, x: Node, indices: Node) -> tuple[Node | None, ...]:
        """Along a long axis adding what comes is faster than searching for it."""
        from dhc.ops.lookup_grad import GatherElementsGrad
        from dhc.ops.scatter import ScatterElements

        size = x.type.shape[self.axis]
        if isinstance(size, int) and size <= SEARCHED:
            return GatherElementsGrad(x.type.shape, self.axis)(upstream, indices), None
        zeros = Expand(x.type.shape)(literal(0, x.type.dtype))
        return ScatterElements(self.axis, "add")(zeros, indices, upstream), None

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        return cls(call.get("axis", 0))(*call.tensors)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        x, indices = inputs
        safe, valid = write_safe(out, indices, x.shape[self.axis])
        found = out.node("GatherElements", (x, safe), result, axis=self.axis)
        return out.apply(Where(), valid, found, zero_of(out, x))

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


def write_safe(out: Outward, indices: Term, count: Size) -> tuple[Term, Term]:
    """Writes indices with 0 in place of those that are not there, and which ones are there."""
    places, whole = out.cast(indices, DType.I64), out.reshape(out.size(count), ())
    below = out.apply(Less(), places, whole)
    above = out.apply(GreaterEqual(), places, out.apply(Neg(), whole))
    valid = out.apply(And(), below, above)
    return out.apply(Where(), valid, places, out.number(0, DType.I64)), valid


def zero_of(out: Outward, x: Term) -> Term:
    """Writes the zero of a tensor's elements."""
    return out.number(0, x.dtype)
