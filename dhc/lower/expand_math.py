"""Replaces mathematical functions of f32 values by our own polynomials in primitive operations.

Every generator prints the same text, so a network gives the same numbers on every target that
rounds correctly and fuses where `Fma` says so. Results lie within 2 units in the last place of the
exact value for exp, log, sin, cos and pow, and within 4 for tanh and erf; sin and cos only up to
1e5, beyond which neighbouring f32 numbers are a good part of a turn apart. The polynomials rely on
IEEE arithmetic: a printer must not let its target reassociate, or assume that NaN cannot occur.

f16 values are computed in f32; f64 functions stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from dhc.ir.evaluate import evaluate
from dhc.ir.kernel import Assign, Declare, For, If, Kernel, Let, Statement, Store, statements
from dhc.ir.replace import map_children
from dhc.ir.scalar import Binary, Const, Scalar, Unary, cast, children, lift, walk
from dhc.ir.types import DType
from dhc.lower.polynomials import (
    cosine,
    error_function,
    exponential,
    hyperbolic_tangent,
    logarithm,
    sine,
)
from dhc.lower.power import power
from dhc.lower.share import Names, share
from dhc.lower.stored import in_stored_types

_FUNCTIONS: Mapping[str, Callable[[Scalar], Scalar]] = {
    "exp": exponential,
    "log": logarithm,
    "tanh": hyperbolic_tangent,
    "erf": error_function,
    "sin": sine,
    "cos": cosine,
}
_EXPANDED = (DType.F32, DType.F16)


def expand_math(expression: Scalar) -> Scalar:
    """Returns the expression with exp, log, tanh, erf, sin, cos and pow in primitive operations."""
    done: dict[Scalar, Scalar] = {}
    for part in walk(expression):
        same = map_children(part, done) if children(part) else part
        done[part] = _expand(same)
    return done[expression]


def _expand(part: Scalar) -> Scalar:
    match part:
        case Unary(function, operand) if function in _FUNCTIONS and part.dtype in _EXPANDED:
            return _in_f32(lambda x: _FUNCTIONS[function](x), operand)
        case Binary("pow", left, right) if part.dtype in _EXPANDED:
            return _in_f32(power, left, right)
    return part


def _in_f32(build: Callable[..., Scalar], *operands: Scalar) -> Scalar:
    dtype = operands[0].dtype
    result = build(*(cast(operand, DType.F32) for operand in operands))
    if all(isinstance(operand, Const) for operand in operands):
        result = lift(float(evaluate(result, {})), DType.F32)
    return cast(result, dtype)


# ---- kernels ---------------------------------------------------------------------------------


def expand_math_in_kernel(kernel: Kernel) -> Kernel:
    """Expands every expression of a kernel; what an expansion uses twice is computed once.

    What printers get has no narrow types either.
    """
    kernel = in_stored_types(kernel)
    names = Names.avoiding(_variable_names(kernel))
    return replace(kernel, body=_expand_body(kernel.body, names))


def _variable_names(kernel: Kernel) -> set[str]:
    names = {size.name for size in kernel.sizes} | {b.name for b in kernel.buffers}
    for statement in statements(kernel.body):
        match statement:
            case Let(var) | Declare(var) | For(var):
                names.add(var.name)
    return names


def _expand_body(body: tuple[Statement, ...], names: Names) -> tuple[Statement, ...]:
    expanded: list[Statement] = []
    for statement in body:
        expanded.extend(_expand_statement(statement, names))
    return tuple(expanded)


def _expand_statement(statement: Statement, names: Names) -> tuple[Statement, ...]:
    match statement:
        case For(var, extent, body, kind):
            return (For(var, extent, _expand_body(body, names), kind),)
        case If(condition, then, otherwise):
            lets, value = _expand_shared(condition, names)
            sides = _expand_body(then, names), _expand_body(otherwise, names)
            return (*lets, If(value, *sides))
        case Let(var, value) | Declare(var, value) | Assign(var, value):
            lets, value = _expand_shared(value, names)
            return (*lets, type(statement)(var, value))
        case Store(buffer, index, value):
            lets, value = _expand_shared(value, names)
            return (*lets, Store(buffer, index, value))
    return (statement,)


def _expand_shared(value: Scalar, names: Names) -> tuple[tuple[Statement, ...], Scalar]:
    expanded = expand_math(value)
    return ((), value) if expanded is value else share(expanded, names)
