"""Differentiates scalar expressions symbolically."""

from __future__ import annotations

import math

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
    cos,
    exp,
    lift,
    log,
    power,
    select,
    sin,
    tanh,
)


def derive(expression: Scalar, variable: Var) -> Scalar:
    """Returns the derivative of an expression with respect to a variable.

    At ties `minimum` and `maximum` pass the gradient to their left operand, and `abs` has the
    derivative 0 at 0. Rounding functions and comparisons have the derivative 0.

    Raises:
        TypeError: if an expression, such as a bit operation, has no derivative.
    """
    match expression:
        case Var():
            return lift(float(expression is variable), expression.dtype)
        case Const() | Compare():
            return lift(0.0, variable.dtype)
        case Unary(function, operand):
            return _times(_outer(function, operand), derive(operand, variable))
        case Binary(function, left, right):
            return _binary(function, left, right, variable)
        case Select(condition, then, otherwise):
            return select(condition, derive(then, variable), derive(otherwise, variable))
        case Fma(left, right, addend):
            return _plus(_binary("mul", left, right, variable), derive(addend, variable))
        case Cast(operand, dtype) if dtype.is_float and operand.dtype.is_float:
            return Cast(derive(operand, variable), dtype)
        case Cast():
            return lift(0.0, variable.dtype)
    raise TypeError(f"{type(expression).__name__} has no derivative")


def _outer(function: str, x: Scalar) -> Scalar:
    match function:
        case "neg":
            return lift(-1.0, x.dtype)
        case "abs":
            return select(x > 0, lift(1.0, x.dtype), select(x < 0, -1.0, lift(0.0, x.dtype)))
        case "exp":
            return exp(x)
        case "log":
            return 1 / x
        case "tanh":
            return 1 - tanh(x) * tanh(x)
        case "erf":
            return 2 / math.sqrt(math.pi) * exp(-(x * x))
        case "sqrt":
            return 0.5 / Unary("sqrt", x)
        case "sin":
            return cos(x)
        case "cos":
            return -sin(x)
        case "floor" | "ceil" | "round" | "trunc":
            return lift(0.0, x.dtype)
    raise TypeError(f"'{function}' has no derivative")


def _binary(function: str, left: Scalar, right: Scalar, variable: Var) -> Scalar:
    dleft, dright = derive(left, variable), derive(right, variable)
    match function:
        case "add":
            return _plus(dleft, dright)
        case "sub":
            return _plus(dleft, _times(lift(-1.0, left.dtype), dright))
        case "mul":
            return _plus(_times(dleft, right), _times(left, dright))
        case "div":
            slope = _plus(dleft, _times(-(left / right), dright))
            return slope if _is(slope, 0.0) else slope / right
        case "max":
            return select(left >= right, dleft, dright)
        case "min":
            return select(left <= right, dleft, dright)
        case "pow":
            base = _times(right * power(left, right - 1), dleft)
            exponent = _times(power(left, right) * log(left), dright)
            return _plus(base, exponent)
        case "floordiv":
            return lift(0.0, left.dtype)
    raise TypeError(f"'{function}' has no derivative")


def _is(expression: Scalar, value: float) -> bool:
    return isinstance(expression, Const) and expression.value == value


def _plus(left: Scalar, right: Scalar) -> Scalar:
    if _is(left, 0.0):
        return right
    return left if _is(right, 0.0) else left + right


def _times(left: Scalar, right: Scalar) -> Scalar:
    if _is(left, 0.0) or _is(right, 1.0):
        return left
    return right if _is(right, 0.0) or _is(left, 1.0) else left * right
