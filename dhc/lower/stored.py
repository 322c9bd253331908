"""Replaces narrow element types in kernels by the integers that hold their bits in memory.

What converts them becomes arithmetic of the scalar language, so printers have no narrow types.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from dhc.ir.evaluate import evaluate
from dhc.ir.kernel import (
    Alloc,
    Assign,
    Declare,
    For,
    If,
    Kernel,
    Let,
    Statement,
    Store,
    statements,
)
from dhc.ir.narrow import converted, narrowed
from dhc.ir.replace import map_children
from dhc.ir.scalar import Bitcast, Buffer, Cast, Const, Load, Scalar, Var, children, walk
from dhc.ir.types import DType


def in_stored_types(kernel: Kernel) -> Kernel:
    """Returns the kernel without narrow types; itself if it has none."""
    if not any(map(_is_narrow, _parts(kernel))):
        return kernel
    buffers = tuple(map(_buffer, kernel.buffers))
    return replace(kernel, buffers=buffers, body=_body(kernel.body))


def stored(value: Scalar) -> Scalar:
    """Returns an expression without narrow types; bits where it is of such a type itself."""
    parts = list(walk(value))
    if not any(map(_is_narrow, parts)):
        return value
    done: dict[Scalar, Scalar] = {}
    for part in parts:
        done[part] = _stored(part, done)
    return done[value]


def _stored(part: Scalar, done: Mapping[Scalar, Scalar]) -> Scalar:
    dtype = part.dtype
    match part:
        case Const(number) if dtype.is_narrow:
            source = DType.F64 if dtype.is_float else DType.I8 if dtype.is_signed else DType.U8
            return Const(int(evaluate(narrowed(Const(number, source), dtype), {})), dtype.stored)
        case Var() if dtype.is_narrow:
            return _variable(part)
        case Load(buffer, index, guard, otherwise):
            place = tuple(done[i] for i in index)
            sides = (None if side is None else done[side] for side in (guard, otherwise))
            return Load(_buffer(buffer), place, *sides)
        case Cast(operand, _, saturate) if dtype.is_narrow or operand.dtype.is_narrow:
            return converted(done[operand], operand.dtype, dtype, saturate)
        case Bitcast(operand) if dtype.is_narrow or operand.dtype.is_narrow:
            bits = done[operand]
            return bits if bits.dtype is dtype.stored else Bitcast(bits, dtype.stored)
    return map_children(part, done) if children(part) else part


def _variable(var: Var) -> Var:
    return replace(var, type=var.type.stored)


def _buffer(buffer: Buffer) -> Buffer:
    return replace(buffer, type=buffer.type.stored)


# ---- kernels ---------------------------------------------------------------------------------


def _is_narrow(part: Scalar | Buffer) -> bool:
    dtype = part.type if isinstance(part, Buffer) else part.dtype
    return dtype.is_narrow


def _parts(kernel: Kernel) -> Iterable[Scalar | Buffer]:
    yield from kernel.buffers
    for statement in statements(kernel.body):
        match statement:
            case Let(_, value) | Declare(_, value) | Assign(_, value) | Store(_, _, value):
                yield from walk(value)
            case If(condition):
                yield from walk(condition)
            case Alloc(buffer):
                yield buffer


def _body(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    return tuple(map(_statement, body))


def _statement(statement: Statement) -> Statement:
    match statement:
        case For(var, extent, body, kind):
            return For(var, stored(extent), _body(body), kind)
        case If(condition, then, otherwise):
            return If(stored(condition), _body(then), _body(otherwise))
        case Let(var, value) | Declare(var, value) | Assign(var, value):
            return type(statement)(_variable(var), stored(value))
        case Store(buffer, index, value):
            return Store(_buffer(buffer), tuple(map(stored, index)), stored(value))
        case Alloc(buffer):
            return Alloc(_buffer(buffer))
    return statement
