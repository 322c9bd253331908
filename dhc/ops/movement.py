"""Operators that take elements from elsewhere: slices, padding, repetition, lookup by index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.scalar import Number, Scalar, cast, maximum, minimum
from dhc.ir.scalar import index as to_index
from dhc.ir.size import Shape, Size, ceil_divide, static
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Array,
    Index,
    Onnx,
    Operand,
    OperatorKind,
    Structured,
    TypeRuleError,
    broadcast_shapes,
    normalize_axis,
    op,
    size_scalar,
)
from dhc.ops.foreign import Call, ForeignError, Value
from dhc.ops.outward import FIRST, LAST, Outward, Term
from dhc.ops.outward_elements import write_elements
from dhc.ops.phrase import Phrase, unusual
from dhc.ops.sample import Sample, sample

Borders = Literal["constant", "reflect", "replicate", "wrap"]
_FOREIGN_BORDERS: dict[str, Borders] = {
    "constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "wrap",
}  # fmt: skip
_BORDERS = {own: name for name, own in _FOREIGN_BORDERS.items()}
_BEYOND = 999_999_999  # exporters write this number, or a larger one, for "up to the end"
_NUMPY_BORDERS: dict[str, Literal["reflect", "edge", "wrap"]] = {
    "reflect": "reflect", "replicate": "edge", "wrap": "wrap",
}  # fmt: skip


@dataclass(frozen=True)
class Movement(Structured):
    """The base of operators whose result has elements of the input and perhaps a constant."""

    kind: ClassVar[OperatorKind] = "movement"
    inlines_producers: ClassVar[bool] = True


@op("expand", onnx=Onnx("Expand", since=13))
class Expand(Movement):
    """The tensor repeated along axes that it lacks or that have size 1."""

    shape: tuple[Size, ...]

    def infer(self, x: Tensor) -> Tensor:
        if broadcast_shapes(self.name, [x.shape, self.shape]) != self.shape:
            raise TypeRuleError(f"'expand' cannot bring {x} to [{_text(self.shape)}].", 0)
        return x.with_shape(self.shape)

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        return x.broadcast(index)

    def numpy(self, x: Array) -> Array:
        return np.broadcast_to(x, static(self.shape))

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        from dhc.ops.reduce import sum_to_shape

        return (sum_to_shape(upstream, x.type.shape),)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        """The shape may have 1 where the tensor has more."""
        x, wanted = call.tensor(0), call.sizes(1)
        shape = broadcast_shapes(cls.name, [x.type.shape, wanted])
        return x if shape == x.type.shape else cls(shape)(x)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return out.expand(inputs[0], self.shape)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls((2, 3, 4)), "f32[3, 1]")]


@op("tile", onnx=Onnx("Tile", since=13))
class Tile(Movement):
    """The whole tensor repeated so many times along each axis."""

    repeats: tuple[int, ...]

    def infer(self, x: Tensor) -> Tensor:
        if len(self.repeats) != x.rank or min(self.repeats, default=1) < 1:
            raise TypeRuleError(f"'tile' needs a positive number for each axis of {x}.", 0)
        return x.with_shape(tuple(s * r for s, r in zip(x.shape, self.repeats, strict=True)))

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        axes = zip(index, x.type.shape, self.repeats, strict=True)
        return x[tuple(i if times == 1 else i % size_scalar(size) for i, size, times in axes)]

    def numpy(self, x: Array) -> Array:
        return np.tile(x, self.repeats)

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        from dhc.ops.reduce import ReduceSum
        from dhc.ops.shape import Reshape

        pairs = zip(self.repeats, x.type.shape, strict=True)
        apart = Reshape(tuple(size for pair in pairs for size in pair))(upstream)
        return (ReduceSum(tuple(range(0, 2 * x.type.rank, 2)))(apart),)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        return cls(call.listed(1))(call.tensor(0))

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return out.node("Tile", (*inputs, out.numbers(self.repeats)), result)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls((2, 1, 3)), "f32[2, 3, 2]")]


@op("size_value")
class SizeValue(Movement):
    """A size as a number: a tensor of rank 0 without inputs."""

    size: Size
    dtype: DType = DType.F32

    def infer(self) -> Tensor:
        return Tensor(self.dtype, ())

    def element(self, out: Tensor, index: Index) -> Scalar:
        return cast(size_scalar(self.size), self.dtype)

    def numpy(self) -> Array:
        return np.asarray(static((self.size,))[0], self.dtype.numpy)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return out.cast(out.reshape(out.size(self.size), ()), self.dtype)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(12))]


# ---- parts and their opposite ----------------------------------------------------------------


@op("slice", onnx=Onnx("Slice", since=13))
class Slice(Movement):
    """Element `start + i * step` along each axis, for `i` below `size`."""

    start: tuple[Size, ...]
    size: tuple[Size, ...]
    step: tuple[int, ...]

    def infer(self, x: Tensor) -> Tensor:
        if not len(self.start) == len(self.size) == len(self.step) == x.rank:
            raise TypeRuleError(
                f"'slice' needs a start, a size and a step for each axis of {x}.", 0
            )
        for axis in range(x.rank):
            self._check(x.shape[axis], axis)
        return x.with_shape(self.size)

    def _check(self, whole: Size, axis: int) -> None:
        first, count = self.start[axis], self.size[axis]
        last = first + (count - 1) * self.step[axis]
        if isinstance(count, int) and count < 1:
            raise TypeRuleError(f"'slice' takes nothing from axis {axis}.", 0)
        for place in (first, last):
            outside = isinstance(place, int) and place < 0
            beyond = whole - place
            if outside or (isinstance(beyond, int) and beyond < 1):
                raise TypeRuleError(
                    f"'slice' takes element {place} of axis {axis}, which has {whole} elements.", 0
                )

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        parts = zip(index, self.start, self.step, strict=True)
        return x[tuple(i * step + size_scalar(start) for i, start, step in parts)]

    def numpy(self, x: Array) -> Array:
        picks = zip(static(self.start), static(self.size), self.step, strict=True)
        for axis, (start, size, step) in enumerate(picks):
            x = np.take(x, start + step * np.arange(size), axis=axis)
        return x

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        return (Embed(self.start, x.type.shape, self.step)(upstream),)

    @classmethod
    def from_onnx(cls, call: Call) -> Value:
        """Starts and ends are attributes before version 10; both may lie beyond the axis."""
        from dhc.ops.empty import cut, type_of
        from dhc.ops.slicing import bounds

        x = call.value(0)
        old = call.opset < 10
        starts: Sequence[Size] = call.ints("starts") if old else call.sizes(1)
        ends: Sequence[Size] = call.ints("ends") if old else call.sizes(2)
        numbers = call.listed(3, "axes") or tuple(range(len(starts)))
        steps = call.listed(4) if call.has(4) else (1,) * len(starts)
        places = []
        for number, start, end, step in zip(numbers, starts, ends, steps, strict=True):
            if step == 0:
                raise TypeRuleError("'slice' cannot take steps of 0.")
            axis = normalize_axis(cls.name, number, type_of(x).rank)
            limits = bounds(type_of(x).shape[axis], _bounded(start), _bounded(end, step), step)
            places.append((axis, *limits, step))
        return cut(call, x, *places)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """Axes that stay whole are left out."""
        whole = zip(self.start, self.size, self.step, inputs[0].shape, strict=True)
        cut = [axis for axis, each in enumerate(whole) if each != (0, each[3], 1, each[3])]
        starts = out.shape(tuple(self.start[axis] for axis in cut))
        ends = out.shape(tuple(self._end(axis, inputs[0].shape[axis]) for axis in cut))
        steps = out.numbers(self.step[axis] for axis in cut)
        return out.node("Slice", (*inputs, starts, ends, out.numbers(cut), steps), result)

    def _end(self, axis: int, whole: Size) -> Size:
        """The place behind the last element; in front of the first it counts from the end."""
        end = self.stop(axis)
        if self.step[axis] < 0:
            return FIRST if end == -1 else end if isinstance(end, int) else end - whole
        return LAST if end == whole else end

    def stop(self, axis: int) -> Size:
        """The place behind the last element."""
        step = self.step[axis]
        return self.start[axis] + (self.size[axis] - 1) * step + (1 if step > 0 else -1)

    def phrase(self, x: Node) -> Phrase:
        from dhc.ops.slicing import slice_phrase

        return slice_phrase(self, x)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            sample(cls((1, 0, 5), (2, 2, 3), (1, 2, -2)), "f32[4, 3, 6]"),
            sample(cls((0,), (2,), (3,)), "i32[5]"),
        ]


@op("embed")
class Embed(Movement):
    """A tensor of zeros with the input put at `start + i * step` along each axis."""

    start: tuple[Size, ...]
    shape: tuple[Size, ...]
    step: tuple[int, ...]

    def infer(self, x: Tensor) -> Tensor:
        Slice(self.start, x.shape, self.step).infer(x.with_shape(self.shape))
        return x.with_shape(self.shape)

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        parts = zip(index, self.start, self.step, strict=True)
        where = [self._source(i - size_scalar(start), step) for i, start, step in parts]
        guard = to_index(0).equals(0)
        for (place, meets), size in zip(where, x.type.shape, strict=True):
            guard = guard & meets & (place >= 0) & (place < size_scalar(size))
        return x.read(tuple(place for place, _ in where), guard)

    def _source(self, distance: Scalar, step: int) -> tuple[Scalar, Scalar]:
        """The element that lies at a distance from the start, and whether one does."""
        ahead, stride = (distance, step) if step > 0 else (-distance, -step)
        return ahead // stride, (ahead % stride).equals(0)

    def numpy(self, x: Array) -> Array:
        result = np.zeros(static(self.shape), x.dtype)
        parts = zip(static(self.start), x.shape, self.step, strict=True)
        result[np.ix_(*(start + step * np.arange(size) for start, size, step in parts))] = x
        return result

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        return (Slice(self.start, x.type.shape, self.step)(upstream),)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return write_elements(out, self, result, *inputs)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls((1, 5), (4, 6), (2, -2)), "f32[2, 3]")]


# ---- padding ---------------------------------------------------------------------------------


@op("pad", onnx=Onnx("Pad", since=18))
class Pad(Movement):
    """The tensor with elements before and after each axis.

    Attributes:
        pads: How many (before, after) each axis.
        mode: `constant` puts `value`; `reflect` mirrors at the outermost element, `replicate`
            repeats it, and `wrap` goes on at the other end.
    """

    pads: tuple[tuple[int, int], ...]
    mode: Borders = "constant"
    value: float = 0.0

    def infer(self, x: Tensor) -> Tensor:
        if len(self.pads) != x.rank or any(n < 0 for pair in self.pads for n in pair):
            raise TypeRuleError(f"'pad' needs two numbers from 0 on for each axis of {x}.", 0)
        for axis, (size, pair) in enumerate(zip(x.shape, self.pads, strict=True)):
            room = {"reflect": size - 1, "wrap": size}.get(self.mode)
            if isinstance(room, int) and max(pair) > room:
                raise TypeRuleError(
                    f"'pad' can {self.mode} at most {room} elements of axis {axis}, "
                    f"not {max(pair)}.",
                    0,
                )
        sizes = zip(x.shape, self.pads, strict=True)
        return x.with_shape(tuple(size + before + after for size, (before, after) in sizes))

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        where = tuple(i - before for i, (before, _) in zip(index, self.pads, strict=True))
        if self.mode == "constant":
            return x.padded(where, self._fill(x.type.dtype))
        sizes = [size_scalar(size) for size in x.type.shape]
        folded = [
            i if pair == (0, 0) else self._fold(i, size)
            for i, size, pair in zip(where, sizes, self.pads, strict=True)
        ]
        return x[tuple(folded)]

    def _fill(self, dtype: DType) -> Number:
        return self.value if dtype.is_float else int(self.value)

    def _fold(self, i: Scalar, size: Scalar) -> Scalar:
        """The place inside the tensor that an outside place shows."""
        match self.mode:
            case "replicate":
                return minimum(maximum(i, 0), size - 1)
            case "wrap":
                return i % size
        mirrored = maximum(i, to_index(0) - i)
        return minimum(mirrored, (size - 1) * 2 - mirrored)

    def numpy(self, x: Array) -> Array:
        if self.mode == "constant":
            return np.pad(x, self.pads, constant_values=self._fill(DType.F64))
        padded: Array = np.pad(x, self.pads, mode=_NUMPY_BORDERS[self.mode])
        return padded

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        from dhc.ops.pad_grad import pad_gradient

        if self.mode != "constant":
            return (pad_gradient(self, upstream, x),)
        start = tuple(before for before, _ in self.pads)
        return (Slice(start, x.type.shape, (1,) * x.type.rank)(upstream),)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        """Amounts are attributes before version 11; those below 0 cut elements off."""
        x = call.tensor(0)
        listed = call.listed(1, "pads")
        value = call.get("value", 0.0)
        if call.has(2):
            value = float(call.numbers(2).reshape(-1)[0])
        axes = list(range(x.type.rank))
        if call.has(3):
            axes = [axis % x.type.rank for axis in call.listed(3)]
        pairs = [(0, 0)] * x.type.rank
        for axis, before, after in zip(axes, listed, listed[len(axes) :], strict=False):
            pairs[axis] = (before, after)
        for axis, (before, after) in enumerate(pairs):
            size = x.type.shape[axis]
            if before < 0 or after < 0:
                x = slice_axis(x, axis, max(-before, 0), size - max(-after, 0))
        kept = tuple((max(before, 0), max(after, 0)) for before, after in pairs)
        mode = _FOREIGN_BORDERS.get(call.get("mode", "constant"))
        if mode is None:
            raise ForeignError(f"attribute 'mode' is {call.get('mode', '')!r}")
        return x if not any(map(any, kept)) else cls(kept, mode, value)(x)

    def phrase(self, x: Node) -> Phrase:
        around = next((k for k, pair in enumerate(self.pads) if pair != (0, 0)), len(self.pads) - 1)
        amount = tuple(b if b == a else (b, a) for b, a in self.pads[around:])
        said = unusual(mode=(self.mode, "constant"), value=(self.value, 0.0))
        return Phrase(self.name, (x,), {"amount": amount} | said)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """Before version 18 ONNX names all axes, and before 19 it goes not round."""
        if self.mode == "wrap" and out.opset < 19:
            return write_elements(out, self, result, *inputs)
        narrow = inputs[0].dtype in (DType.I16, DType.U16)  # which readers do not pad
        x = out.wide(inputs[0]) if narrow else inputs[0]
        value = () if self.mode != "constant" else (out.number(self._fill(x.dtype), x.dtype),)
        amounts = out.numbers(pair[side] for side in (0, 1) for pair in self.pads)
        wide = result.with_dtype(x.dtype)
        padded = out.node("Pad", (x, amounts, *value), wide, mode=_BORDERS[self.mode])
        return out.cast(padded, result.dtype)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        pads = ((0, 0), (2, 1), (0, 3))
        modes: tuple[Borders, ...] = ("reflect", "replicate", "wrap")
        constant = sample(cls(pads, value=1.5), "f32[2, 3, 4]")
        return [constant, *(sample(cls(pads, mode), "f32[2, 3, 4]") for mode in modes)]


# ---- helpers ---------------------------------------------------------------------------------


def _bounded(place: Size, step: int = 1) -> Size | None:
    """A start or an end of ONNX; None for the largest numbers, which mean the end of the axis."""
    if not isinstance(place, int) or abs(place) < _BEYOND:
        return place
    return None if (place > 0) == (step > 0) else place


def slice_axis(x: Node, axis: int, start: Size, stop: Size, step: int = 1) -> Node:
    """Returns `x[..., start:stop:step, ...]` for a start and a stop that count from the front."""
    shape = x.type.shape
    count = ceil_divide(stop - start, step) if step > 0 else ceil_divide(start - stop, -step)
    starts: list[Size] = [0] * len(shape)
    sizes, steps = list(shape), [1] * len(shape)
    starts[axis], sizes[axis], steps[axis] = start, count, step
    return Slice(tuple(starts), tuple(sizes), tuple(steps))(x)


def reversed_axes(x: Node, axes: Sequence[int]) -> Node:
    """Returns the tensor with its elements in the opposite order along some axes."""
    shape = x.type.shape
    start = tuple(size - 1 if axis in axes else 0 for axis, size in enumerate(shape))
    step = tuple(-1 if axis in axes else 1 for axis in range(len(shape)))
    return Slice(start, shape, step)(x)


def _text(shape: Shape) -> str:
    return ", ".join(map(str, shape))
