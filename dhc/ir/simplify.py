"""Constant folding and range reasoning for scalar expressions, applied as they are built.

Only rewrites that keep every bit are made: floats fold constants alone, integers also use identities
and the known ranges of index variables.
"""

from __future__ import annotations

from dhc.ir.scalar import (
    Binary,
    BinaryFunction,
    Compare,
    Const,
    Relation,
    Scalar,
    Select,
    Unary,
    UnaryFunction,
    Var,
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


def simplify_unary(function: UnaryFunction, operand: Scalar) -> Scalar:
    if function == "neg" and isinstance(operand, Const):
        return lift(-operand.value, operand.dtype)
    if function == "not" and isinstance(operand, Const):
        return lift(not operand.value, operand.dtype)
    if function == "not" and isinstance(operand, Compare) and not operand.left.dtype.is_float:
        return Compare(_INVERSE[operand.relation], operand.left, operand.right)
    return Unary(function, operand)


def simplify_binary(function: BinaryFunction, left: Scalar, right: Scalar) -> Scalar:
    if left.dtype is DType.BOOL:
        return _simplify_logic(function, left, right)
    if left.dtype.is_integer:
        return _simplify_integer(function, left, right)
    return Binary(function, left, right)


def simplify_compare(relation: Relation, left: Scalar, right: Scalar) -> Scalar:
    if left.dtype.is_integer:
        a, b = interval(left), interval(right)
        if a is not None and b is not None:
            known = _decide(relation, a, b)
            if known is not None:
                return Const(known, DType.BOOL)
    return Compare(relation, left, right)


def interval(expression: Scalar) -> Interval | None:
    """Returns bounds of an integer expression, or None where nothing is known."""
    match expression:
        case Const(value):
            return (int(value), int(value))
        case Var(_, _, extent):
            return None if extent is None else (0, max(extent - 1, 0))
        case Binary(function, left, right):
            a, b = interval(left), interval(right)
            return None if a is None or b is None else _combine(function, a, b)
        case Select(_, then, otherwise):
            a, b = interval(then), interval(otherwise)
            return None if a is None or b is None else (min(a[0], b[0]), max(a[1], b[1]))
    return None


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
            return a if 0 <= a[0] and a[1] < b[0] else (0, b[0] - 1)
        case "min":
            return (min(a[0], b[0]), min(a[1], b[1]))
        case "max":
            return (max(a[0], b[0]), max(a[1], b[1]))
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


def _simplify_logic(function: BinaryFunction, left: Scalar, right: Scalar) -> Scalar:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Const) and function in ("and", "or"):
            absorbing = (function == "or") == bool(one.value)
            return one if absorbing else other
    return left if left is right and function in ("and", "or") else Binary(function, left, right)


def _simplify_integer(function: BinaryFunction, left: Scalar, right: Scalar) -> Scalar:
    if isinstance(left, Const) and isinstance(right, Const):
        folded = _fold_integers(function, int(left.value), int(right.value), left.dtype)
        if folded is not None:
            return folded
    match function, left, right:
        case "add", Const(0), other:
            return other
        case "add", Const(), other:
            return simplify_binary("add", other, left)
        case "add" | "sub", other, Const(0):
            return other
        case "add", Binary("add", inner, Const(a)), Const(b):
            return simplify_binary("add", inner, lift(a + b, left.dtype))
        case "sub", other, Const(value):
            return simplify_binary("add", other, lift(-value, left.dtype))
        case "mul", Const(), other:
            return simplify_binary("mul", other, left)
        case "mul" | "floordiv", other, Const(1):
            return other
        case "mul", _, Const(0):
            return right
        case "floordiv" | "mod", _, Const(divisor) if divisor > 0:
            return _divide(function, left, int(divisor))
        case "min" | "max", _, _:
            return _simplify_extreme(function, left, right)
    return Binary(function, left, right)


def _fold_integers(function: BinaryFunction, a: int, b: int, dtype: DType) -> Scalar | None:
    match function:
        case "add":
            return Const(a + b, dtype)
        case "sub":
            return Const(a - b, dtype)
        case "mul":
            return Const(a * b, dtype)
        case "floordiv" if b != 0:
            return Const(a // b, dtype)
        case "mod" if b != 0:
            return Const(a % b, dtype)
        case "min":
            return Const(min(a, b), dtype)
        case "max":
            return Const(max(a, b), dtype)
    return None


def _divide(function: BinaryFunction, value: Scalar, divisor: int) -> Scalar:
    """Simplifies `value // divisor` or `value % divisor` by splitting off multiples."""
    multiple, rest = _split_multiple(value, divisor)
    bounds = interval(rest)
    if bounds is not None and 0 <= bounds[0] and bounds[1] < divisor:
        return multiple if function == "floordiv" else rest
    return Binary(function, value, Const(divisor, value.dtype))


def _split_multiple(value: Scalar, divisor: int) -> tuple[Scalar, Scalar]:
    """Returns (quotient, rest) with value == quotient * divisor + rest, as far as can be seen."""
    zero = Const(0, value.dtype)
    match value:
        case Const(number):
            return Const(int(number) // divisor, value.dtype), Const(int(number) % divisor, value.dtype)
        case Binary("mul", factor, Const(number)) if int(number) % divisor == 0:
            return factor * (int(number) // divisor), zero
        case Binary("add", left, right):
            a, b = _split_multiple(left, divisor), _split_multiple(right, divisor)
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
