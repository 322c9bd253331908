"""Replaces parts of scalar expressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from dhc.ir.scalar import (
    Binary,
    Cast,
    Compare,
    Reduce,
    Scalar,
    Select,
    Unary,
    Var,
    binary,
    cast,
    compare,
    select,
    unary,
    walk,
)


def replace_variables(expression: Scalar, bindings: Mapping[Var, Scalar]) -> Scalar:
    """Returns the expression with variables replaced, simplified again on the way."""
    done: dict[Scalar, Scalar] = {}
    for part in walk(expression):
        bound = bindings.get(part) if isinstance(part, Var) else None
        done[part] = bound if bound is not None else map_children(part, done)
    return done[expression]


def map_children(expression: Scalar, done: Mapping[Scalar, Scalar]) -> Scalar:
    """Returns the same kind of expression over the replacements of its operands."""
    match expression:
        case Unary(function, operand):
            return unary(function, done[operand])
        case Binary(function, left, right):
            return binary(function, done[left], done[right])
        case Compare(relation, left, right):
            return compare(relation, done[left], done[right])
        case Select(condition, then, otherwise):
            return select(done[condition], done[then], done[otherwise])
        case Cast(operand, dtype, saturate):
            return cast(done[operand], dtype, saturate)
        case Reduce(kind, axes, body):
            assert all(done[axis] is axis for axis in axes), "a bound variable cannot be replaced"
            return Reduce(kind, axes, done[body])
    arguments = [_map_field(getattr(expression, f.name), done) for f in fields(expression)]
    return type(expression)(*arguments)


def _map_field(value: object, done: Mapping[Scalar, Scalar]) -> object:
    if isinstance(value, Scalar):
        return done[value]
    if isinstance(value, tuple):
        return tuple(_map_field(item, done) for item in value)
    return value
