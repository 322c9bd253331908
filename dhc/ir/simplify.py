"""Constant folding and range reasoning for scalar expressions, applied as they are built.

Only rewrites that keep every bit are made. Floats fold constants alone, and only where IEEE 754
says what the result is. i64 is the type of indices, whose arithmetic does not overflow, so it also
uses algebra; other integers wrap, and are simplified only where wrapping makes no difference.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np

from dhc.ir.number import Number, type_range, wrap
from dhc.ir.scalar import (
    Binary,
    BinaryFunction,
    Cast,
    Compare,
    Const,
    Relation,
    Scalar,
    Select,
    Unary,
    UnaryFunction,
    Var,
    children,
    lift,
)
from dhc.ir.types import DType

Interval = tuple[int, int]  # both ends included

_INVERSE: dict[Relation, Relation] = {
    "lt": "ge",
    "ge": "lt",
    "gt": "le",
    "le": "gt",
    "eq": "ne",
    "ne": "eq",
}
_EXACT = ("add", "sub", "mul", "div", "min", "max")


def simplify_unary(function: UnaryFunction, operand: Scalar) -> Scalar:
    if isinstance(operand, Const):
        folded = _fold_unary(function, operand.value, operand.dtype)
        if folded is not None:
            return folded
    if function == "not" and isinstance(operand, Compare) and not operand.left.dtype.is_float:
        return Compare(_INVERSE[operand.relation], operand.left, operand.right)
    return Unary(function, operand)


def _fold_unary(function: UnaryFunction, value: Number, dtype: DType) -> Scalar | None:
    match function:
        case "neg" if dtype.is_float:
            return Const(-value, dtype)
        case "neg" if dtype.is_integer:
            return Const(wrap(-int(value), dtype), dtype)
        case "abs" if dtype.is_integer:
            return Const(wrap(abs(int(value)), dtype), dtype)
        case "not" if dtype is DType.BOOL:
            return Const(not value, dtype)
        case "not" if dtype.is_integer:
            return Const(wrap(~int(value), dtype), dtype)
    return None


def simplify_binary(function: BinaryFunction, left: Scalar, right: Scalar) -> Scalar:
    if isinstance(left, Const) and isinstance(right, Const):
        folded = _fold(function, left, right)
        if folded is not None:
            return folded
    if left.dtype is DType.BOOL:
        return _simplify_logic(function, left, right)
    if left.dtype.is_integer:
        return _simplify_integer(function, left, right)
    return Binary(function, left, right)


def simplify_compare(relation: Relation, left: Scalar, right: Scalar) -> Scalar:
    if left.dtype.is_integer:
        if left is right:
            return Const(relation in ("le", "ge", "eq"), DType.BOOL)
        a, b = interval(left), interval(right)
        if a is not None and b is not None:
            known = _decide(relation, a, b)
            if known is not None:
                return Const(known, DType.BOOL)
    return Compare(relation, left, right)


# ---- ranges ----------------------------------------------------------------------------------

_known: WeakKeyDictionary[Scalar, Interval | None] = WeakKeyDictionary()


def interval(expression: Scalar) -> Interval | None:
    """Returns bounds of an integer expression, or None where nothing is known."""
    stack = [expression]
    while stack:
        current = stack[-1]
        missing = [part for part in children(current) if part not in _known]
        if missing and current not in _known:
            stack.extend(missing)
        else:
            stack.pop()
            if current not in _known:
                _known[current] = _bounds(current)
    return _known[expression]


def _bounds(expression: Scalar) -> Interval | None:
    """Returns bounds of an expression whose operands have theirs in `_known`."""
    dtype = expression.dtype
    if dtype.is_float:
        return None
    found: Interval | None = None
    match expression:
        case Const(value):
            return (int(value), int(value))
        case Var(_, _, extent) if extent is not None:
            return (0, max(extent - 1, 0))
        case Binary(function, left, right):
            a, b = _known[left], _known[right]
            found = None if a is None or b is None else _combine(function, a, b)
        case Select(_, then, otherwise):
            a, b = _known[then], _known[otherwise]
            found = None if a is None or b is None else (min(a[0], b[0]), max(a[1], b[1]))
        case Cast(operand) if not operand.dtype.is_float:
            found = _known[operand]
    return _within_type(found, dtype)


def _within_type(found: Interval | None, dtype: DType) -> Interval | None:
    """Keeps bounds that exclude wrapping; narrow types have bounds of their own."""
    low, high = type_range(dtype)
    if found is not None and low <= found[0] and found[1] <= high:
        return found
    return (low, high) if dtype.bits <= 16 else None


def _combine(function: BinaryFunction, a: Interval, b: Interval) -> Interval | None:
    match function:
        case "add":
            return (a[0] + b[0], a[1] + b[1])
        case "sub":
            return (a[0] - b[1], a[1] - b[0])
        case "mul":
            products = [x * y for x in a for y in b]
            return (min(products), max(products))
        case "floordiv" if b[0] == b[1] and b[0] > 0:
            return (a[0] // b[0], a[1] // b[0])
        case "mod" if b[0] == b[1] and b[0] > 0:
            return a if a[0] >= 0 and a[1] < b[0] else (0, b[0] - 1)
        case "min":
            return (min(a[0], b[0]), min(a[1], b[1]))
        case "max":
            return (max(a[0], b[0]), max(a[1], b[1]))
        case "and" if b[0] >= 0:
            return (0, min(a[1], b[1]) if a[0] >= 0 else b[1])
        case "shr" if b[0] == b[1] and 0 <= b[0] < 64:
            return (a[0] >> b[0], a[1] >> b[0])
    return None


def _decide(relation: Relation, a: Interval, b: Interval) -> bool | None:
    match relation:
        case "lt":
            return True if a[1] < b[0] else False if a[0] >= b[1] else None
        case "le":
            return True if a[1] <= b[0] else False if a[0] > b[1] else None
        case "gt":
            return _decide("lt", b, a)
        case "ge":
            return _decide("le", b, a)
        case "eq":
            if a[1] < b[0] or b[1] < a[0]:
                return False
            return True if a[0] == a[1] == b[0] == b[1] else None
        case "ne":
            equal = _decide("eq", a, b)
            return None if equal is None else not equal


# ---- rewrites --------------------------------------------------------------------------------


def _simplify_logic(function: BinaryFunction, left: Scalar, right: Scalar) -> Scalar:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Const) and function in ("and", "or"):
            absorbing = (function == "or") == bool(one.value)
            return one if absorbing else other
    return left if left is right and function in ("and", "or") else Binary(function, left, right)


def _simplify_integer(function: BinaryFunction, left: Scalar, right: Scalar) -> Scalar:
    dtype = left.dtype
    match function, left, right:
        case "add", Const(0), other:
            return other
        case "add" | "mul", Const(), other:
            return simplify_binary(function, other, left)
        case "add" | "sub" | "shl" | "shr", other, Const(0):
            return other
        case "add", Binary("add", inner, Const(a)), Const(b):
            return simplify_binary("add", inner, Const(wrap(int(a + b), dtype), dtype))
        case "sub", other, Const(value):
            return simplify_binary("add", other, Const(wrap(-int(value), dtype), dtype))
        case "sub", _, _ if left is right:
            return Const(0, dtype)
        case "mul" | "floordiv", other, Const(1):
            return other
        case "mul", _, Const(0):
            return right
        case "mod", _, Const(1):
            return Const(0, dtype)
        case "floordiv" | "mod", _, Const(divisor) if divisor > 0 and dtype is DType.I64:
            return _divide(function, left, int(divisor))
        case "min" | "max", _, _:
            return _simplify_extreme(function, left, right)
    return Binary(function, left, right)


def _fold(function: BinaryFunction, left: Const, right: Const) -> Scalar | None:
    dtype = left.dtype
    if dtype in (DType.F32, DType.F64) and function in _EXACT:
        return _fold_floats(function, left, right)
    if not dtype.is_integer:
        return None
    value = _fold_integers(function, int(left.value), int(right.value), dtype.bits)
    return None if value is None else Const(wrap(value, dtype), dtype)


def _fold_floats(function: BinaryFunction, left: Const, right: Const) -> Scalar | None:
    from dhc.ir.evaluate import evaluate

    result = float(evaluate(Binary(function, left, right), {}))
    return None if np.isnan(result) else lift(result, left.dtype)


def _fold_integers(function: BinaryFunction, a: int, b: int, bits: int) -> int | None:
    match function:
        case "add":
            return a + b
        case "sub":
            return a - b
        case "mul":
            return a * b
        case "floordiv" if b != 0:
            return a // b
        case "mod" if b != 0:
            return a % b
        case "min":
            return min(a, b)
        case "max":
            return max(a, b)
        case "and":
            return a & b
        case "or":
            return a | b
        case "xor":
            return a ^ b
        case "shl" if 0 <= b < bits:
            return a << b
        case "shr" if 0 <= b < bits:
            return a >> b
    return None


def _divide(function: BinaryFunction, value: Scalar, divisor: int) -> Scalar:
    """Simplifies `value // divisor` or `value % divisor` by splitting off multiples."""
    multiple, rest = _split_multiple(value, divisor, {})
    bounds = interval(rest)
    if bounds is not None and bounds[0] // divisor == bounds[1] // divisor:
        turns = bounds[0] // divisor
        return multiple + turns if function == "floordiv" else rest - turns * divisor
    if function == "mod":
        return Binary("mod", rest, Const(divisor, value.dtype))
    match rest:
        case Binary("floordiv", whole, Const(first)) if first > 0:
            return multiple + whole // int(first * divisor)
    return multiple + Binary("floordiv", rest, Const(divisor, value.dtype))


def _split_multiple(
    value: Scalar, divisor: int, done: dict[Scalar, tuple[Scalar, Scalar]], depth: int = 0
) -> tuple[Scalar, Scalar]:
    """Returns (quotient, rest) with value == quotient * divisor + rest, as far as can be seen."""
    if value not in done:
        done[value] = _split_once(value, divisor, done, depth)
    return done[value]


def _split_once(
    value: Scalar, divisor: int, done: dict[Scalar, tuple[Scalar, Scalar]], depth: int
) -> tuple[Scalar, Scalar]:
    zero = Const(0, value.dtype)
    match value:
        case Const(number):
            whole, left = divmod(int(number), divisor)
            return Const(whole, value.dtype), Const(left, value.dtype)
        case Binary("mul", factor, Const(number)) if int(number) % divisor == 0:
            return factor * (int(number) // divisor), zero
        case Binary("mul", factor, Const(number)) if (
            depth < 100 and number > 1 and divisor % int(number) == 0
        ):
            own = int(number)
            quotient, rest = _split_multiple(factor, divisor // own, {}, depth + 1)
            return quotient, rest * own
        case Binary("add", one, other) if depth < 100:
            a = _split_multiple(one, divisor, done, depth + 1)
            b = _split_multiple(other, divisor, done, depth + 1)
            return a[0] + b[0], a[1] + b[1]
    return zero, value


def _simplify_extreme(function: BinaryFunction, left: Scalar, right: Scalar) -> Scalar:
    a, b = interval(left), interval(right)
    if left is right:
        return left
    if a is not None and b is not None:
        if a[1] <= b[0]:
            return left if function == "min" else right
        if b[1] <= a[0]:
            return right if function == "min" else left
    return Binary(function, left, right)
