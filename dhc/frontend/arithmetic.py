"""Arithmetic on compile-time values: numbers, quantities, sizes, strings and lists."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from dhc.frontend.fail import error
from dhc.frontend.limits import MAX_INTEGER, check_count, check_number, too_much
from dhc.frontend.values import Quantity, Value, describe
from dhc.ir.size import Expr, Size
from dhc.source import Span

Number = int | float

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def compare(symbol: str, left: Value, right: Value, span: Span) -> bool:
    """The truth of a comparison; only numbers, quantities and strings are ordered."""
    if symbol in ("==", "!="):
        same = _equal(left, right)
        return same if symbol == "==" else not same
    comparable = (is_number(left) and is_number(right)) or (
        isinstance(left, str) and isinstance(right, str)
    )
    if isinstance(left, Quantity) and isinstance(right, Quantity) and left.unit == right.unit:
        return _COMPARISONS[symbol](left.value, right.value)
    if not comparable:
        raise _unsupported(symbol, left, right, span)
    return _COMPARISONS[symbol](left, right)


def _equal(left: Value, right: Value) -> bool:
    if isinstance(left, bool) is not isinstance(right, bool):
        return False
    return left == right


def combine(symbol: str, left: Value, right: Value, span: Span) -> Value:
    """The result of + - * / // ^ on compile-time values."""
    if isinstance(left, Quantity) or isinstance(right, Quantity):
        return _combine_quantities(symbol, left, right, span)
    if is_number(left) and is_number(right):
        assert isinstance(left, int | float)
        assert isinstance(right, int | float)
        return check_number(_combine_numbers(symbol, left, right, span), span)
    if isinstance(left, Expr | int) and isinstance(right, Expr | int):
        return _combine_sizes(symbol, left, right, span)
    if symbol == "+" and isinstance(left, str) and isinstance(right, str):
        check_count(len(left) + len(right), "A string", span)
        return left + right
    if symbol == "+" and isinstance(left, tuple) and isinstance(right, tuple):
        check_count(len(left) + len(right), "A list", span)
        return left + right
    raise _unsupported(symbol, left, right, span)


def _combine_numbers(symbol: str, left: Number, right: Number, span: Span) -> Number:
    if symbol == "^":
        return _power(left, right, span)
    if symbol in ("/", "//") and right == 0:
        raise error("division-by-zero", "This divides by zero.", span)
    try:
        match symbol:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                return _divide(left, right)
            case _:
                return left // right
    except OverflowError:
        raise too_much("This is not a finite number.", span) from None


def _divide(left: Number, right: Number) -> Number:
    """Division that stays whole where it is exact, so that `width / 2` is a number of channels."""
    if isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return left // right
    return left / right


def _power(base: Number, exponent: Number, span: Span) -> Number:
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        bits = (abs(base).bit_length() - 1) * exponent
        if abs(base) > 1 and bits > MAX_INTEGER.bit_length():
            raise too_much("This number does not fit in 64 bits.", span)
        return int(base**exponent)
    if base == 0 and exponent < 0:
        raise error("division-by-zero", "This divides by zero.", span)
    if base < 0 and not float(exponent).is_integer():
        raise error("type", "A root of a negative number is not a real number.", span)
    try:
        return math.pow(base, exponent)
    except OverflowError:
        raise too_much("This is not a finite number.", span) from None


def _combine_sizes(symbol: str, left: Size, right: Size, span: Span) -> Value:
    match symbol:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "//" if isinstance(right, int) and right > 0:
            return left // right
        case "/":
            hint = "sizes divide with //, which rounds down"
            raise error(
                "type", "A size that is not known yet cannot be divided by '/'.", span, "here", hint
            )
    message = f"'{symbol}' is not possible here on sizes that are not known yet."
    raise error("type", message, span, f"{left} {symbol} {right}")


def _combine_quantities(symbol: str, left: Value, right: Value, span: Span) -> Value:
    match symbol, left, right:
        case (("+" | "-"), Quantity(a, unit), Quantity(b, other)) if unit == other:
            return Quantity(a + b if symbol == "+" else a - b, unit)
        case (("*" | "/"), Quantity(a, unit), int() | float() as b) if not (
            symbol == "/" and b == 0
        ):
            return Quantity(float(check_number(a * b if symbol == "*" else a / b, span)), unit)
        case "*", int() | float() as a, Quantity(b, unit):
            return Quantity(float(check_number(a * b, span)), unit)
        case "/", Quantity(a, unit), Quantity(b, other) if unit == other and b != 0:
            return a / b
    raise _unsupported(symbol, left, right, span)


def _unsupported(symbol: str, left: Value, right: Value, span: Span) -> Exception:
    message = f"'{symbol}' is not possible between {describe(left)} and {describe(right)}."
    return error("type", message, span)
