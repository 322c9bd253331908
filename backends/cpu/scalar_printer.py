"""Prints scalar expressions as LLVM instructions, for one element or for a whole vector of them.

In vector mode one index variable, the *lane variable*, stands for consecutive values. What depends
on it is *varying* and printed as a vector; the rest stays scalar and is spread when the two meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dhc.backends.cpu.arithmetic import Arithmetic
from dhc.backends.cpu.function import FunctionText
from dhc.backends.cpu.values import Value, constant, is_zero, llvm_type, memory_type
from dhc.ir.scalar import (
    Binary,
    Bitcast,
    Buffer,
    Cast,
    Compare,
    Const,
    Fma,
    Load,
    Scalar,
    Select,
    Unary,
    Var,
)
from dhc.ir.simplify import interval
from dhc.ir.types import DType

ZERO_BYTES = 256
ZEROS = f"@zeros = internal constant [{ZERO_BYTES} x i8] zeroinitializer, align 64"


@dataclass
class Scope:
    """What names mean at one place of a kernel.

    Attributes:
        values: Immutable variables.
        cells: Mutable variables: memory, type and lanes.
        steps: How much an integer variable grows from lane to lane; None where not evenly.
        aligned: Integer variables whose first lane is a multiple of the number of lanes.
        pointers: Where buffers start.
        lane: The lane variable, in vector mode.
    """

    values: dict[Var, Value] = field(default_factory=dict)
    cells: dict[Var, Value] = field(default_factory=dict)
    steps: dict[Var, int | None] = field(default_factory=dict)
    aligned: set[Var] = field(default_factory=set)
    pointers: dict[Buffer, str] = field(default_factory=dict)
    lane: Var | None = None

    def copy(self) -> Scope:
        return Scope(
            dict(self.values), dict(self.cells), dict(self.steps), set(self.aligned),
            dict(self.pointers), self.lane,
        )  # fmt: skip


class ScalarPrinter(Arithmetic):
    """Appends the instructions of expressions to a function.

    Args:
        function: Where they go.
        lanes: Vector width in vector mode.
    """

    def __init__(self, function: FunctionText, lanes: int) -> None:
        super().__init__(function, lanes)
        self._pointers: dict[Buffer, str] = {}

    # ---- lanes -------------------------------------------------------------------------------

    def step(self, expression: Scalar, scope: Scope) -> int | None:
        """How much an expression grows from lane to lane: 0 if it is uniform, None if unevenly."""
        match expression:
            case Const():
                return 0
            case Var():
                if expression is scope.lane:
                    return 1
                return scope.steps.get(expression, 0)
            case Binary("floordiv" | "mod" as function, left, Const(divisor)) if (
                self._lanes_stay_together(left, int(divisor), scope)
            ):
                return 0 if function == "floordiv" else 1
            case Binary(function, left, right):
                a, b = self.step(left, scope), self.step(right, scope)
                return _combined_step(function, a, b, left, right)
            case Load(_, index, guard, otherwise):
                parts = (*index, *(e for e in (guard, otherwise) if e is not None))
            case Unary(_, operand) | Cast(operand) | Bitcast(operand):
                parts = (operand,)
            case Compare(_, left, right):
                parts = (left, right)
            case Select(condition, then, otherwise):
                parts = (condition, then, otherwise)
            case Fma(left, right, addend):
                parts = (left, right, addend)
            case _:
                raise TypeError(f"cannot print {type(expression).__name__}")
        return 0 if all(self.step(part, scope) == 0 for part in parts) else None

    def _lanes_stay_together(self, dividend: Scalar, divisor: int, scope: Scope) -> bool:
        """Whether consecutive lanes have the same quotient, and so consecutive remainders."""
        whole = divisor > 0 and divisor % self.lanes == 0
        return whole and self.step(dividend, scope) == 1 and self.is_aligned(dividend, scope)

    def is_aligned(self, expression: Scalar, scope: Scope) -> bool:
        """Whether an index is a multiple of the number of lanes in its first lane, surely."""
        match expression:
            case Const(value):
                return int(value) % self.lanes == 0
            case Var():
                return expression is scope.lane or expression in scope.aligned
            case Binary("add" | "sub", left, right):
                return self.is_aligned(left, scope) and self.is_aligned(right, scope)
            case Binary("mul", left, right):
                return self.is_aligned(left, scope) or self.is_aligned(right, scope)
        return False

    # ---- expressions ---------------------------------------------------------------------------

    def value(self, expression: Scalar, scope: Scope) -> Value:
        """Prints an expression and returns its value."""
        match expression:
            case Const(value, dtype):
                return Value(constant(value, dtype), dtype)
            case Var():
                return self._variable(expression, scope)
            case Unary():
                return self.unary(expression.function, self.value(expression.operand, scope))
            case Binary():
                return self._binary(expression, scope)
            case Compare(relation, left, right):
                return self.compare(relation, self.value(left, scope), self.value(right, scope))
            case Select(condition, then, otherwise):
                parts = [self.value(e, scope) for e in (condition, then, otherwise)]
                return self.select(*parts)
            case Fma(left, right, addend):
                return self.fma(*(self.value(e, scope) for e in (left, right, addend)))
            case Cast(operand, dtype, saturate):
                return self.cast(self.value(operand, scope), dtype, saturate)
            case Bitcast(operand, dtype):
                return self.bitcast(self.value(operand, scope), dtype)
            case Load():
                return self._load(expression, scope)
        raise TypeError(f"cannot print {type(expression).__name__}")

    def _variable(self, variable: Var, scope: Scope) -> Value:
        if variable in scope.cells:
            cell = scope.cells[variable]
            text = self.function.let(f"load {cell.type}, ptr {cell.text}")
            return Value(text, cell.dtype, cell.lanes)
        value = scope.values[variable]
        if variable is not scope.lane:
            return value
        ramp = ", ".join(f"i64 {k}" for k in range(self.lanes))
        base = self.spread(value)
        text = self.function.let(f"add {base.type} {base.text}, <{ramp}>")
        return Value(text, value.dtype, self.lanes)

    def _binary(self, expression: Binary, scope: Scope) -> Value:
        left, right = self.value(expression.left, scope), self.value(expression.right, scope)
        return self.binary(expression.function, left, right, _is_positive(expression))

    # ---- memory ----------------------------------------------------------------------------------

    def _load(self, load: Load, scope: Scope) -> Value:
        guard = self.value(load.guard, scope) if load.guard is not None else None
        other = self.value(load.otherwise, scope) if load.otherwise is not None else None
        steps = [self.step(i, scope) for i in load.index]
        stride = _stride(load.buffer, steps)
        uniform = stride == 0 and (guard is None or guard.lanes == 1)
        if uniform:
            place = self.offset(load.buffer, load.index, scope, 0)
            return self._read(load.buffer, place, 1, guard, other)
        if stride == 1 and (guard is None or guard.lanes == 1):
            first = self.offset(load.buffer, load.index, scope, 0)
            return self._read(load.buffer, first, self.lanes, guard, other)
        places = self._places(load.buffer, load.index, stride, scope)
        return self._gather(load.buffer, places, guard, other)

    def stride(self, load: Load, scope: Scope) -> int | None:
        """How many elements apart neighbouring lanes read; None where that varies."""
        if load.guard is not None and self.step(load.guard, scope) != 0:
            return None
        return _stride(load.buffer, [self.step(i, scope) for i in load.index])

    def _places(
        self, buffer: Buffer, index: tuple[Scalar, ...], stride: int | None, scope: Scope
    ) -> list[Value]:
        """The positions of all lanes, equally far from each other if `stride` is known."""
        if stride is None:
            return [self.offset(buffer, index, scope, lane) for lane in range(self.lanes)]
        first = self.offset(buffer, index, scope, 0).text
        steps = (lane * stride for lane in range(self.lanes))
        return [Value(str(self.function.add(first, step)), DType.I64) for step in steps]

    def _gather(
        self, buffer: Buffer, places: Sequence[Value], guard: Value | None, other: Value | None
    ) -> Value:
        dtype = buffer.type
        kind = llvm_type(dtype, self.lanes)
        result = "poison"
        for lane, place in enumerate(places):
            allowed = self.extract(guard, lane) if guard is not None else None
            fill = self.extract(other, lane) if other is not None else None
            one = self._read(buffer, place, 1, allowed, fill)
            result = self.function.let(
                f"insertelement {kind} {result}, {one.type} {one.text}, i64 {lane}"
            )
        return Value(result, dtype, self.lanes)

    def offset(self, buffer: Buffer, index: tuple[Scalar, ...], scope: Scope, lane: int) -> Value:
        """The position of an element for one lane, in elements."""
        total: int | str = 0
        for i, stride in zip(index, buffer.strides, strict=True):
            place = self.at_lane(i, scope, lane)
            factor = stride if isinstance(stride, int) else self.value(stride, scope).text
            position = int(place) if place.lstrip("-").isdigit() else place
            total = self.function.add(total, self.function.multiply(position, factor))
        return Value(str(total), DType.I64)

    def at_lane(self, expression: Scalar, scope: Scope, lane: int) -> str:
        """The value of an index in one lane, as a scalar."""
        step = self.step(expression, scope)
        if step == 0 or (step is not None and lane == 0):
            return self._first_lane(expression, scope)
        return self.extract(self.value(expression, scope), lane).text

    def _first_lane(self, expression: Scalar, scope: Scope) -> str:
        match expression:
            case Var() if expression is scope.lane:
                return scope.values[expression].text
            case Binary("add" | "sub" | "mul" as name, left, right):
                a, b = self.at_lane(left, scope, 0), self.at_lane(right, scope, 0)
                return self.function.let(f"{name} i64 {a}, {b}")
            case Binary("floordiv" | "mod" as name, left, right):
                pair = [Value(self.at_lane(each, scope, 0), DType.I64) for each in (left, right)]
                return self.binary(name, pair[0], pair[1], _is_positive(expression)).text
        return self.extract(self.value(expression, scope), 0).text

    def _read(
        self, buffer: Buffer, offset: Value, lanes: int, guard: Value | None, other: Value | None
    ) -> Value:
        kind = memory_type(buffer.type, lanes)
        place = self._element(buffer, offset)
        if guard is not None:
            place = self._safe_place(buffer.type, lanes, place, guard)
        align = buffer.type.bytes
        text = self.function.let(f"load {kind}, ptr {place}, align {align}")
        if buffer.type is DType.BOOL:
            flag = llvm_type(DType.BOOL, lanes)
            text = self.function.let(f"trunc {kind} {text} to {flag}")
        value = Value(text, buffer.type, lanes)
        if guard is None or other is None or is_zero(other):
            return value
        wide = self.spread(other) if lanes > 1 else other
        return self.select(guard, value, wide)

    def _safe_place(self, dtype: DType, lanes: int, place: str, guard: Value) -> str:
        """Returns `place` where the guard holds, else memory that is zero."""
        assert lanes * dtype.bytes <= ZERO_BYTES
        self.function.declarations.add(ZEROS)
        return self.function.let(f"select i1 {guard.text}, ptr {place}, ptr @zeros")

    def _element(self, buffer: Buffer, offset: Value) -> str:
        base = self._pointers[buffer]
        kind = memory_type(buffer.type)
        return self.function.let(f"getelementptr {kind}, ptr {base}, i64 {offset.text}")

    def use(self, pointers: dict[Buffer, str]) -> None:
        """Says where buffers start."""
        self._pointers = pointers

    def store(self, buffer: Buffer, index: tuple[Scalar, ...], value: Value, scope: Scope) -> None:
        """Writes an element, or in vector mode one for each lane."""
        stride = _stride(buffer, [self.step(i, scope) for i in index])
        lanes = self.lanes if scope.lane is not None and stride == 1 else 1
        if scope.lane is None or stride == 1:
            wide = self.spread(value) if lanes > 1 else value
            self._write(buffer, self.offset(buffer, index, scope, 0), wide)
            return
        for lane, place in enumerate(self._places(buffer, index, stride, scope)):
            self._write(buffer, place, self.extract(value, lane))

    def _write(self, buffer: Buffer, offset: Value, value: Value) -> None:
        text, kind = value.text, memory_type(buffer.type, value.lanes)
        if buffer.type is DType.BOOL:
            text = self.function.let(f"zext {value.type} {value.text} to {kind}")
        place = self._element(buffer, offset)
        self.function.do(f"store {kind} {text}, ptr {place}, align {buffer.type.bytes}")


def _combined_step(
    function: str, a: int | None, b: int | None, left: Scalar, right: Scalar
) -> int | None:
    if a == 0 and b == 0:
        return 0
    if a is None or b is None:
        return None
    match function:
        case "add":
            return a + b
        case "sub":
            return a - b
        case "mul" if isinstance(right, Const):
            return a * int(right.value)
        case "mul" if isinstance(left, Const):
            return b * int(left.value)
    return None


def _stride(buffer: Buffer, steps: list[int | None]) -> int | None:
    """How far apart neighbouring lanes lie in memory; None where it is not known."""
    total = 0
    for step, stride in zip(steps, buffer.strides, strict=True):
        if step == 0:
            continue
        if step is None or not isinstance(stride, int):
            return None
        total += step * stride
    return total


def _is_positive(expression: Binary) -> bool:
    """Whether neither operand of a division is negative and the second is no zero, surely."""
    divisor = expression.right
    if not isinstance(divisor, Const) or divisor.dtype.is_float or int(divisor.value) <= 0:
        return False
    bounds = interval(expression.left)
    return not divisor.dtype.is_signed or (bounds is not None and bounds[0] >= 0)
