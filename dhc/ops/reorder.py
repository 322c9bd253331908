"""Elements of sequences in another order or at other places: for what ONNX does with sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from dhc.ir.graph import Node, literal
from dhc.ir.scalar import Scalar, cast, select
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Array,
    Index,
    Onnx,
    Operand,
    TypeRuleError,
    normalize_axis,
    op,
    size_scalar,
)
from dhc.ops.foreign import Call, ForeignError
from dhc.ops.lookup import require_integers
from dhc.ops.movement import Expand, Movement
from dhc.ops.outward import Outward, Term
from dhc.ops.outward_elements import write_elements
from dhc.ops.sample import Sample, sample


@op("reverse_sequence", onnx=Onnx("ReverseSequence", since=10))
class ReverseSequence(Movement):
    """The first elements of each sequence in the opposite order, as many as it is long.

    lengths is [size of the batch axis], from 0 to the size of the time axis.
    """

    batch_axis: int = 1
    time_axis: int = 0

    def infer(self, x: Tensor, lengths: Tensor) -> Tensor:
        require_integers(self.name, lengths)
        batch, time = self._axes(x.rank)
        if batch == time or lengths.rank != 1:
            raise TypeRuleError(f"'{self.name}' needs a length for each sequence of {x}.", 1)
        if lengths.shape[0] != x.shape[batch]:
            raise TypeRuleError(f"'{self.name}' needs {x.shape[batch]} lengths.", 1)
        return x

    def _axes(self, rank: int) -> tuple[int, int]:
        batch = normalize_axis(self.name, self.batch_axis, rank)
        return batch, normalize_axis(self.name, self.time_axis, rank)

    def element(self, out: Tensor, index: Index, x: Operand, lengths: Operand) -> Scalar:
        batch, time = self._axes(out.rank)
        length, place = cast(lengths[(index[batch],)], DType.I64), index[time]
        other = select(place < length, length - 1 - place, place)
        return x.padded((*index[:time], other, *index[time + 1 :]))

    def numpy(self, x: Array, lengths: Array) -> Array:
        batch, time = self._axes(x.ndim)
        moved = np.moveaxis(x, (batch, time), (0, 1))
        place = np.arange(moved.shape[1])
        length = lengths.astype(np.int64)[:, None]
        other = np.where(place < length, length - 1 - place, place)
        taken = moved[np.arange(len(lengths))[:, None], other]
        return np.moveaxis(taken, (0, 1), (batch, time))

    def grad(self, upstream: Node, output: Node, x: Node, lengths: Node) -> tuple[Node | None, ...]:
        return self(upstream, lengths), None

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """As a node where batch and time are the first two axes, as ONNX has it."""
        x, lengths = inputs
        batch, time = self._axes(x.type.rank)
        if {batch, time} != {0, 1}:
            return write_elements(out, self, result, *inputs)
        given = (x, out.cast(lengths, DType.I64))
        return out.node("ReverseSequence", given, result, batch_axis=batch, time_axis=time)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((-2.0, 2.0), (0.0, 4.0))
        return [
            sample(cls(), "f32[4, 3, 2]", "i64[3]", ranges=ranges),
            sample(cls(0, -1), "i32[2, 3, 4]", "i32[2]", ranges=ranges),
        ]


@op("write_sequences", onnx=Onnx("TensorScatter", since=24))
class WriteSequences(Movement):
    """Sequences [N, ..., T, ...] with new elements [N, ..., S, ...] from a place on; S <= T.

    starts is [N]. What would lie before or behind a sequence is dropped, or goes on at the other
    end where `mode` is circular.
    """

    axis: int = -2
    mode: Literal["linear", "circular"] = "linear"

    def infer(self, old: Tensor, new: Tensor, starts: Tensor) -> Tensor:
        axis = normalize_axis(self.name, self.axis, old.rank)
        require_integers(self.name, starts)
        sizes = [size for k, size in enumerate(old.shape) if k != axis]
        others = [size for k, size in enumerate(new.shape) if k != axis]
        if axis == 0 or sizes != others or new.dtype is not old.dtype:
            raise TypeRuleError(f"'{self.name}' cannot write {new} into {old}.", 1)
        if starts.shape != old.shape[:1]:
            raise TypeRuleError(f"'{self.name}' needs a place for each of {old.shape[0]}.", 2)
        count, room = new.shape[axis], old.shape[axis]
        if isinstance(count, int) and isinstance(room, int) and count > room:
            raise TypeRuleError(f"'{self.name}' has no room for {new} in {old}.", 1)
        return old

    def element(
        self, out: Tensor, index: Index, old: Operand, new: Operand, starts: Operand
    ) -> Scalar:
        axis = self.axis % out.rank
        place = index[axis] - cast(starts[(index[0],)], DType.I64)
        if self.mode == "circular":
            place = place % size_scalar(out.shape[axis])
        inside = (place >= 0) & (place < size_scalar(new.type.shape[axis]))
        written = new.padded((*index[:axis], place, *index[axis + 1 :]))
        return select(inside, written, old[index])

    def numpy(self, old: Array, new: Array, starts: Array) -> Array:
        axis, room = self.axis % old.ndim, old.shape[self.axis]
        result = np.moveaxis(old.copy(), axis, 1)
        written = np.moveaxis(new, axis, 1)
        places = starts.astype(np.int64)[:, None] + np.arange(new.shape[axis])
        places = places % room if self.mode == "circular" else places
        sequence, number = np.nonzero((places >= 0) & (places < room))
        result[sequence, places[sequence, number]] = written[sequence, number]
        return np.moveaxis(result, 1, axis)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return write_elements(out, self, result, *inputs)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        old, new, axis = call.tensor(0), call.tensor(1), call.get("axis", -2)
        zeros = Expand(old.type.shape[:1])(literal(0, DType.I64))
        starts = call.tensor(2) if call.has(2) else zeros
        match call.get("mode", "linear"):
            case "linear":
                return cls(axis)(old, new, starts)
            case "circular":
                return cls(axis, "circular")(old, new, starts)
            case other:
                raise ForeignError(f"attribute 'mode' is {other!r}")

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((-2.0, 2.0), (-2.0, 2.0), (0.0, 6.0))
        types = ("f32[3, 2, 5, 2]", "f32[3, 2, 3, 2]", "i64[3]")
        return [
            sample(cls(), *types, ranges=ranges),
            sample(cls(mode="circular"), *types, ranges=ranges),
            sample(cls(1), "i32[2, 4]", "i32[2, 2]", "i32[2]", ranges=ranges),
        ]
