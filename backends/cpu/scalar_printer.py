"""Prints scalar expressions as LLVM instructions, for one element or for a whole vector of them.

In vector mode one index variable, the *lane variable*, stands for consecutive values. What depends
on it is *varying* and printed as a vector; the rest stays scalar and is spread when the two meet.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from dhc.backends.cpu.function import FunctionText
from dhc.ir.evaluate import reduce_identity
from dhc.ir.scalar import (
    Binary,
    Bitcast,
    Buffer,
    Cast,
    Compare,
    Const,
    Fma,
    Load,
    Number,
    Scalar,
    Select,
    Unary,
    Var,
)
from dhc.ir.simplify import interval
from dhc.ir.types import DType

_TYPES = {DType.F64: "double", DType.F32: "float", DType.F16: "half", DType.BOOL: "i1"}
ZERO_BYTES = 256
ZEROS = f"@zeros = internal constant [{ZERO_BYTES} x i8] zeroinitializer, align 64"
_FLOAT = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_INTEGER = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor"}
_SUFFIX = {DType.F64: "f64", DType.F32: "f32", DType.F16: "f16"}
_INTRINSICS = {
    "exp": "exp", "log": "log", "tanh": "tanh", "sqrt": "sqrt", "sin": "sin", "cos": "cos",
    "floor": "floor", "ceil": "ceil", "round": "rint", "trunc": "trunc", "abs": "fabs",
}  # fmt: skip


@dataclass(frozen=True)
class Value:
    """A printed value; `lanes` is 1 for a scalar."""

    text: str
    dtype: DType
    lanes: int = 1

    @property
    def type(self) -> str:
        return llvm_type(self.dtype, self.lanes)


@dataclass
class Scope:
    """What names mean at one place of a kernel.

    Attributes:
        values: Immutable variables.
        cells: Mutable variables: memory, type and lanes.
        steps: How much an integer variable grows from lane to lane; None where not evenly.
        pointers: Where buffers start.
        lane: The lane variable, in vector mode.
    """

    values: dict[Var, Value] = field(default_factory=dict)
    cells: dict[Var, Value] = field(default_factory=dict)
    steps: dict[Var, int | None] = field(default_factory=dict)
    pointers: dict[Buffer, str] = field(default_factory=dict)
    lane: Var | None = None

    def copy(self) -> Scope:
        return Scope(
            dict(self.values), dict(self.cells), dict(self.steps), dict(self.pointers), self.lane
        )


def llvm_type(dtype: DType, lanes: int = 1) -> str:
    """Returns LLVM's name of a type in registers."""
    scalar = _TYPES.get(dtype) or f"i{dtype.bits}"
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


def memory_type(dtype: DType, lanes: int = 1) -> str:
    """Returns LLVM's name of a type in memory, where a bool is a byte."""
    scalar = "i8" if dtype is DType.BOOL else llvm_type(dtype)
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


