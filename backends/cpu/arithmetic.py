"""Prints the operations of the scalar language on values, for one element or for a vector.

What each operation means is said by `dhc.ir.evaluate`: minima and maxima propagate NaN, divisions
round toward minus infinity, and an integer divided by zero is zero.
"""

from __future__ import annotations

from dataclasses import replace

from dhc.backends.cpu.function import FunctionText
from dhc.backends.cpu.values import (
    Value,
    constant_value,
    conversion,
    is_zero,
    llvm_type,
    overload,
)
from dhc.ir.number import type_range
from dhc.ir.types import DType

_FLOAT = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_INTEGER = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor"}
_INTRINSICS = {
    "exp": "exp", "log": "log", "tanh": "tanh", "sqrt": "sqrt", "sin": "sin", "cos": "cos",
    "floor": "floor", "ceil": "ceil", "round": "rint", "trunc": "trunc", "abs": "fabs",
}  # fmt: skip


class Arithmetic:
    """Appends instructions to a function.

    Args:
        function: Where they go.
        lanes: Vector width in vector mode.
    """

    def __init__(self, function: FunctionText, lanes: int) -> None:
        self.function = function
        self.lanes = lanes

    # ---- lanes -----------------------------------------------------------------------------

    def spread(self, value: Value) -> Value:
        """Returns a vector whose lanes are all `value`."""
        if value.lanes == self.lanes:
            return value
        if not value.text.startswith("%"):
            return Value(f"splat ({value.type} {value.text})", value.dtype, self.lanes)
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

    def across(self, function: str, value: Value) -> Value:
        """Returns what a function of two values makes of all lanes, in any order."""
        half = value.lanes // 2
        while half:
            mask = ", ".join(f"i32 {lane ^ half}" for lane in range(value.lanes))
            text = self.function.let(
                f"shufflevector {value.type} {value.text}, {value.type} poison, "
                f"<{value.lanes} x i32> <{mask}>"
            )
            value = self.binary(function, value, replace(value, text=text))
            half //= 2
        return self.extract(value, 0)

    def together(self, *values: Value) -> list[Value]:
        """Returns the values as vectors, if any of them is one."""
        if all(value.lanes == 1 for value in values):
            return list(values)
        return [self.spread(value) for value in values]

    def per_lane(self, function: str, *values: Value) -> Value:
        """Calls a function on single values, for every lane."""
        first = values[0]
        if first.lanes == 1:
            arguments = [(value.type, value.text) for value in values]
            return Value(self.function.call(first.type, function, *arguments), first.dtype)
        result = "poison"
        for lane in range(first.lanes):
            one = self.per_lane(function, *(self.extract(value, lane) for value in values))
            result = self.function.let(
                f"insertelement {first.type} {result}, {one.type} {one.text}, i64 {lane}"
            )
        return Value(result, first.dtype, first.lanes)

    def _as(self, like: Value, instruction: str) -> Value:
        return Value(self.function.let(instruction), like.dtype, like.lanes)

    def _infix(self, instruction: str, left: Value, right: Value) -> Value:
        return self._as(left, f"{instruction} {left.type} {left.text}, {right.text}")

    def _number(self, value: int, like: Value) -> Value:
        return constant_value(value, like.dtype, like.lanes)

    def intrinsic(self, name: str, *values: Value) -> Value:
        """Calls one of LLVM's own functions."""
        first = values[0]
        arguments = [(value.type, value.text) for value in values]
        text = self.function.call(first.type, f"llvm.{name}.{overload(first)}", *arguments)
        return Value(text, first.dtype, first.lanes)

    # ---- choices -----------------------------------------------------------------------------

    def select(self, condition: Value, then: Value, otherwise: Value) -> Value:
        """Returns `then` where the condition holds, else `otherwise`."""
        if condition.lanes == 1:
            then, otherwise = self.together(then, otherwise)
        else:
            condition, then, otherwise = self.together(condition, then, otherwise)
        arms = f"{then.type} {then.text}, {otherwise.type} {otherwise.text}"
        text = self.function.let(f"select {condition.type} {condition.text}, {arms}")
        return Value(text, then.dtype, then.lanes)

    def compare(self, relation: str, left: Value, right: Value) -> Value:
        """Returns whether a relation holds; none but `ne` holds for NaN."""
        left, right = self.together(left, right)
        if left.dtype.is_float:
            text = f"fcmp {'une' if relation == 'ne' else 'o' + relation} {left.type}"
        elif relation in ("eq", "ne"):
            text = f"icmp {relation} {left.type}"
        else:
            text = f"icmp {'s' if left.dtype.is_signed else 'u'}{relation} {left.type}"
        result = self.function.let(f"{text} {left.text}, {right.text}")
        return Value(result, DType.BOOL, left.lanes)

    def _extreme(self, name: str, left: Value, right: Value) -> Value:
        if left.dtype is DType.BOOL:
            return self._infix("and" if name == "min" else "or", left, right)
        if not left.dtype.is_float:
            sign = "s" if left.dtype.is_signed else "u"
            return self.intrinsic(f"{sign}{name}", left, right)
        relation = "gt" if name == "max" else "lt"
        if _is_number(right):
            # One instruction: where the constant does not win, x does, also when it is NaN.
            return self.select(self.compare(relation, right, left), right, left)
        best = self.select(self.compare(relation, left, right), left, right)
        return self.select(self.compare("ne", left, left), left, best)

    # ---- arithmetic ----------------------------------------------------------------------------

    def unary(self, name: str, x: Value) -> Value:
        """Prints a function of one value."""
        if name == "not":
            ones = constant_value(True if x.dtype is DType.BOOL else -1, x.dtype, x.lanes)
            return self._infix("xor", x, ones)
        if name == "neg" and not x.dtype.is_float:
            return self._infix("sub", self._number(0, x), x)
        if name == "neg":
            return self._as(x, f"fneg {x.type} {x.text}")
        if name == "abs" and x.dtype.is_integer:
            return self._integer_abs(x)
        if name == "erf":
            return self.per_lane("erf" if x.dtype is DType.F64 else "erff", x)
        return self.intrinsic(_INTRINSICS[name], x)

    def _integer_abs(self, x: Value) -> Value:
        if not x.dtype.is_signed:
            return x
        arguments = ((x.type, x.text), ("i1", "false"))
        return Value(
            self.function.call(x.type, f"llvm.abs.{overload(x)}", *arguments), x.dtype, x.lanes
        )

    def binary(self, name: str, left: Value, right: Value, positive: bool = False) -> Value:
        """Prints a function of two values.

        Args:
            name: Its name in the scalar language.
            left: The first operand.
            right: The second operand.
            positive: Whether neither is negative, and the second is not zero.
        """
        left, right = self.together(left, right)
        if name in ("min", "max"):
            return self._extreme(name, left, right)
        if left.dtype.is_float:
            return self._float(name, left, right)
        if name in _INTEGER:
            return self._infix(_INTEGER[name], left, right)
        if name in ("shl", "shr"):
            right_shift = "ashr" if left.dtype.is_signed else "lshr"
            return self._infix("shl" if name == "shl" else right_shift, left, right)
        if name == "pow":
            return self._integer_power(left, right)
        if positive:
            return self._infix("udiv" if name == "floordiv" else "urem", left, right)
        return self._divide(name, left, right)

    def fma(self, left: Value, right: Value, addend: Value) -> Value:
        """Prints a product plus an addend, rounded once.

        For f16 the product is exact in f64, and so is any sum near the middle of two f16 numbers.
        """
        values = self.together(left, right, addend)
        if left.dtype is not DType.F16:
            return self.intrinsic("fma", *values)
        a, b, c = (self.cast(value, DType.F64, False) for value in values)
        return self.cast(self._infix("fadd", self._infix("fmul", a, b), c), DType.F16, False)

    def _float(self, name: str, left: Value, right: Value) -> Value:
        if name in _FLOAT:
            return self._infix(_FLOAT[name], left, right)
        if name == "pow":
            return self.intrinsic("pow", left, right)
        if left.dtype is DType.F16:  # as numpy computes it
            wide = (self.cast(value, DType.F32, False) for value in (left, right))
            return self.cast(self._float(name, *wide), DType.F16, False)
        rest = self._infix("frem", left, right)
        zero = self._number(0, left)
        some = self.compare("ne", rest, zero)
        crosses = self._crosses(rest, right, some)
        if name == "mod":
            moved = self.select(crosses, self._infix("fadd", rest, right), rest)
            exact = self.compare("eq", rest, zero)
            return self.select(exact, self.intrinsic("copysign", zero, right), moved)
        return self._float_floor(left, right, rest, crosses)

    def _float_floor(self, left: Value, right: Value, rest: Value, crosses: Value) -> Value:
        """The quotient by way of the exact remainder, as numpy computes it."""
        plain = self._infix("fdiv", left, right)
        quotient = self._infix("fdiv", self._infix("fsub", left, rest), right)
        lower = self._infix("fsub", quotient, constant_value(1, left.dtype, left.lanes))
        quotient = self.select(crosses, lower, quotient)
        whole = self.intrinsic("floor", quotient)
        above = self._infix("fsub", quotient, whole)
        next_whole = self._infix("fadd", whole, constant_value(1, left.dtype, left.lanes))
        half = constant_value(0.5, left.dtype, left.lanes)
        rounded = self.select(self.compare("gt", above, half), next_whole, whole)
        zero = self._number(0, left)
        signed_zero = self.intrinsic("copysign", zero, plain)
        result = self.select(self.compare("eq", quotient, zero), signed_zero, rounded)
        return self.select(self.compare("eq", right, zero), plain, result)

    def _crosses(self, rest: Value, right: Value, some: Value) -> Value:
        """Whether a remainder that is not zero has another sign than the divisor."""
        zero = self._number(0, rest)
        below = self.compare("lt", rest, zero)
        other = self._infix("xor", below, self.compare("lt", right, zero))
        return self._infix("and", some, other)

    def _divide(self, name: str, left: Value, right: Value) -> Value:
        """Division of integers where the processor's own could trap or round otherwise."""
        signed = left.dtype.is_signed
        zero, one = self._number(0, left), self._number(1, left)
        by_zero = self.compare("eq", right, zero)
        by_minus = self.compare("eq", right, self._number(-1, left)) if signed else by_zero
        special = self._infix("or", by_zero, by_minus) if signed else by_zero
        divisor = self.select(special, one, right)
        rest = self._infix("srem" if signed else "urem", left, divisor)
        if name == "mod":
            if signed:
                crosses = self._crosses(rest, divisor, self.compare("ne", rest, zero))
                rest = self.select(crosses, self._infix("add", rest, divisor), rest)
            return self.select(special, zero, rest)
        whole = self._infix("sdiv" if signed else "udiv", left, divisor)
        if signed:
            crosses = self._crosses(rest, divisor, self.compare("ne", rest, zero))
            whole = self.select(crosses, self._infix("sub", whole, one), whole)
            whole = self.select(by_minus, self._infix("sub", zero, left), whole)
        return self.select(by_zero, zero, whole)

    def _integer_power(self, base: Value, power: Value) -> Value:
        kind, sign = llvm_type(base.dtype), "s" if base.dtype.is_signed else "u"
        name = f"power_{sign}_{kind}"
        self.function.definitions[name] = _POWER.format(name=name, type=kind, sign=sign)
        return self.per_lane(name, base, power)

    # ---- conversions -----------------------------------------------------------------------------

    def cast(self, x: Value, dtype: DType, saturate: bool) -> Value:
        """Converts, toward zero where digits are lost; `saturate` clamps to the range first."""
        if x.dtype is dtype:
            return x
        if dtype is DType.BOOL:
            return self.compare("ne", x, self._number(0, x))
        kind = llvm_type(dtype, x.lanes)
        if x.dtype.is_float and dtype.is_integer and saturate:
            name = f"llvm.fpto{'s' if dtype.is_signed else 'u'}i.sat"
            suffix = f"{overload(Value('', dtype, x.lanes))}.{overload(x)}"
            text = self.function.call(kind, f"{name}.{suffix}", (x.type, x.text))
            return Value(text, dtype, x.lanes)
        if saturate and x.dtype.is_integer and dtype.is_integer:
            x = self._clamp(x, dtype)
        if kind == x.type:
            return Value(x.text, dtype, x.lanes)
        if x.dtype is DType.F64 and dtype is DType.F16:
            x = self._to_odd(x)
        text = self.function.let(f"{conversion(x.dtype, dtype)} {x.type} {x.text} to {kind}")
        return Value(text, dtype, x.lanes)

    def _clamp(self, x: Value, dtype: DType) -> Value:
        (low, high), (least, most) = type_range(dtype), type_range(x.dtype)
        for name, bound in (("max", max(low, least)), ("min", min(high, most))):
            x = self._extreme(name, x, self._number(int(bound), x))
        return x

    def _to_odd(self, x: Value) -> Value:
        """Rounds f64 to f32 so that rounding again, to f16, gives the number nearest to x.

        LLVM would call a function that is not everywhere. A number that is not exact becomes the
        neighbour whose last bit is 1: it lies on the same side of any tie as x does (rounding to
        odd; Boldo and Melquiond 2008).
        """
        near = self.cast(x, DType.F32, False)
        back = self.cast(near, DType.F64, False)
        beyond = self.compare("gt", self.unary("abs", back), self.unary("abs", x))
        bits = self.bitcast(near, DType.I32)
        lower = self._infix("sub", bits, self.cast(beyond, DType.I32, False))
        odd = self._infix("or", lower, self._number(1, bits))
        bits = self.select(self.compare("ne", back, x), odd, bits)
        return self.bitcast(bits, DType.F32)

    def bitcast(self, x: Value, dtype: DType) -> Value:
        """Reads the same bits as another type."""
        kind = llvm_type(dtype, x.lanes)
        if kind == x.type:
            return Value(x.text, dtype, x.lanes)
        return Value(self.function.let(f"bitcast {x.type} {x.text} to {kind}"), dtype, x.lanes)


def _is_number(value: Value) -> bool:
    """Whether a float is a constant that is not NaN."""
    text = value.text.removeprefix("splat (").rstrip(")").split(" ")[-1]
    if not text.startswith("0x") or text.startswith("0xH"):
        return is_zero(value)
    bits = int(text, 16)
    return bits & 0x7FFFFFFFFFFFFFFF <= 0x7FF0000000000000


_POWER = """define internal {type} @{name}({type} %base, {type} %power) {{
entry:
  br label %loop
loop:
  %left = phi {type} [ %power, %entry ], [ %half, %turn ]
  %square = phi {type} [ %base, %entry ], [ %next, %turn ]
  %result = phi {type} [ 1, %entry ], [ %kept, %turn ]
  %more = icmp {sign}gt {type} %left, 0
  br i1 %more, label %turn, label %done
turn:
  %bit = and {type} %left, 1
  %odd = icmp ne {type} %bit, 0
  %product = mul {type} %result, %square
  %kept = select i1 %odd, {type} %product, {type} %result
  %next = mul {type} %square, %square
  %half = lshr {type} %left, 1
  br label %loop
done:
  ret {type} %result
}}"""
