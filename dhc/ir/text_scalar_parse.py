"""Parses the text of scalar expressions, exactly as they were: nothing is simplified."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from dhc.ir.scalar import (
    Binary,
    BinaryFunction,
    Bitcast,
    Buffer,
    Cast,
    Compare,
    Const,
    Fma,
    Load,
    Reduce,
    ReduceKind,
    Relation,
    Scalar,
    Select,
    Unary,
    UnaryFunction,
    Var,
)
from dhc.ir.text_scalar import COMPARE_LEVEL, LEVELS, RELATIONS, dense_strides
from dhc.ir.text_tokens import DTYPES, Cursor, Token
from dhc.ir.types import DType
from dhc.ir.verify_scalar import type_problem

_SPACES = ("global", "shared", "register", "bram", "stream")
_UNARY: dict[str, UnaryFunction] = {f: f for f in get_args(UnaryFunction)}
_BINARY: dict[str, BinaryFunction] = {f: f for f in get_args(BinaryFunction)}
_REDUCE: dict[str, ReduceKind] = {kind: kind for kind in get_args(ReduceKind)}
_INFIX: dict[str, tuple[BinaryFunction, int]] = {
    sign: (_BINARY[function], level) for function, (sign, level) in LEVELS.items()
}
_COMPARE: dict[str, Relation] = {RELATIONS[r]: r for r in get_args(Relation)}


class ScalarParser:
    """Reads expressions; `scope` holds the names that are declared so far."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.scope: dict[str, Var | Buffer] = {}
        self._shared: dict[str, Scalar] = {}

    # ---- declarations ------------------------------------------------------------------------

    def function(self) -> Scalar:
        """Reads `fn(declarations) => expression`; the declarations hold for it alone."""
        outer, self.scope = self.scope, {}
        self.cursor.expect("fn")
        self.cursor.listed(self.declare, "(", ")")
        self.cursor.expect("=>")
        result = self.expression()
        self.scope = outer
        return result

    def declare(self) -> Var | Buffer:
        """Reads a declaration and adds it to the scope."""
        value = self.declaration()
        self.scope[value.name] = value
        return value

    def declaration(self) -> Var | Buffer:
        """Reads `name: type < extent` (the type i64 may be left out) or `name: type[shape]`."""
        name = self.cursor.name()
        dtype = self.cursor.dtype() if self.cursor.accept(":") else DType.I64
        if self.cursor.token.text == "[":
            return self._buffer(name, dtype)
        extent = self.cursor.integer() if self.cursor.accept("<") else None
        return Var(name, dtype, extent)

    def _buffer(self, name: str, dtype: DType) -> Buffer:
        start = self.cursor.token
        shape = self.cursor.listed(self._size, "[", "]")
        strides = dense_strides(shape)
        if self.cursor.accept("strides"):
            strides = self.cursor.listed(self._size, "(", ")")
        if len(strides) != len(shape):
            self.cursor.fail("A buffer needs one stride for each axis.", start)
        for space in _SPACES:
            if self.cursor.accept(space):
                return Buffer(name, dtype, shape, strides, space)  # type: ignore[arg-type]
        return Buffer(name, dtype, shape, strides)

    def _size(self) -> int | Scalar:
        start = self.cursor.token
        value = self.expression()
        if value.dtype is not DType.I64:
            self.cursor.fail("Sizes are whole numbers (i64).", start)
        typed = start.text == DType.I64.value
        return int(value.value) if isinstance(value, Const) and not typed else value

    # ---- expressions -------------------------------------------------------------------------

    def expression(self) -> Scalar:
        """Reads a whole expression, with the parts it names first."""
        with self.cursor.nested():
            return self._expression()

    def _expression(self) -> Scalar:
        if not self.cursor.accept("with"):
            return self._binary(1)
        outer = dict(self._shared)
        self._definition()
        while self.cursor.accept(","):
            self._definition()
        self.cursor.expect("in")
        result = self._binary(1)
        self._shared = outer
        return result

    def _definition(self) -> None:
        token = self.cursor.advance()
        if token.kind != "shared":
            self.cursor.fail("Expected the name of a shared part, such as $0.", token)
        self.cursor.expect("=")
        self._shared[token.text] = self._binary(1)

    def _binary(self, level: int) -> Scalar:
        """Reads operators that bind at least as tightly as `level`."""
        left = self._unary()
        while self.cursor.token.kind == "mark":
            sign = self.cursor.token
            if sign.text in _INFIX and _INFIX[sign.text][1] >= level:
                self.cursor.advance()
                function, binds = _INFIX[sign.text]
                left = self._checked(Binary(function, left, self._binary(binds + 1)), sign)
            elif sign.text in _COMPARE and level <= COMPARE_LEVEL:
                self.cursor.advance()
                right = self._binary(COMPARE_LEVEL + 1)
                left = self._checked(Compare(_COMPARE[sign.text], left, right), sign)
            else:
                break
        return left

    def _unary(self) -> Scalar:
        sign = self.cursor.token
        if self.cursor.accept("-"):
            following = self.cursor.token
            if following.kind == "number" or following.text in ("inf", "nan"):
                return self._number(negative=True)
            return self._checked(Unary("neg", self._nested_unary()), sign)
        if self.cursor.accept("~"):
            return self._checked(Unary("not", self._nested_unary()), sign)
        return self._primary()

    def _nested_unary(self) -> Scalar:
        with self.cursor.nested():
            return self._unary()

    def _primary(self) -> Scalar:
        token = self.cursor.token
        if token.kind == "number" or token.text in ("inf", "nan"):
            return self._number()
        if token.kind == "shared":
            if token.text not in self._shared:
                self.cursor.fail(f"'{token.text}' is not defined here.")
            self.cursor.advance()
            return self._shared[token.text]
        if token.text in ("true", "false") and token.kind == "name":
            self.cursor.advance()
            return Const(token.text == "true", DType.BOOL)
        if token.text == "(":
            return self._bracketed()
        return self._named()

    def _bracketed(self) -> Scalar:
        start = self.cursor.token
        self.cursor.expect("(")
        if self.cursor.token.kind == "name" and self.cursor.ahead().text == ":":
            value = self.declaration()
            self.cursor.expect(")")
            return self._load(value, start) if isinstance(value, Buffer) else value
        result = self.expression()
        self.cursor.expect(")")
        return result

    def _named(self) -> Scalar:
        token, following = self.cursor.token, self.cursor.ahead().text
        if token.kind == "name" and following == "(":
            return self._call()
        if token.kind == "name" and following == "{" and token.text in _REDUCE:
            return self._reduce()
        name = self.cursor.name()
        value = self.scope.get(name)
        if value is None:
            self.cursor.fail(f"'{name}' is not declared here.", token)
        return self._load(value, token) if isinstance(value, Buffer) else value

    def _number(self, negative: bool = False) -> Const:
        token = self.cursor.advance()
        sign = "-" if negative else ""
        if token.kind == "number" and token.text.isdigit():
            return self._constant(int(token.text[:40]) * (-1 if negative else 1), DType.I64, token)
        return Const(float(sign + token.text), DType.F32)

    def _constant(self, value: int | float, dtype: DType, token: Token) -> Const:
        try:
            return Const(value, dtype)
        except TypeError:
            self.cursor.fail(f"The type {dtype} cannot hold this number.", token)

    def _typed(self, dtype: DType) -> Const:
        self.cursor.expect("(")
        negative = self.cursor.accept("-")
        token = self.cursor.advance()
        if token.kind != "number" and token.text not in ("inf", "nan"):
            self.cursor.fail("Expected a number.", token)
        whole = token.text.isdigit() and dtype.is_integer
        value = int(token.text[:40]) if whole else float(token.text)
        self.cursor.expect(")")
        return self._constant(-value if negative else value, dtype, token)

    def _call(self) -> Scalar:
        token = self.cursor.advance()
        name = token.text
        if name in DTYPES:
            return self._typed(DTYPES[name])
        if name in ("cast", "saturate", "bitcast"):
            return self._conversion(token)
        arguments = self.cursor.listed(self.expression, "(", ")")
        build = _builder(name, len(arguments))
        if build is None:
            self.cursor.fail(f"There is no function '{name}' of {len(arguments)} arguments.", token)
        return self._checked(build(*arguments), token)

    def _conversion(self, token: Token) -> Scalar:
        self.cursor.expect("(")
        operand = self.expression()
        self.cursor.expect(",")
        dtype = self.cursor.dtype()
        self.cursor.expect(")")
        if token.text == "bitcast":
            return self._checked(Bitcast(operand, dtype), token)
        return self._checked(Cast(operand, dtype, token.text == "saturate"), token)

    def _reduce(self) -> Scalar:
        token = self.cursor.advance()
        outer = dict(self.scope)
        axes = self.cursor.listed(self.declare, "{", "}")
        variables = tuple(axis for axis in axes if isinstance(axis, Var))
        if len(variables) != len(axes):
            self.cursor.fail("The axes of a reduction are variables.", token)
        self.cursor.expect("(")
        body = self.expression()
        self.cursor.expect(")")
        self.scope = outer
        return self._checked(Reduce(_REDUCE[token.text], variables, body), token)

    def _load(self, buffer: Buffer, token: Token) -> Scalar:
        index: list[Scalar] = []
        guard = otherwise = None
        self.cursor.expect("[")
        while self.cursor.token.text not in ("]", "if", "else"):
            index.append(self.expression())
            if not self.cursor.accept(","):
                break
        if self.cursor.accept("if"):
            guard = self.expression()
        if self.cursor.accept("else"):
            otherwise = self.expression()
        self.cursor.expect("]")
        return self._checked(Load(buffer, tuple(index), guard, otherwise), token)

    def _checked(self, value: Scalar, token: Token) -> Scalar:
        problem = type_problem(value)
        if problem is not None:
            self.cursor.fail(problem, token)
        return value


def _builder(name: str, arguments: int) -> Callable[..., Scalar] | None:
    if arguments == 1 and name in _UNARY:
        return lambda operand: Unary(_UNARY[name], operand)
    if arguments == 2 and name in _BINARY:
        return lambda left, right: Binary(_BINARY[name], left, right)
    if arguments == 3:
        return {"select": Select, "fma": Fma}.get(name)
    return None