def constant(value: Number, dtype: DType) -> str:
    """Returns a number as LLVM writes it; floats by their exact bits."""
    if dtype is DType.BOOL:
        return "true" if value else "false"
    if not dtype.is_float:
        return str(int(value))
    if dtype is DType.F16:
        return f"0xH{struct.unpack('<H', struct.pack('<e', value))[0]:04X}"
    if dtype is DType.F32:
        value = _to_f32(float(value))
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def _to_f32(value: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


class ScalarPrinter:
    """Appends instructions to a function.

    Args:
        function: Where they go.
        lanes: Vector width in vector mode.
    """

    def __init__(self, function: FunctionText, lanes: int) -> None:
        self.function = function
        self.lanes = lanes

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

    def spread(self, value: Value) -> Value:
        """Returns a vector whose lanes are all `value`."""
        if value.lanes == self.lanes:
            return value
        if not value.text.startswith("%"):
            splat = f"splat ({value.type} {value.text})"
            return Value(splat, value.dtype, self.lanes)
        kind = llvm_type(value.dtype, self.lanes)
        first = self.function.let(f"insertelement {kind} poison, {value.type} {value.text}, i64 0")
        mask = f"<{self.lanes} x i32> zeroinitializer"
        text = self.function.let(f"shufflevector {kind} {first}, {kind} poison, {mask}")
        return Value(text, value.dtype, self.lanes)

    def extract(self, value: Value, lane: int) -> Value:
        """Returns one lane."""
        if value.lanes == 1:
            return value
        text = self.function.let(f"extractelement {value.type} {value.text}, i64 {lane}")
        return Value(text, value.dtype)

    def _together(self, *values: Value) -> list[Value]:
        if all(value.lanes == 1 for value in values):
            return list(values)
        return [self.spread(value) for value in values]

    # ---- expressions ---------------------------------------------------------------------------

    def value(self, expression: Scalar, scope: Scope) -> Value:
        """Prints an expression and returns its value."""
        match expression:
            case Const(value, dtype):
                return Value(constant(value, dtype), dtype)
            case Var():
                return self._variable(expression, scope)
            case Unary():
                return self._unary(expression, self.value(expression.operand, scope))
            case Binary():
                return self._binary(expression, scope)
            case Compare(relation, left, right):
                return self._compare(relation, self.value(left, scope), self.value(right, scope))
            case Select(condition, then, otherwise):
                parts = [self.value(e, scope) for e in (condition, then, otherwise)]
                return self.select(*parts)
            case Fma(left, right, addend):
                factors = self._together(*(self.value(e, scope) for e in (left, right, addend)))
                return self._intrinsic("fma", *factors)
            case Cast(operand, dtype, saturate):
                return self._cast(self.value(operand, scope), dtype, saturate)
            case Bitcast(operand, dtype):
                bits = self.value(operand, scope)
                kind = llvm_type(dtype, bits.lanes)
                text = self.function.let(f"bitcast {bits.type} {bits.text} to {kind}")
                return Value(text, dtype, bits.lanes)
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

    def select(self, condition: Value, then: Value, otherwise: Value) -> Value:
        if condition.lanes == 1:
            then, otherwise = self._together(then, otherwise)
        else:
            condition, then, otherwise = self._together(condition, then, otherwise)
        arms = f"{then.type} {then.text}, {otherwise.type} {otherwise.text}"
        text = self.function.let(f"select {condition.type} {condition.text}, {arms}")
        return Value(text, then.dtype, then.lanes)

    def _unary(self, expression: Unary, x: Value) -> Value:
        name, real = expression.function, x.dtype.is_float
        if name == "not":
            ones = "true" if x.dtype is DType.BOOL else "-1"
            if x.lanes > 1:
                ones = f"splat ({llvm_type(x.dtype, 1)} {ones})"
            return self._as(x, f"xor {x.type} {x.text}, {ones}")
        if name == "neg":
            zero = "zeroinitializer" if x.lanes > 1 else "0"
            return self._as(
                x, f"fneg {x.type} {x.text}" if real else f"sub {x.type} {zero}, {x.text}"
            )
        if name == "abs" and not real:
            text = self.function.call(
                x.type, f"llvm.abs.{_overload(x)}", (x.type, x.text), ("i1", "false")
            )
            return Value(text, x.dtype, x.lanes)
        if name == "erf":
            return self._per_lane(x, "erf" if x.dtype is DType.F64 else "erff")
        return self._intrinsic(_INTRINSICS[name], x)

    def _per_lane(self, x: Value, function: str) -> Value:
        """Calls a library function for every lane."""
        if x.lanes == 1:
            return Value(self.function.call(x.type, function, (x.type, x.text)), x.dtype)
        result = "poison"
        for lane in range(x.lanes):
            one = self.extract(x, lane)
            text = self.function.call(one.type, function, (one.type, one.text))
            result = self.function.let(
                f"insertelement {x.type} {result}, {one.type} {text}, i64 {lane}"
            )
        return Value(result, x.dtype, x.lanes)

    def _intrinsic(self, name: str, *values: Value) -> Value:
        first = values[0]
        arguments = [(value.type, value.text) for value in values]
        text = self.function.call(first.type, f"llvm.{name}.{_overload(first)}", *arguments)
        return Value(text, first.dtype, first.lanes)

    def _as(self, like: Value, instruction: str) -> Value:
        return Value(self.function.let(instruction), like.dtype, like.lanes)

    def _binary(self, expression: Binary, scope: Scope) -> Value:
        name = expression.function
        left, right = self.value(expression.left, scope), self.value(expression.right, scope)
        left, right = self._together(left, right)
        if name in ("min", "max"):
            return self._extreme(name, left, right, expression.right)
        if left.dtype.is_float and name in _FLOAT:
            return self._as(left, f"{_FLOAT[name]} {left.type} {left.text}, {right.text}")
        if left.dtype.is_float:
            return self._float_rest(name, left, right)
        if name in _INTEGER:
            return self._as(left, f"{_INTEGER[name]} {left.type} {left.text}, {right.text}")
        if name in ("shl", "shr"):
            shift = "shl" if name == "shl" else ("ashr" if left.dtype.is_signed else "lshr")
            return self._as(left, f"{shift} {left.type} {left.text}, {right.text}")
        return self._divide(name, expression, left, right)

    def _float_rest(self, name: str, left: Value, right: Value) -> Value:
        if name == "pow":
            return self._intrinsic("pow", left, right)
        quotient = self._as(left, f"fdiv {left.type} {left.text}, {right.text}")
        whole = self._intrinsic("floor", quotient)
        if name == "floordiv":
            return whole
        back = self._as(left, f"fmul {left.type} {whole.text}, {right.text}")
        return self._as(left, f"fsub {left.type} {left.text}, {back.text}")

    def _divide(self, name: str, expression: Binary, left: Value, right: Value) -> Value:
        """Integer division toward minus infinity; plain where both are known not to be negative."""
        bounds = interval(expression.left)
        positive = isinstance(expression.right, Const) and int(expression.right.value) > 0
        simple = not left.dtype.is_signed or (positive and bounds is not None and bounds[0] >= 0)
        quotient, remainder = ("udiv", "urem") if simple else ("sdiv", "srem")
        rest = self._as(left, f"{remainder} {left.type} {left.text}, {right.text}")
        if simple and name == "mod":
            return rest
        whole = self._as(left, f"{quotient} {left.type} {left.text}, {right.text}")
        if simple:
            return whole
        return self._toward_minus(name, whole, rest, right)

    def _toward_minus(self, name: str, whole: Value, rest: Value, right: Value) -> Value:
        zero = "zeroinitializer" if rest.lanes > 1 else "0"
        flag = llvm_type(DType.BOOL, rest.lanes)
        some = self.function.let(f"icmp ne {rest.type} {rest.text}, {zero}")
        signs = self.function.let(f"xor {rest.type} {rest.text}, {right.text}")
        differ = self.function.let(f"icmp slt {rest.type} {signs}, {zero}")
        fix = self.function.let(f"and {flag} {some}, {differ}")
        if name == "mod":
            moved = self._as(rest, f"add {rest.type} {rest.text}, {right.text}")
            return self.select(Value(fix, DType.BOOL, rest.lanes), moved, rest)
        one = self.function.let(f"sext {flag} {fix} to {rest.type}")
        return self._as(whole, f"add {whole.type} {whole.text}, {one}")

    def _extreme(self, name: str, left: Value, right: Value, second: Scalar) -> Value:
        """Min and max; NaN in either operand is the result."""
        if not left.dtype.is_float:
            sign = "s" if left.dtype.is_signed else "u"
            return self._intrinsic(f"{sign}{name}", left, right)
        relation = "ogt" if name == "max" else "olt"
        if isinstance(second, Const) and second.value == second.value:
            # One instruction: where the constant does not win, x does, also when it is NaN.
            wins = self._as(left, f"fcmp {relation} {left.type} {right.text}, {left.text}")
            return self.select(Value(wins.text, DType.BOOL, left.lanes), right, left)
        wins = self._as(left, f"fcmp {relation} {left.type} {left.text}, {right.text}")
        best = self.select(Value(wins.text, DType.BOOL, left.lanes), left, right)
        nan = self._as(left, f"fcmp uno {left.type} {left.text}, {left.text}")
        return self.select(Value(nan.text, DType.BOOL, left.lanes), left, best)

    def _compare(self, relation: str, left: Value, right: Value) -> Value:
        left, right = self._together(left, right)
        if left.dtype.is_float:
            text = f"fcmp {'une' if relation == 'ne' else 'o' + relation} {left.type}"
        elif relation in ("eq", "ne"):
            text = f"icmp {relation} {left.type}"
        else:
            signed = left.dtype.is_signed
            text = f"icmp {'s' if signed else 'u'}{relation} {left.type}"
        result = self.function.let(f"{text} {left.text}, {right.text}")
        return Value(result, DType.BOOL, left.lanes)

    # ---- conversions -----------------------------------------------------------------------------

    def _cast(self, x: Value, dtype: DType, saturate: bool) -> Value:
        if x.dtype is dtype:
            return x
        if dtype is DType.BOOL:
            zero = "zeroinitializer" if x.lanes > 1 else ("0.0" if x.dtype.is_float else "0")
            compare = "fcmp une" if x.dtype.is_float else "icmp ne"
            return Value(self.function.let(f"{compare} {x.type} {x.text}, {zero}"), dtype, x.lanes)
        kind = llvm_type(dtype, x.lanes)
        if x.dtype.is_float and not dtype.is_float and saturate:
            name = f"llvm.fpto{'s' if dtype.is_signed else 'u'}i.sat"
            target = Value("", dtype, x.lanes)
            text = self.function.call(
                kind, f"{name}.{_overload(target)}.{_overload(x)}", (x.type, x.text)
            )
            return Value(text, dtype, x.lanes)
        if saturate and not x.dtype.is_float and dtype.is_integer:
            x = self._clamp_integer(x, dtype)
        if kind == x.type:
            return Value(x.text, dtype, x.lanes)
        text = self.function.let(f"{_conversion(x.dtype, dtype)} {x.type} {x.text} to {kind}")
        return Value(text, dtype, x.lanes)

    def _clamp_integer(self, x: Value, dtype: DType) -> Value:
        low, high = int(reduce_identity("max", dtype)), int(reduce_identity("min", dtype))
        own_low, own_high = (
            int(reduce_identity("max", x.dtype)),
            int(reduce_identity("min", x.dtype)),
        )
        for name, bound in (("max", max(low, own_low)), ("min", min(high, own_high))):
            limit = Value(str(bound), x.dtype)
            limit = self.spread(limit) if x.lanes > 1 else limit
            x = self._intrinsic(f"{'s' if x.dtype.is_signed else 'u'}{name}", x, limit)
        return x

    # ---- memory ----------------------------------------------------------------------------------

    def _load(self, load: Load, scope: Scope) -> Value:
        guard = self.value(load.guard, scope) if load.guard is not None else None
        other = self.value(load.otherwise, scope) if load.otherwise is not None else None
        steps = [self.step(i, scope) for i in load.index]
        stride = _stride(load.buffer, steps)
        uniform = stride == 0 and (guard is None or guard.lanes == 1)
        if uniform:
            return self._read(load.buffer, self._offset(load, scope, 0), 1, guard, other)
        if stride == 1 and (guard is None or guard.lanes == 1):
            first = self._offset(load, scope, 0)
            return self._read(load.buffer, first, self.lanes, guard, other)
        return self._gather(load, scope, guard, other)

    def _gather(self, load: Load, scope: Scope, guard: Value | None, other: Value | None) -> Value:
        dtype = load.buffer.type
        kind = llvm_type(dtype, self.lanes)
        result = "poison"
        for lane in range(self.lanes):
            allowed = self.extract(guard, lane) if guard is not None else None
            fill = self.extract(other, lane) if other is not None else None
            one = self._read(load.buffer, self._offset(load, scope, lane), 1, allowed, fill)
            result = self.function.let(
                f"insertelement {kind} {result}, {one.type} {one.text}, i64 {lane}"
            )
        return Value(result, dtype, self.lanes)

    def _offset(self, access: Load, scope: Scope, lane: int) -> Value:
        return self.offset(access.buffer, access.index, scope, lane)

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
        if step == 0:
            return self.value(expression, scope).text
        if step is not None and lane == 0:
            return self._first_lane(expression, scope)
        return self.extract(self.value(expression, scope), lane).text

    def _first_lane(self, expression: Scalar, scope: Scope) -> str:
        match expression:
            case Var() if expression is scope.lane:
                return scope.values[expression].text
            case Binary("add" | "sub" | "mul" as name, left, right):
                a, b = self.at_lane(left, scope, 0), self.at_lane(right, scope, 0)
                return self.function.let(f"{name} i64 {a}, {b}")
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
        if guard is None or other is None or _is_zero(other):
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
        for lane in range(self.lanes):
            place = self.offset(buffer, index, scope, lane)
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


def _is_zero(value: Value) -> bool:
    return value.text in ("0", "false", "0x0000000000000000", "0xH0000")


def _overload(value: Value) -> str:
    """The suffix by which LLVM tells apart the types of an intrinsic."""
    scalar = _SUFFIX.get(value.dtype) or f"i{value.dtype.bits}"
    return scalar if value.lanes == 1 else f"v{value.lanes}{scalar}"


def _conversion(source: DType, target: DType) -> str:
    if source.is_float and target.is_float:
        return "fpext" if target.bits > source.bits else "fptrunc"
    if source.is_float:
        return "fptosi" if target.is_signed else "fptoui"
    signed = source.is_signed and source is not DType.BOOL
    if target.is_float:
        return "sitofp" if signed else "uitofp"
    if source is not DType.BOOL and target.bits <= source.bits:
        return "trunc"
    return "sext" if signed else "zext"
