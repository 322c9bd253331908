"""Numbers that say where elements lie."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.scalar import Scalar, cast, select
from dhc.ir.scalar import index as to_index
from dhc.ir.size import Size, static
from dhc.ir.types import DType, Tensor
from dhc.ops.base import Array, Index, Operand, TypeRuleError, op, size_scalar
from dhc.ops.lookup import from_front, require_integers
from dhc.ops.movement import Movement
from dhc.ops.outward import Outward, Term
from dhc.ops.outward_elements import write_elements
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import unflatten


@op("count_up")
class CountUp(Movement):
    """The numbers 0, 1, ... size - 1; i64."""

    size: Size

    def infer(self) -> Tensor:
        return Tensor(DType.I64, (self.size,))

    def element(self, out: Tensor, index: Index) -> Scalar:
        return index[0]

    def numpy(self) -> Array:
        return np.arange(static((self.size,))[0], dtype=np.int64)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return write_elements(out, self, result, *inputs)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(5))]


@op("flat_places")
class FlatPlaces(Movement):
    """The row-major number of the element that an index [..., k] names among `sizes`; i64.

    Negative numbers count from the end of their axis. An index that names nothing has the number
    behind the last one.
    """

    sizes: tuple[Size, ...]

    def infer(self, indices: Tensor) -> Tensor:
        require_integers(self.name, indices)
        if indices.rank < 1 or indices.shape[-1] != len(self.sizes):
            count = len(self.sizes)
            raise TypeRuleError(f"'{self.name}' needs {count} numbers in a row of {indices}.", 0)
        return Tensor(DType.I64, indices.shape[:-1])

    def element(self, out: Tensor, index: Index, indices: Operand) -> Scalar:
        place, inside = to_index(0), to_index(0).equals(0)
        for number, size in enumerate(self.sizes):
            own = from_front(indices[(*index, to_index(number))], size)
            inside = inside & (own >= 0) & (own < size_scalar(size))
            place = place * size_scalar(size) + own
        return select(inside, place, size_scalar(math.prod(self.sizes)))

    def numpy(self, indices: Array) -> Array:
        sizes = static(self.sizes)
        wide = indices.astype(np.int64)
        own = np.where(wide < 0, wide + np.array(sizes, np.int64), wide)
        inside = ((own >= 0) & (own < np.array(sizes, np.int64))).all(axis=-1)
        steps = np.array([math.prod(sizes[k + 1 :]) for k in range(len(sizes))], np.int64)
        return np.where(inside, (own * steps).sum(axis=-1), math.prod(sizes))

    def grad(self, upstream: Node, output: Node, indices: Node) -> tuple[Node | None, ...]:
        return (None,)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return write_elements(out, self, result, *inputs)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            sample(cls((3, 4)), "i64[2, 5, 2]", ranges=((-5, 4),)),
            sample(cls((6,)), "i32[4, 1]", ranges=((-7, 6),)),
        ]


@op("unravel")
class Unravel(Movement):
    """The index [..., k] among `sizes` of the element with a row-major number; i64."""

    sizes: tuple[Size, ...]

    def infer(self, places: Tensor) -> Tensor:
        require_integers(self.name, places)
        return Tensor(DType.I64, (*places.shape, len(self.sizes)))

    def element(self, out: Tensor, index: Index, places: Operand) -> Scalar:
        parts = unflatten(cast(places[index[:-1]], DType.I64), self.sizes)
        found = parts[-1]
        for number in reversed(range(len(parts) - 1)):
            found = select(index[-1].equals(number), parts[number], found)
        return found

    def numpy(self, places: Array) -> Array:
        parts, rest = [], places.astype(np.int64)
        sizes = static(self.sizes)
        for axis in reversed(range(len(sizes))):
            size = sizes[axis]
            parts.append(rest % size if axis else rest)
            rest = rest // size
        return np.stack(parts[::-1], axis=-1)

    def grad(self, upstream: Node, output: Node, places: Node) -> tuple[Node | None, ...]:
        return (None,)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return write_elements(out, self, result, *inputs)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((0, 23),)
        return [
            sample(cls((4, 3, 2)), "i64[5]", ranges=ranges),
            sample(cls((24,)), "i32[2, 3]", ranges=ranges),
        ]
