"""Operators that move elements without changing them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.scalar import Scalar, select
from dhc.ir.scalar import index as to_index
from dhc.ir.size import Shape, Size, counts, static, unify
from dhc.ir.types import Tensor
from dhc.ops.base import (
    Array,
    Axis,
    Index,
    LayerContext,
    Onnx,
    Operand,
    OperatorKind,
    Structured,
    TypeRuleError,
    layer,
    normalize_axis,
    op,
    size_scalar,
)
from dhc.ops.foreign import Call, Value
from dhc.ops.outward import Outward, Term
from dhc.ops.phrase import Phrase, plain_phrase
from dhc.ops.sample import Sample, sample


@op("reshape", onnx=Onnx("Reshape", since=14))
class Reshape(Structured):
    """The same elements in row-major order under another shape."""

    kind: ClassVar[OperatorKind] = "movement"
    inlines_producers: ClassVar[bool] = True

    shape: tuple[Size, ...]

    def infer(self, x: Tensor) -> Tensor:
        if unify(math.prod(x.shape), math.prod(self.shape)) is None:
            raise TypeRuleError(
                f"'reshape' cannot make [{', '.join(map(str, self.shape))}] of {x}: "
                "the numbers of elements differ.",
                0,
            )
        return x.with_shape(self.shape)

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        return x[unflatten(flatten_index(index, out.shape), x.type.shape)]

    def numpy(self, x: Array) -> Array:
        return x.reshape(static(self.shape))

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        return (Reshape(x.type.shape)(upstream),)

    @classmethod
    def from_onnx(cls, call: Call) -> Value:
        """With `allowzero` it may make another tensor without elements of one."""
        from dhc.ops.empty import type_of, without_elements
        from dhc.ops.layout import reshaped

        wanted = call.sizes(1) if call.opset >= 5 else call.ints("shape")
        zeros, type = bool(call.get("allowzero", 0)), type_of(call.value(0))
        if zeros and 0 in wanted and 0 in type.shape:
            return without_elements(type.with_shape(tuple(wanted)))
        return reshaped(call.tensor(0), wanted, zeros)

    def phrase(self, x: Node) -> Phrase:
        whole = x.type.rank > 2 and self.shape == (x.type.shape[0], math.prod(x.type.shape[1:]))
        if whole:
            return Phrase("flatten", (x,))
        found = [axis for axis, size in enumerate(self.shape) if counts(size)]
        if len(found) != 1:
            return plain_phrase(self, (x,))
        rest = tuple(-1 if axis in found else size for axis, size in enumerate(self.shape))
        return Phrase(self.name, (x,), {"shape": rest})

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return out.reshape(inputs[0], self.shape)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls((4, 6)), "f32[2, 3, 4]"), sample(cls((2, 1, 3)), "i32[6]")]


def flatten_index(index: Index, shape: Shape) -> Scalar:
    """Returns the row-major position of an index."""
    position = to_index(0)
    for i, size in zip(index, shape, strict=True):
        position = position * size_scalar(size) + i
    return position


def unflatten(position: Scalar, shape: Shape) -> Index:
    """Returns the index of a row-major position."""
    index: list[Scalar] = []
    for axis in reversed(range(len(shape))):
        size = size_scalar(shape[axis])
        index.append(position if axis == 0 else position % size)
        position = position // size
    return tuple(reversed(index))


@layer("flatten")
def flatten(context: LayerContext, x: Node, axis: Axis = 1) -> Node:
    """All axes from `axis` on become one."""
    first = normalize_axis("flatten", axis, x.type.rank)
    shape = x.type.shape
    return Reshape((*shape[:first], math.prod(shape[first:])))(x)


@op("permute", onnx=Onnx("Transpose", since=13))
class Permute(Structured):
    """The axes in another order: axis `i` of the result is axis `order[i]` of the input."""

    kind: ClassVar[OperatorKind] = "movement"
    inlines_producers: ClassVar[bool] = True

    order: tuple[int, ...]

    def infer(self, x: Tensor) -> Tensor:
        if sorted(self.order) != list(range(x.rank)):
            raise TypeRuleError(f"'permute' needs each of {x.rank} axes once.", 0)
        return x.with_shape(tuple(x.shape[axis] for axis in self.order))

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        return x[tuple(index[self.order.index(axis)] for axis in range(len(index)))]

    def numpy(self, x: Array) -> Array:
        return np.transpose(x, self.order)

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        back = tuple(self.order.index(axis) for axis in range(len(self.order)))
        return (Permute(back)(upstream),)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        x = call.tensor(0)
        return cls(call.ints("perm", tuple(reversed(range(x.type.rank)))))(x)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return out.node("Transpose", inputs, result, perm=self.order)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls((2, 0, 1)), "f32[2, 3, 4]")]


@op("concat", onnx=Onnx("Concat", since=13))
class Concat(Structured):
    """The inputs one after another along an axis; all other sizes are equal."""

    kind: ClassVar[OperatorKind] = "movement"
    inlines_producers: ClassVar[bool] = True

    axis: Axis = 1

    def infer(self, *inputs: Tensor) -> Tensor:
        first = inputs[0]
        axis = normalize_axis(self.name, self.axis, first.rank)
        total: Size = 0
        for i, tensor in enumerate(inputs):
            _check_concat(first, tensor, axis, i)
            total = total + tensor.shape[axis]
        return first.with_shape((*first.shape[:axis], total, *first.shape[axis + 1 :]))

    def element(self, out: Tensor, index: Index, *inputs: Operand) -> Scalar:
        axis = self.axis % out.rank
        start: Size = inputs[0].type.shape[axis]
        value = inputs[0].padded(index)
        for operand in inputs[1:]:
            inside = index[axis] >= size_scalar(start)
            shifted = (*index[:axis], index[axis] - size_scalar(start), *index[axis + 1 :])
            value = select(inside, operand.padded(shifted), value)
            start = start + operand.type.shape[axis]
        return value

    def numpy(self, *inputs: Array) -> Array:
        return np.concatenate(inputs, axis=self.axis)

    def grad(self, upstream: Node, output: Node, *inputs: Node) -> tuple[Node | None, ...]:
        from dhc.ops.movement import slice_axis

        parts: list[Node] = []
        axis = self.axis % output.type.rank
        stop: Size = 0
        for node in inputs:
            first, stop = stop, stop + node.type.shape[axis]
            parts.append(slice_axis(upstream, axis, first, stop))
        return tuple(parts)

    @classmethod
    def from_onnx(cls, call: Call) -> Value:
        """Inputs without elements add nothing."""
        from dhc.ops.empty import joined_values, type_of

        values = [call.value(number) for number in range(len(call))]
        axis = normalize_axis(cls.name, call.get("axis", 1), type_of(values[0]).rank)
        return joined_values(call, values, axis)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            sample(cls(-2), "f32[2, 3, 4]", "f32[2, 1, 4]", "f32[2, 2, 4]"),
            sample(cls(0), "f32[1, 3, 4]", "f32[2, 3, 4]"),
            sample(cls(-1), "f32[1, 2, 3, 4]", "f32[1, 2, 3, 1]"),
        ]


MOST_PARTS = 16  # of one kernel: each element of its result tests for all of them


def joined(parts: Sequence[Node], axis: int) -> Node:
    """Returns tensors one after another along an axis, however many there are."""
    while len(parts) > MOST_PARTS:
        firsts = range(0, len(parts), MOST_PARTS)
        parts = [joined(parts[first : first + MOST_PARTS], axis) for first in firsts]
    return parts[0] if len(parts) == 1 else Concat(axis)(*parts)


def _check_concat(first: Tensor, tensor: Tensor, axis: int, position: int) -> None:
    if tensor.rank != first.rank or tensor.dtype is not first.dtype:
        raise TypeRuleError(f"'concat' cannot join {first} and {tensor}.", position)
    for other in range(first.rank):
        if other != axis and unify(first.shape[other], tensor.shape[other]) is None:
            raise TypeRuleError(
                f"'concat' needs equal sizes on every axis but {axis}; axis {other} has "
                f"{first.shape[other]} and {tensor.shape[other]}.",
                position,
            )


@op("copy")
class Copy(Structured):
    """The same tensor in other memory; `label` keeps copies of one value apart."""

    label: str = ""

    kind: ClassVar[OperatorKind] = "movement"
    inlines_producers: ClassVar[bool] = True

    def infer(self, x: Tensor) -> Tensor:
        return x

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        return x[index]

    def numpy(self, x: Array) -> Array:
        return x.copy()

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        return (upstream,)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return inputs[0]

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls("a"), "f32[2, 3]")]
