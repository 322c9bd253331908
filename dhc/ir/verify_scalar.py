"""The typing rules of scalar expressions."""

from __future__ import annotations

from dhc.ir.scalar import (
    Binary,
    Bitcast,
    Buffer,
    Cast,
    Compare,
    Fma,
    Load,
    Reduce,
    Scalar,
    Select,
    Unary,
)
from dhc.ir.types import DType

_FLOAT_FUNCTIONS = frozenset({"div", "pow"})
_BIT_FUNCTIONS = frozenset({"and", "or", "xor"})
_SHIFTS = frozenset({"shl", "shr"})


def type_problem(part: Scalar) -> str | None:
    """Returns what is wrong with an expression whose operands are right, or None."""
    match part:
        case Unary(function, operand):
            return _unary_problem(function, operand.dtype)
        case Binary(function, left, right):
            if left.dtype is not right.dtype:
                return f"'{function}' of {left.dtype} and {right.dtype}."
            return _binary_problem(function, left.dtype)
        case Compare(relation, left, right) if left.dtype is not right.dtype:
            return f"'{relation}' compares {left.dtype} with {right.dtype}."
        case Select(condition, then, otherwise):
            if condition.dtype is not DType.BOOL:
                return f"'select' needs a bool condition, not {condition.dtype}."
            if then.dtype is not otherwise.dtype:
                return f"'select' of {then.dtype} and {otherwise.dtype}."
        case Fma(left, right, addend):
            types = {left.dtype, right.dtype, addend.dtype}
            if len(types) > 1 or not left.dtype.is_float:
                return "'fma' needs three floats of one type."
        case Cast(_, type, True) if not (type.is_integer or type.is_narrow):
            return f"'saturate' needs an integer or a narrow type, not {type}."
        case Bitcast(operand, type):
            if DType.BOOL in (operand.dtype, type) or operand.dtype.bits != type.bits:
                return f"'bitcast' of {operand.dtype} to {type}."
        case Load():
            return access_problem(part.buffer, part.index) or _guard_problem(part)
        case Reduce():
            return _reduce_problem(part)
    return None


def access_problem(buffer: Buffer, index: tuple[Scalar, ...]) -> str | None:
    """Returns what is wrong with indexing a buffer, apart from the range of the index."""
    if len(index) != len(buffer.shape):
        return f"'{buffer.name}' has {len(buffer.shape)} axes, not {len(index)}."
    for i in index:
        if i.dtype is not DType.I64:
            return f"An index of '{buffer.name}' is {i.dtype}, not i64."
    return None


def _unary_problem(function: str, dtype: DType) -> str | None:
    if function == "not":
        fits = not dtype.is_float
    elif function in ("neg", "abs"):
        fits = dtype is not DType.BOOL
    else:
        fits = dtype.is_float
    return None if fits else f"'{function}' of {dtype}."


def _binary_problem(function: str, dtype: DType) -> str | None:
    if function in _FLOAT_FUNCTIONS:
        fits = dtype.is_float
    elif function in _SHIFTS:
        fits = dtype.is_integer
    elif function in _BIT_FUNCTIONS:
        fits = not dtype.is_float
    else:
        fits = dtype is not DType.BOOL or function in ("min", "max")
    return None if fits else f"'{function}' of {dtype}."


def _guard_problem(load: Load) -> str | None:
    if (load.guard is None) != (load.otherwise is None):
        return f"A read of '{load.buffer.name}' has a guard or a value for outside, not both."
    if load.guard is not None and load.guard.dtype is not DType.BOOL:
        return f"The guard of a read of '{load.buffer.name}' is {load.guard.dtype}, not bool."
    if load.otherwise is not None and load.otherwise.dtype is not load.buffer.type:
        return (
            f"A read of '{load.buffer.name}' gives {load.buffer.type} inside "
            f"and {load.otherwise.dtype} outside."
        )
    return None


def _reduce_problem(reduce: Reduce) -> str | None:
    if any(axis.type is not DType.I64 for axis in reduce.axes):
        return "The axes of a reduction are i64."
    logical = reduce.body.dtype is DType.BOOL
    if reduce.kind in ("sum", "prod", "any", "all") and logical != (reduce.kind in ("any", "all")):
        return f"'{reduce.kind}' of {reduce.body.dtype}."
    return None
