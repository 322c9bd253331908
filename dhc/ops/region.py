"""A region: several operators that become one kernel. Fusion makes it; nothing else does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from dhc.ir.graph import Graph, Input, Literal_, Node, input_label
from dhc.ir.scalar import Number, Scalar, lift, select
from dhc.ir.types import Tensor
from dhc.ops.base import Array, Index, Operand, Operator, Structured, op, run

Memo = dict[tuple[object, ...], Scalar]


@op("region")
class Region(Structured):
    """A closed sub-graph with one output; its inputs are named "0", "1", ... by position."""

    carries: ClassVar[bool] = True
    body: Graph

    def infer(self, *inputs: Tensor) -> Tensor:
        return self.body.outputs[0][1].type

    def element(self, out: Tensor, index: Index, *inputs: Operand) -> Scalar:
        leaves = dict(zip(map(input_label, self.body.inputs), inputs, strict=True))
        return Inlined(self.body.outputs[0][1], leaves, None, {}).read(index)

    def numpy(self, *inputs: Array) -> Array:
        names = map(input_label, self.body.inputs)
        return run([self.body.outputs[0][1]], dict(zip(names, inputs, strict=True)))[0]


class Inlined(Operand):
    """A node read as an operand by computing its element where it is read."""

    def __init__(
        self, node: Node, leaves: Mapping[str, Operand], guard: Scalar | None, memo: Memo
    ) -> None:
        self.type = node.type
        self._node = node
        self._leaves = leaves
        self._guard = guard
        self._memo = memo

    def read(self, index: Index, guard: Scalar | None = None, otherwise: Number = 0) -> Scalar:
        key = (self._node, index, self._guard, guard, type(otherwise), otherwise)
        if key not in self._memo:
            self._memo[key] = self._compute(index, guard, otherwise)
        return self._memo[key]

    def padded(self, index: Index, fill: Number = 0) -> Scalar:
        if isinstance(self._node.op, Input) and self._guard is None:
            return self._leaves[self._node.op.label].padded(index, fill)
        return super().padded(index, fill)

    def _compute(self, index: Index, guard: Scalar | None, otherwise: Number) -> Scalar:
        combined = _both(self._guard, guard)
        match self._node.op:
            case Input(label):
                return self._leaves[label].read(index, combined, otherwise)
            case Literal_(value, dtype):
                result = lift(value, dtype)
            case Operator() as operator:
                result = operator.element(self.type, index, *self._operands(combined))
            case operator:
                raise TypeError(f"'{operator.name}' cannot be part of a region")
        return result if guard is None else select(guard, result, otherwise)

    def _operands(self, guard: Scalar | None) -> list[Operand]:
        return [Inlined(node, self._leaves, guard, self._memo) for node in self._node.inputs]


def _both(left: Scalar | None, right: Scalar | None) -> Scalar | None:
    if left is None or right is None:
        return left if right is None else right
    return left & right
