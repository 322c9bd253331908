"""Checks the statements of a kernel: scopes, types, and what `verify_access` says of memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from dhc.ir.kernel import (
    Alloc,
    Assign,
    Barrier,
    Declare,
    For,
    If,
    Kernel,
    Let,
    Statement,
    Store,
    statements,
)
from dhc.ir.replace import replace_variables
from dhc.ir.scalar import Buffer, Const, Load, Reduce, Scalar, Var, walk
from dhc.ir.types import DType
from dhc.ir.verify_access import Place, race_problem, range_problem
from dhc.ir.verify_scalar import access_problem, type_problem

PARALLEL = ("parallel", "vector", "block", "thread")
Role = Literal["size", "loop", "let", "variable", "input", "output", "scratch"]


@dataclass(frozen=True)
class _Scope:
    """What is known where a statement stands.

    Attributes:
        roles: What each name is.
        values: What each name stands for: names are unique, so a second object is a mistake.
        lets: The values of names in terms of loop variables and sizes.
        place: The loops and conditions around.
    """

    roles: Mapping[str, Role]
    values: Mapping[str, Var | Buffer]
    lets: Mapping[Var, Scalar]
    place: Place

    def declare(self, value: Var | Buffer, role: Role) -> _Scope:
        return replace(
            self,
            roles={**self.roles, value.name: role},
            values={**self.values, value.name: value},
        )

    def expand(self, value: Scalar) -> Scalar:
        """Returns the value with names replaced by what they stand for."""
        return replace_variables(value, self.lets)


def kernel_problems(kernel: Kernel) -> Iterator[str]:
    """Yields what is wrong with a kernel, one sentence each."""
    scope = _Scope({}, {}, {}, Place((), ()))
    if not 0 < kernel.outputs <= len(kernel.buffers):
        yield f"It writes {kernel.outputs} of {len(kernel.buffers)} buffers."
    declared: list[tuple[Var | Buffer, Role]] = [(size, "size") for size in kernel.sizes]
    declared += [
        (buffer, "output" if k < kernel.outputs else "input")
        for k, buffer in enumerate(kernel.buffers)
    ]
    for value, role in declared:
        yield from _name_problems(value, scope)
        scope = scope.declare(value, role)
    yield from _body_problems(kernel.body, scope)


def _name_problems(value: Var | Buffer, scope: _Scope) -> Iterator[str]:
    if value.name in scope.values:
        yield f"The name '{value.name}' is declared where it is already in use."
    if isinstance(value, Buffer):
        if len(value.shape) != len(value.strides):
            yield f"'{value.name}' has {len(value.shape)} axes and {len(value.strides)} strides."
        for size in (*value.shape, *value.strides):
            if isinstance(size, Scalar):
                yield from _expression_problems(size, scope, DType.I64)


def _body_problems(body: tuple[Statement, ...], scope: _Scope) -> Iterator[str]:
    for statement in body:
        yield from _statement_problems(statement, scope)
        scope = _after(statement, scope)


def _after(statement: Statement, scope: _Scope) -> _Scope:
    """Returns the scope for the statements that follow."""
    match statement:
        case Let(var, value):
            known = replace(scope, lets={**scope.lets, var: scope.expand(value)})
            return known.declare(var, "let")
        case Declare(var):
            return scope.declare(var, "variable")
        case Alloc(buffer):
            inner = replace(scope.place, scratch=(*scope.place.scratch, buffer))
            return replace(scope, place=inner).declare(buffer, "scratch")
    return scope


def _statement_problems(statement: Statement, scope: _Scope) -> Iterator[str]:
    match statement:
        case For():
            yield from _loop_problems(statement, scope)
        case If(condition, then, otherwise):
            yield from _expression_problems(condition, scope, DType.BOOL)
            yield from _body_problems(then, _under(scope, condition))
            yield from _body_problems(otherwise, _under(scope, ~condition))
        case Let(var, value) | Declare(var, value):
            yield from _name_problems(var, scope)
            yield from _expression_problems(value, scope, var.type)
        case Assign():
            yield from _assign_problems(statement, scope)
        case Store():
            yield from _store_problems(statement, scope)
        case Alloc(buffer):
            yield from _name_problems(buffer, scope)
        case Barrier() if scope.place.conditions:
            yield "A barrier stands inside an 'if': not all threads may reach it."


def _under(scope: _Scope, condition: Scalar) -> _Scope:
    return replace(scope, place=scope.place.under(scope.expand(condition)))


def _loop_problems(loop: For, scope: _Scope) -> Iterator[str]:
    var = loop.var
    yield from _name_problems(var, scope)
    yield from _expression_problems(loop.extent, scope, DType.I64)
    if var.type is not DType.I64:
        yield f"The loop variable '{var.name}' is {var.type}, not i64."
    if var.extent is not None and isinstance(loop.extent, Const) and var.extent < loop.extent.value:
        yield f"'{var.name}' is said to stay below {var.extent} and runs to {loop.extent.value}."
    inner = replace(scope, place=scope.place.inside(loop)).declare(var, "loop")
    yield from _body_problems(loop.body, inner)


def _assign_problems(assign: Assign, scope: _Scope) -> Iterator[str]:
    var = assign.var
    yield from _expression_problems(assign.value, scope, var.type)
    yield from _variable_problems(var, scope)
    if scope.roles.get(var.name, "variable") != "variable":
        yield f"'{var.name}' is assigned but was not declared as a variable."
    for loop in scope.place.loops:
        if loop.kind in PARALLEL and not _declared_inside(loop.body, var):
            yield f"The turns of the {loop.kind} loop '{loop.var.name}' all assign '{var.name}'."


def _declared_inside(body: tuple[Statement, ...], var: Var) -> bool:
    return any(isinstance(s, Declare) and s.var is var for s in statements(body))


def _store_problems(store: Store, scope: _Scope) -> Iterator[str]:
    buffer = store.buffer
    yield from _expression_problems(store.value, scope, buffer.type)
    for i in store.index:
        yield from _expression_problems(i, scope, DType.I64)
    if scope.values.get(buffer.name) is not buffer:
        yield f"It stores to '{buffer.name}', which is not known here."
    elif scope.roles[buffer.name] == "input":
        yield f"It stores to '{buffer.name}', which is an input."
    problem = access_problem(buffer, store.index)
    if problem is not None:
        yield problem
        return
    index = tuple(scope.expand(i) for i in store.index)
    yield from _some(range_problem(buffer, index, scope.place))
    for loop in scope.place.loops:
        if loop.kind in PARALLEL:
            yield from _some(race_problem(buffer, index, loop, scope.place))


def _some(problem: str | None) -> Iterator[str]:
    if problem is not None:
        yield problem


# ---- expressions -----------------------------------------------------------------------------


def _expression_problems(value: Scalar, scope: _Scope, expected: DType) -> Iterator[str]:
    for part in walk(value):
        match part:
            case Reduce():
                yield f"A reduction '{part.kind}' has not become loops."
            case Var():
                yield from _variable_problems(part, scope)
            case Load():
                yield from _load_problems(part, scope)
        yield from _some(type_problem(part))
    if value.dtype is not expected:
        yield f"A value is {value.dtype} where {expected} is needed."


def _variable_problems(var: Var, scope: _Scope) -> Iterator[str]:
    known = scope.values.get(var.name)
    if known is None:
        yield f"'{var.name}' is used where it is not defined."
    elif known is not var:
        yield f"'{var.name}' is used as {var!r} but declared as {known!r}."


def _load_problems(load: Load, scope: _Scope) -> Iterator[str]:
    buffer = load.buffer
    if scope.values.get(buffer.name) is not buffer:
        yield f"It reads '{buffer.name}', which is not known here."
    if access_problem(buffer, load.index) is None:
        inner = scope if load.guard is None else _under(scope, load.guard)
        index = tuple(scope.expand(i) for i in load.index)
        yield from _some(range_problem(buffer, index, inner.place))
