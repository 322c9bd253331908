"""Which arguments of a call are its tensors, and which are numbers and words."""

from __future__ import annotations

from collections.abc import Sequence

from dhc.frontend import ast
from dhc.frontend.fail import error
from dhc.frontend.signature import Signature, signature_of
from dhc.frontend.values import (
    Bundle,
    DefinitionValue,
    Given,
    Instance,
    Primitive,
    Value,
    describe,
)
from dhc.ir.graph import Node, literal
from dhc.ir.types import Tensor
from dhc.ops.base import Layer, operators


def is_tensor(given: Given) -> bool:
    value = given.value
    if isinstance(value, Bundle):
        value = value.values
    if isinstance(value, tuple):
        return bool(value) and all(isinstance(item, Node) for item in value)
    return isinstance(value, Node)


def spread(given: Given) -> list[Given]:
    """A tuple or list of tensors as single ones."""
    value = given.value.values if isinstance(given.value, Bundle) else given.value
    if isinstance(value, tuple):
        return [Given(None, item, given.span) for item in value]
    return [given]


def split_tensors(
    signature: Signature, inputs: tuple[Given, ...], given: tuple[Given, ...]
) -> tuple[list[Given], list[Given]]:
    """Tensors that flow in or stand first among the arguments, and the other arguments."""
    names = [p.name for p in signature.tensors]
    tensors = [item for each in inputs for item in spread(each)]
    rest = list(given)
    while rest and rest[0].name is None and is_tensor(rest[0]):
        if not signature.variadic and len(tensors) >= len(names):
            break
        tensors += spread(rest.pop(0))
    missing_number = rest and rest[0].name is None and len(tensors) < len(names)
    if missing_number and tensors and not signature.variadic and not signature.attributes:
        tensors.append(rest.pop(0))  # add(x, 1): a number in place of a tensor
    for name in names[len(tensors) :]:
        named = next((each for each in rest if each.name == name), None)
        if named is not None:
            rest.remove(named)
            tensors.append(Given(None, named.value, named.span))
    return tensors, rest


def with_weights(
    callee: Primitive, inputs: tuple[Given, ...], given: tuple[Given, ...]
) -> Primitive:
    """The operator of a layer's name, where a call gives the weights as further tensors."""
    if not isinstance(callee.target, Layer) or callee.name not in operators:
        return callee
    layer = signature_of(callee.target)
    count = sum(len(spread(each)) for each in inputs)
    count += len([each for each in given if each.name is None and is_tensor(each)])
    more = not layer.variadic and count > len(layer.tensors)
    return Primitive(callee.name, operators[callee.name]) if more else callee


def names_with_weights(callee: Primitive) -> tuple[str, ...]:
    """What else a layer's name takes where a call gives its weights as tensors."""
    layered = isinstance(callee.target, Layer) and callee.name in operators
    return signature_of(operators[callee.name]).names if layered else ()


def split_definition_inputs(
    definition: ast.Definition, inputs: tuple[Given, ...], given: tuple[Given, ...]
) -> tuple[tuple[Given, ...], list[Given]]:
    names = [s.name.text for s in definition.body.statements if isinstance(s, ast.Input)]
    tensors = [item for each in inputs for item in spread(each)]
    rest = list(given)
    while rest and rest[0].name is None and is_tensor(rest[0]) and len(tensors) < len(names):
        tensors += spread(rest.pop(0))
    for name in names[len(tensors) :]:
        named = next((e for e in rest if e.name == name and isinstance(e.value, Node)), None)
        if named is not None:
            rest.remove(named)
            tensors.append(Given(None, named.value, named.span))
    return tuple(tensors), rest


def take_pin(given: Sequence[Given], known: Sequence[str]) -> tuple[str | None, list[Given]]:
    """Separates `name="..."`, which pins the weight names of a call."""
    pin: str | None = None
    rest = []
    for each in given:
        if each.name != "name" or "name" in known:
            rest.append(each)
        elif isinstance(each.value, str) and each.value:
            pin = each.value
        else:
            message = f"'name' is a string, not {describe(each.value)}."
            raise error("type", message, each.span)
    return pin, rest


def named_inputs(callee: Value, given: tuple[Given, ...]) -> bool:
    """Whether a call gives its tensors by name: `up(x=a, skip=b)`."""
    target = callee.callee if isinstance(callee, Instance) else callee
    names: set[str] = set()
    if isinstance(target, DefinitionValue):
        statements = target.definition.body.statements
        names = {s.name.text for s in statements if isinstance(s, ast.Input)}
    elif isinstance(target, Primitive):
        names = {p.name for p in signature_of(target.target).tensors}
    return any(each.name in names and isinstance(each.value, Node) for each in given)


def needs_no_tensor(callee: Value) -> bool:
    return isinstance(callee, Primitive) and not signature_of(callee.target).tensors


def constant_like(value: int | float, like: Tensor) -> Node:
    number = float(value) if like.dtype.is_float else int(value)
    return literal(number, like.dtype)
