"""Writes scalar expressions as nodes of ONNX; what is shared in an expression is written once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from dhc.ir.number import type_range
from dhc.ir.scalar import (
    Binary,
    Cast,
    Compare,
    Const,
    Fma,
    Scalar,
    Select,
    Unary,
    Var,
    children,
    walk,
)
from dhc.ir.size import Shape
from dhc.ir.types import DType, Tensor
from dhc.ops.foreign import ForeignError
from dhc.ops.outward import WIDE, Outward, Term, foreign_type
from dhc.ops.rules import broadcast_shapes

if TYPE_CHECKING:
    from dhc.ops.base import Elementwise

_UNARY = {
    "neg": "Neg", "abs": "Abs", "exp": "Exp", "log": "Log", "tanh": "Tanh", "erf": "Erf",
    "sqrt": "Sqrt", "sin": "Sin", "cos": "Cos", "floor": "Floor", "ceil": "Ceil", "round": "Round",
}  # fmt: skip
_BINARY = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "min": "Min", "max": "Max",
    "pow": "Pow", "mod": "Mod",
}  # fmt: skip
_SHIFTS = {"shl": "LEFT", "shr": "RIGHT"}
_WRAPPING = frozenset(("Add", "Sub", "Mul", "Where", "Equal"))
_LOGIC = {"and": "And", "or": "Or", "xor": "Xor"}
_RELATIONS = {
    "lt": "Less", "le": "LessOrEqual", "eq": "Equal", "gt": "Greater", "ge": "GreaterOrEqual",
}  # fmt: skip


def write_formula(out: Outward, operator: Elementwise, *inputs: Term) -> Term:
    """Writes an element-wise operator as its expression.

    Raises:
        ForeignError: if ONNX has no operator for a part of it.
    """
    names = [Var(f"x{i}", each.dtype) for i, each in enumerate(inputs)]
    given: dict[Scalar, Term] = dict(zip(names, inputs, strict=True))
    made = Formula(out, given).write(operator.scalar(*names))
    shape = broadcast_shapes(operator.name, [each.shape for each in inputs])
    return out.expand(made, shape)


class Formula:
    """Writes expressions.

    Args:
        out: What to write with.
        given: What variables stand for.
    """

    def __init__(self, out: Outward, given: Mapping[Scalar, Term]) -> None:
        self.out = out
        self.done: dict[Scalar, Term] = dict(given)

    def write(self, expression: Scalar) -> Term:
        """Writes an expression and its parts.

        Raises:
            ForeignError: if ONNX has no operator for one of them.
        """
        for part in walk(expression):
            if part not in self.done:
                self.done[part] = self.part(part, *(self.done[each] for each in children(part)))
        return self.done[expression]

    def part(self, part: Scalar, *inputs: Term) -> Term:
        """Writes a part of an expression whose own parts are written."""
        match part:
            case Const(value, dtype):
                return self.out.number(value, dtype)
            case Unary(function):
                return self._unary(function, *inputs)
            case Binary(function):
                return self._binary(function, *inputs)
            case Compare(relation):
                return self._compare(relation, *inputs)
            case Select():
                return self.where(*inputs)
            case Fma():
                return self.plain("Add", self.plain("Mul", *inputs[:2]), inputs[2])
            case Cast(_, dtype, saturate):
                return self._cast(inputs[0], dtype, saturate)
        raise ForeignError(f"its expression has a part that ONNX has not ({type(part).__name__})")

    def plain(self, op_type: str, *inputs: Term, to: DType | None = None) -> Term:
        """Writes a node of matching elements, in a type that readers compute with."""
        dtype = inputs[-1].dtype
        shape = broadcast_shapes(op_type, [each.shape for each in inputs])
        wide = _computed(op_type, dtype)
        operands = [self.out.cast(each, wide) if each.dtype is dtype else each for each in inputs]
        made = self.out.node(op_type, operands, Tensor(to or wide, shape))
        return made if to else self.out.cast(made, dtype)

    def _unary(self, function: str, x: Term) -> Term:
        if function == "not":
            if x.dtype is DType.BOOL:
                return self.plain("Not", x)
            return self.plain("Sub", self.plain("Neg", x), self.out.number(1, x.dtype))
        if function == "trunc":
            below = self._compare("lt", x, self.out.number(0, x.dtype))
            return self.where(below, self.plain("Ceil", x), self.plain("Floor", x))
        if function == "neg" and not x.dtype.is_signed:
            return self.plain("Sub", self.out.number(0, x.dtype), x)
        return self.plain(_UNARY[function], x)

    def _binary(self, function: str, a: Term, b: Term) -> Term:
        if function in _LOGIC:
            return self._bits(function, a, b)
        if function == "floordiv":
            return self._floor_divided(a, b)
        if function in _SHIFTS:
            return self._shifted(_SHIFTS[function], a, b)
        return self.plain(_BINARY[function], a, b)

    def _bits(self, function: str, a: Term, b: Term) -> Term:
        if a.dtype is DType.BOOL:
            return self.plain(_LOGIC[function], a, b)
        if self.out.opset >= 18:
            return self.plain(f"Bitwise{_LOGIC[function]}", a, b)
        shape = broadcast_shapes(function, [a.shape, b.shape])
        low, high = (self._half(function, a, b, shape, first) for first in (0, 32))
        raised = self.plain("Mul", high, self.out.number(1 << 32, DType.I64))
        return self.out.cast(self.plain("Add", low, raised), a.dtype)

    def _half(self, function: str, a: Term, b: Term, shape: Shape, first: int) -> Term:
        """The number of 32 combined bits: readers may sum with floats, which have no more."""
        one, other = (self._bits_of(each, shape, first) for each in (a, b))
        combined = self.plain({"and": "Mul", "or": "Max", "xor": "Sub"}[function], one, other)
        if function == "xor":
            combined = self.plain("Abs", combined)
        parts = self.plain("Mul", combined, self.out.numbers(1 << k for k in range(32)))
        return self.out.reduction("ReduceSum", parts, (-1,), False, Tensor(DType.I64, shape))

    def _bits_of(self, x: Term, shape: Shape, first: int) -> Term:
        """32 bits of whole numbers, 0 or 1 each, along an axis behind the others."""
        own = self.out.cast(self.out.cast(x, DType.I64), DType.U64)
        behind = self.out.reshape(self.out.expand(own, shape), (*shape, 1))
        places = self.out.constant(np.arange(first, first + 32), DType.U64)
        result = Tensor(DType.U64, (*shape, 32))
        moved = self.out.node("BitShift", (behind, places), result, direction="RIGHT")
        return self.plain("Mod", self.out.cast(moved, DType.I64), self.out.number(2, DType.I64))

    def _shifted(self, direction: str, a: Term, b: Term) -> Term:
        """ONNX moves bits of unsigned numbers; to the right, those of -1 - a where a is below 0."""
        if direction == "LEFT" or not a.dtype.is_signed:
            return self._moved(direction, a, b)
        below = self._compare("lt", a, self.out.number(0, a.dtype))
        moved = self._moved(direction, self.where(below, self._unary("not", a), a), b)
        return self.where(below, self._unary("not", moved), moved)

    def _moved(self, direction: str, a: Term, b: Term) -> Term:
        number, places = (
            self.out.cast(self.out.cast(each, DType.I64), DType.U64) for each in (a, b)
        )
        shape = broadcast_shapes("shift", [a.shape, b.shape])
        moved = Tensor(DType.U64, shape)
        found = self.out.node("BitShift", (number, places), moved, direction=direction)
        return self.out.cast(found, a.dtype)

    def _floor_divided(self, a: Term, b: Term) -> Term:
        """ONNX rounds toward zero: one less where that is above the quotient."""
        quotient = self.plain("Div", a, b)
        if not a.dtype.is_signed:
            return quotient
        zero = self.out.number(0, a.dtype)
        rest = self.plain("Sub", a, self.plain("Mul", quotient, b))
        unlike = self.plain("Xor", *(self._compare("lt", each, zero) for each in (rest, b)))
        above = self.plain("And", self._compare("ne", rest, zero), unlike)
        return self.plain("Sub", quotient, self.out.cast(above, a.dtype))

    def _compare(self, relation: str, a: Term, b: Term) -> Term:
        if relation == "ne":
            return self.plain("Not", self._compare("eq", a, b))
        if a.dtype is DType.BOOL and relation != "eq":
            a, b = (self.out.cast(each, DType.I32) for each in (a, b))
        return self.plain(_RELATIONS[relation], a, b, to=DType.BOOL)

    def where(self, condition: Term, then: Term, otherwise: Term) -> Term:
        """Writes a choice."""
        dtype = then.dtype
        if dtype is DType.BOOL:
            then, otherwise = (self.out.cast(each, DType.I32) for each in (then, otherwise))
        made = self.plain("Where", condition, then, otherwise)
        return self.out.cast(made, dtype)

    def _cast(self, x: Term, dtype: DType, saturate: bool) -> Term:
        if dtype.is_narrow and dtype.is_float:
            return self._to_narrow(x, dtype, saturate)
        if saturate and x.dtype.is_narrow:
            x = self.out.cast(x, DType.F32 if x.dtype.is_float else DType.I32)
        if saturate and dtype.is_integer:
            low, high = _limits(x.dtype, dtype)
            x = self.plain("Max", x, self.out.number(low, x.dtype))
            x = self.plain("Min", x, self.out.number(high, x.dtype))
        return self.out.cast(x, dtype)

    def _to_narrow(self, x: Term, dtype: DType, saturate: bool) -> Term:
        """Only types of 8 bits are asked whether they saturate; bf16 does not."""
        if dtype is DType.BF16 and saturate:
            raise ForeignError("its expression saturates in bf16")
        if dtype is DType.BF16 or x.dtype is dtype:
            return self.out.cast(x, dtype)
        said = {"saturate": int(saturate)} if dtype is not DType.F4E2M1 else {}
        number = foreign_type(dtype)
        return self.out.node("Cast", (x,), x.type.with_dtype(dtype), to=number, **said)


def _computed(op_type: str, dtype: DType) -> DType:
    """The type that readers compute with: u64 is i64 for what wraps the same."""
    if dtype is DType.U64 and op_type in _WRAPPING:
        return DType.I64
    return WIDE.get(dtype, dtype)


def _limits(source: DType, target: DType) -> tuple[float | int, float | int]:
    """The numbers of one type next to the ends of another one's range, but within it."""
    least, most = type_range(target)
    if source.is_integer:
        own = type_range(source)
        return max(least, own[0]), min(most, own[1])
    high = source.numpy.type(most)
    if int(high) > most:
        high = np.nextafter(high, source.numpy.type(0))
    return float(source.numpy.type(least)), float(high)
