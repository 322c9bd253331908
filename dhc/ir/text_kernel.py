"""Kernels as text: small readable pseudo-code.

    kernel scale<N>(out: f32[N], x: f32[N]) writes 1 {
      for parallel i0 < N {
        let t0: f32 = x[i0]
        out[i0] = t0 * t0
      }
    }

`let` names a value, `acc: f32 = 0.0` declares a variable and `acc := acc + 1.0` changes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from dhc.ir.kernel import (
    Alloc,
    Assign,
    Barrier,
    Declare,
    For,
    If,
    Kernel,
    Let,
    LoopKind,
    Statement,
    Store,
)
from dhc.ir.scalar import Buffer, Const, Scalar, Var
from dhc.ir.text_scalar import Scope, axis_text, declaration, expression_text
from dhc.ir.text_scalar_parse import ScalarParser
from dhc.ir.text_tokens import Cursor, quote_name
from dhc.ir.types import DType
from dhc.ir.verify_scalar import access_problem

_LOOPS: dict[str, LoopKind] = {kind: kind for kind in get_args(LoopKind)}


def print_kernel(kernel: Kernel) -> str:
    """Returns the text of a kernel; `parse_kernel` reads it back."""
    scope: dict[str, Var | Buffer] = {size.name: size for size in kernel.sizes}
    sizes = ", ".join(map(axis_text, kernel.sizes))
    buffers = ", ".join(declaration(buffer, scope) for buffer in kernel.buffers)
    scope |= {buffer.name: buffer for buffer in kernel.buffers}
    head = f"kernel {quote_name(kernel.name)}{f'<{sizes}>' if sizes else ''}({buffers})"
    lines = [f"{head} writes {kernel.outputs} {{", *_block(kernel.body, scope, 1), "}"]
    return "\n".join(lines) + "\n"


def _block(body: tuple[Statement, ...], outer: Scope, depth: int) -> Iterator[str]:
    scope = dict(outer)
    for statement in body:
        yield from _statement(statement, scope, depth)


def _statement(statement: Statement, scope: dict[str, Var | Buffer], depth: int) -> Iterator[str]:
    indent = "  " * depth
    match statement:
        case For(var, extent, body, kind):
            word = "" if kind == "serial" else f"{kind} "
            yield f"{indent}for {word}{_loop_head(var, extent, scope)} {{"
            yield from _block(body, {**scope, var.name: var}, depth + 1)
            yield f"{indent}}}"
        case If(condition, then, otherwise):
            yield f"{indent}if {expression_text(condition, scope)} {{"
            yield from _block(then, scope, depth + 1)
            if otherwise:
                yield f"{indent}}} else {{"
                yield from _block(otherwise, scope, depth + 1)
            yield f"{indent}}}"
        case _:
            yield indent + _line(statement, scope)


def _line(statement: Statement, scope: dict[str, Var | Buffer]) -> str:
    """Returns the line of a simple statement and adds what it declares to the scope."""
    match statement:
        case Let(var, value):
            text = f"let {declaration(var)} = {expression_text(value, scope)}"
            scope[var.name] = var
        case Declare(var, value):
            text = f"{declaration(var)} = {expression_text(value, scope)}"
            scope[var.name] = var
        case Assign(var, value):
            text = f"{_target(var, scope)} := {expression_text(value, scope)}"
        case Store(buffer, index, value):
            inside = ", ".join(expression_text(i, scope) for i in index)
            text = f"{_target(buffer, scope)}[{inside}] = {expression_text(value, scope)}"
        case Alloc(buffer):
            text = f"alloc {declaration(buffer, scope)}"
            scope[buffer.name] = buffer
        case _:
            text = "barrier"
    return text


def _target(value: Var | Buffer, scope: Scope) -> str:
    known = scope.get(value.name) is value
    return quote_name(value.name) if known else f"({declaration(value, scope)})"


def _loop_head(var: Var, extent: Scalar, scope: Scope) -> str:
    """`i0 < 8`; where the variable is not the usual one for this extent, its own extent too."""
    name = quote_name(var.name) if var.type is DType.I64 else f"{quote_name(var.name)}: {var.type}"
    own = "" if var.extent == _usual_extent(extent) else f" within {_extent_word(var.extent)}"
    return f"{name}{own} < {expression_text(extent, scope)}"


def _usual_extent(extent: Scalar) -> int | None:
    return int(extent.value) if isinstance(extent, Const) else None


def _extent_word(extent: int | None) -> str:
    return "none" if extent is None else str(extent)


# ---- parsing ---------------------------------------------------------------------------------


class KernelParser:
    """Reads one kernel."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.scalars = ScalarParser(cursor)

    def kernel(self) -> Kernel:
        self.cursor.expect("kernel")
        name = self.cursor.name()
        sizes = self.cursor.listed(self._size, "<", ">") if self.cursor.token.text == "<" else ()
        buffers = self.cursor.listed(self._parameter, "(", ")")
        self.cursor.expect("writes")
        outputs = self.cursor.integer()
        return Kernel(name, buffers, self._block(), sizes, outputs)

    def _size(self) -> Var:
        value = self.scalars.declare()
        if isinstance(value, Buffer):
            self.cursor.fail("A run-time size is a variable.")
        return value

    def _parameter(self) -> Buffer:
        return self._buffer(self.scalars.declare())

    def _buffer(self, value: Var | Buffer) -> Buffer:
        if isinstance(value, Var):
            self.cursor.fail(f"'{value.name}' needs a shape, as in f32[8].")
        return value

    def _block(self) -> tuple[Statement, ...]:
        outer = dict(self.scalars.scope)
        with self.cursor.nested():
            self.cursor.expect("{")
            found: list[Statement] = []
            while not self.cursor.accept("}"):
                found.append(self._statement())
        self.scalars.scope = outer
        return tuple(found)

    def _statement(self) -> Statement:
        if self.cursor.accept("for"):
            return self._loop()
        if self.cursor.accept("if"):
            condition = self.scalars.expression()
            then = self._block()
            return If(condition, then, self._block() if self.cursor.accept("else") else ())
        if self.cursor.accept("let"):
            return Let(*self._definition(self._variable(self.scalars.declaration())))
        if self.cursor.accept("alloc"):
            return Alloc(self._buffer(self.scalars.declare()))
        if self.cursor.accept("barrier"):
            return Barrier()
        return self._change()

    def _loop(self) -> Statement:
        kind: LoopKind = "serial"
        following = self.cursor.ahead()
        named = following.kind == "name" and following.text != "within"
        if self.cursor.token.text in _LOOPS and named:
            kind = _LOOPS[self.cursor.advance().text]
        name = self.cursor.name()
        dtype = self.cursor.dtype() if self.cursor.accept(":") else DType.I64
        given = self.cursor.accept("within")
        own = self._own_extent() if given else None
        self.cursor.expect("<")
        extent = self.scalars.expression()
        var = Var(name, dtype, own if given else _usual_extent(extent))
        outer = dict(self.scalars.scope)
        self.scalars.scope[name] = var
        body = self._block()
        self.scalars.scope = outer
        return For(var, extent, body, kind)

    def _own_extent(self) -> int | None:
        return None if self.cursor.accept("none") else self.cursor.integer()

    def _definition(self, var: Var) -> tuple[Var, Scalar]:
        self.cursor.expect("=")
        value = self.scalars.expression()
        self.scalars.scope[var.name] = var
        return var, value

    def _change(self) -> Statement:
        token = self.cursor.token
        if token.kind == "name" and self.cursor.ahead().text == ":":
            return Declare(*self._definition(self._variable(self.scalars.declaration())))
        target = self._change_target()
        if isinstance(target, Var):
            self.cursor.expect(":=")
            return Assign(target, self.scalars.expression())
        index = self.cursor.listed(self.scalars.expression, "[", "]")
        problem = access_problem(target, index)
        if problem is not None:
            self.cursor.fail(problem, token)
        self.cursor.expect("=")
        return Store(target, index, self.scalars.expression())

    def _change_target(self) -> Var | Buffer:
        if self.cursor.accept("("):
            value = self.scalars.declaration()
            self.cursor.expect(")")
            return value
        token = self.cursor.token
        name = self.cursor.name()
        if name not in self.scalars.scope:
            self.cursor.fail(f"'{name}' is not declared here.", token)
        return self.scalars.scope[name]

    def _variable(self, value: Var | Buffer) -> Var:
        if isinstance(value, Buffer):
            self.cursor.fail(f"'{value.name}' is a buffer; declare it with 'alloc'.")
        return value
