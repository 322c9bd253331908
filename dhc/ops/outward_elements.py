"""Writes a structured operator as its elements: all at once, from tensors of indices.

An index is a tensor with an axis of its own, what an operator reads is gathered by the place of
elements in row-major order, and sums go over axes behind those of the result. That needs memory
for all terms of sums together: it is the form of operators that ONNX has not, and whose sums are
short.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dhc.ir.scalar import Buffer as Memory
from dhc.ir.scalar import Const, Load, Number, Reduce, Scalar, Var, lift, walk
from dhc.ir.size import Expr, Shape, Size, Symbol
from dhc.ir.types import DType, Tensor
from dhc.ops.foreign import ForeignError
from dhc.ops.operand import Index, Operand
from dhc.ops.outward import Outward, Term
from dhc.ops.outward_formula import Formula
from dhc.ops.sizes import axis_variable, size_scalar

if TYPE_CHECKING:
    from dhc.ops.base import Operator

_FOLDS = {"sum": "ReduceSum", "max": "ReduceMax", "min": "ReduceMin", "prod": "ReduceProd"}
_MOST_TERMS = 1 << 28


def write_elements(out: Outward, operator: Operator, result: Tensor, *inputs: Term) -> Term:
    """Writes an operator as what `Operator.element` says.

    Raises:
        ForeignError: if the sums are too long, or over a size that is not known.
    """
    index = tuple(axis_variable(f"i{axis}", size) for axis, size in enumerate(result.shape))
    operands = [_Read(f"x{k}", each.type) for k, each in enumerate(inputs)]
    expression = operator.element(result, index, *operands)
    names = {f"x{k}": each for k, each in enumerate(inputs)}
    return _Elements(out, result, index, names, expression).whole(expression)


class _Read(Operand):
    """An input whose elements are loads."""

    def __init__(self, name: str, type: Tensor) -> None:
        self.type = type
        sizes = tuple(s if isinstance(s, int) else size_scalar(s) for s in type.shape)
        self._memory = Memory(name, type.dtype, sizes, sizes)

    def read(self, index: Index, guard: Scalar | None = None, otherwise: Number = 0) -> Scalar:
        if isinstance(guard, Const) and guard.value:
            guard = None
        fill = None if guard is None else lift(otherwise, self.type.dtype)
        return Load(self._memory, tuple(index), guard, fill)


class _Elements(Formula):
    """Writes an expression for all elements of a result.

    Args:
        out: What to write with.
        result: The type of the result.
        index: The variables that count its elements.
        inputs: What is read, by name.
        expression: What is going to be written.
    """

    def __init__(
        self,
        out: Outward,
        result: Tensor,
        index: tuple[Var, ...],
        inputs: dict[str, Term],
        expression: Scalar,
    ) -> None:
        super().__init__(out, {})
        self._result = result
        self._inputs = inputs
        folded = [v for part in walk(expression) if isinstance(part, Reduce) for v in part.axes]
        self._axes = {v: axis for axis, v in enumerate(dict.fromkeys((*index, *folded)))}
        self._sizes: list[Size] = [*result.shape, *map(_extent, list(self._axes)[len(index) :])]
        self._check()

    def _check(self) -> None:
        terms = math.prod(size for size in self._sizes if isinstance(size, int))
        if terms > _MOST_TERMS:
            raise ForeignError(f"its elements are the sums of {terms} terms in all")

    def whole(self, expression: Scalar) -> Term:
        """Writes the result."""
        found = self.write(expression)
        spare = (1,) * (len(self._sizes) - self._result.rank)
        full = self.out.expand(found, (*self._result.shape, *spare))
        return self.out.reshape(full, self._result.shape)

    def part(self, part: Scalar, *inputs: Term) -> Term:
        match part:
            case Var() if part in self._axes:
                return self._places(self._axes[part])
            case Var(name):
                size = self.out.size(Expr((((Symbol(name),), 1),)))
                return self.out.reshape(size, ())
            case Load(memory, index, guard):
                return self._gathered(self._inputs[memory.name], len(index), guard, inputs)
            case Reduce(kind, axes, _):
                return self._folded(kind, axes, inputs[-1])
        return super().part(part, *inputs)

    def _places(self, axis: int) -> Term:
        """The numbers 0, 1, ... along an axis of their own."""
        size, behind = self._sizes[axis], (1,) * (len(self._sizes) - axis - 1)
        ahead = (1,) * axis
        if isinstance(size, int):
            return self.out.constant(np.arange(size).reshape((*ahead, size, *behind)), DType.I64)
        limits = (self.out.number(0, DType.I64), self.out.reshape(self.out.size(size), ()))
        step = self.out.number(1, DType.I64)
        counted = self.out.node("Range", (*limits, step), Tensor(DType.I64, (size,)))
        return self.out.reshape(counted, (*ahead, size, *behind))

    def _gathered(self, x: Term, rank: int, guard: Scalar | None, inputs: tuple[Term, ...]) -> Term:
        """Elements by their index; where a guard does not hold, the last of the inputs."""
        place = inputs[0] if rank else self.out.number(0, DType.I64)
        for axis in range(1, rank):
            size = self.out.reshape(self.out.size(x.shape[axis]), ())
            place = self.plain("Add", self.plain("Mul", place, size), inputs[axis])
        if guard is not None:
            place = self.where(inputs[rank], place, self.out.number(0, DType.I64))
        row = self.out.reshape(x, (math.prod(x.shape),))
        found = self.out.node("Gather", (row, place), Tensor(x.dtype, place.shape), axis=0)
        return found if guard is None else self.where(inputs[rank], found, inputs[rank + 1])

    def _folded(self, kind: str, axes: tuple[Var, ...], body: Term) -> Term:
        where = [self._axes[axis] for axis in axes]
        shape = list((1,) * (len(self._sizes) - body.type.rank) + body.shape)
        for axis in where:
            shape[axis] = self._sizes[axis]
        full = self.out.expand(body, tuple(shape))
        kept = tuple(1 if axis in where else size for axis, size in enumerate(shape))
        if kind.startswith("arg"):
            return self._placed(kind, where, full, kept)
        if kind not in _FOLDS:
            raise ForeignError(f"its elements fold values with '{kind}'")
        result = full.type.with_shape(kept)
        return self.out.reduction(_FOLDS[kind], full, where, True, result)

    def _placed(self, kind: str, where: list[int], full: Term, kept: Shape) -> Term:
        """The number of the first extreme; its axes follow each other, behind all that stay."""
        if where != list(range(where[0], len(self._sizes))):
            raise ForeignError("its elements look for extremes among other axes than the last")
        joined = math.prod(full.shape[axis] for axis in where)
        rows = self.out.reshape(full, (*full.shape[: where[0]], joined))
        op_type = "ArgMax" if kind == "argmax" else "ArgMin"
        found = self.out.node(
            op_type, (rows,), Tensor(DType.I64, (*full.shape[: where[0]], 1)), axis=-1, keepdims=1
        )
        return self.out.reshape(found, kept)


def _extent(variable: Var) -> int:
    if variable.extent is None:
        raise ForeignError("its elements are sums over a size that is not known")
    return variable.extent
