"""Softmax and its logarithm, in terms of other operators."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dhc.ir.graph import Node
from dhc.ops.base import Axis, Composite, Onnx, TypeRuleError, normalize_axis, op
from dhc.ops.compare import Equal
from dhc.ops.elementwise import Cast, Div, Exp, Log, Mul, Sub
from dhc.ops.foreign import Call, reads
from dhc.ops.positions import CountUp
from dhc.ops.reduce import ReduceMax, ReduceSum
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Reshape
from dhc.ops.statistics import ArgMax


@op("softmax", onnx=Onnx("Softmax", since=13))
class Softmax(Composite):
    """exp(x), divided by its sum along an axis; the largest element is taken off first."""

    axis: Axis = 1

    def expand(self, x: Node) -> Node:
        axis, lowered = _lowered(self.name, x, self.axis)
        grown = Exp()(lowered)
        return Div()(grown, ReduceSum((axis,), True)(grown))

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        product = Mul()(upstream, output)
        return (Sub()(product, Mul()(output, ReduceSum((self.axis,), True)(product))),)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        return _read_softmax(call, cls)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[2, 3, 4]"), sample(cls(-1), "f32[5]", ranges=((-90, 90),))]


@op("log_softmax", onnx=Onnx("LogSoftmax", since=13))
class LogSoftmax(Composite):
    """The logarithm of softmax, without forming the quotient."""

    axis: Axis = 1

    def expand(self, x: Node) -> Node:
        axis, lowered = _lowered(self.name, x, self.axis)
        return Sub()(lowered, Log()(ReduceSum((axis,), True)(Exp()(lowered))))

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        total = ReduceSum((self.axis,), True)(upstream)
        return (Sub()(upstream, Mul()(Exp()(output), total)),)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        return _read_softmax(call, cls)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[2, 3, 4]"), sample(cls(-1), "f32[5]", ranges=((-90, 90),))]


def _lowered(name: str, x: Node, axis: int) -> tuple[int, Node]:
    """The axis counted from the front, and the tensor without the largest element along it."""
    if not x.type.dtype.is_float:
        raise TypeRuleError(f"'{name}' needs floating-point elements, not {x.type}.", 0)
    position = normalize_axis(name, axis, x.type.rank)
    return position, Sub()(x, ReduceMax((position,), True)(x))


def _read_softmax(call: Call, kind: type[Softmax] | type[LogSoftmax]) -> Node:
    return foreign_softmax(call, kind, call.tensor(0), call.opset)


def foreign_softmax(
    call: Call, kind: type[Softmax] | type[LogSoftmax], x: Node, opset: int
) -> Node:
    """Returns a node's softmax; before version 13 all axes from `axis` on were one."""
    rows, axis = _rows_before_13(call, x, opset)
    result = kind(axis)(rows)
    return result if rows is x else Reshape(x.type.shape)(result)


@reads("Hardmax")
def _read_hardmax(call: Call) -> Node:
    """1 at the first largest element along an axis, else 0; before version 13 as of softmax."""
    x = call.tensor(0)
    rows, axis = _rows_before_13(call, x, call.opset)
    size, rank = rows.type.shape[axis], rows.type.rank
    numbers = Reshape((size, *[1] * (rank - 1 - axis)))(CountUp(size)())
    chosen = Equal()(ArgMax(axis, True)(rows), numbers)
    return Reshape(x.type.shape)(Cast(x.type.dtype)(chosen))


def _rows_before_13(call: Call, x: Node, opset: int) -> tuple[Node, int]:
    """The tensor and the axis that is meant; before version 13 all axes from `axis` on were one."""
    if opset >= 13:
        return x, normalize_axis("softmax", call.get("axis", -1), x.type.rank)
    axis = normalize_axis("softmax", call.get("axis", 1), x.type.rank)
    shape = x.type.shape
    return Reshape((*shape[:axis], math.prod(shape[axis:])))(x), axis
