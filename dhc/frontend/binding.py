"""Binding of arguments to operators and layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args, get_origin

from dhc.errors import DhcError
from dhc.frontend.evaluate import missing_argument, unknown_argument
from dhc.frontend.fail import error, guess
from dhc.frontend.signature import (
    AxisResolver,
    MismatchError,
    Parameter,
    Signature,
    convert,
    mismatch_message,
)
from dhc.frontend.values import Given, Value
from dhc.source import Span


def bind_attributes(
    name: str, signature: Signature, given: Sequence[Given], span: Span
) -> dict[str, Given]:
    """Which argument goes to which attribute.

    Several numbers in a row go to an attribute that takes a list: `resize(256, 256)`.
    """
    bound: dict[str, Given] = {}
    positional = [each for each in given if each.name is None]
    parameters = list(signature.attributes)
    while positional:
        if not parameters:
            raise _too_many(name, signature, positional[0])
        parameter = parameters.pop(0)
        first = positional.pop(0)
        if _takes_only_lists(parameter) and not isinstance(first.value, tuple):
            values = (first.value, *(each.value for each in positional))
            last = positional[-1] if positional else first
            first = Given(None, values, first.span.to(last.span))
            positional = []
        bound[parameter.name] = first
    for each in given:
        if each.name is not None:
            _bind_named(name, signature, each, bound)
    missing = [p.name for p in signature.attributes if p.required and p.name not in bound]
    if missing:
        raise missing_argument(name, missing[0], span)
    return bound


def _bind_named(name: str, signature: Signature, given: Given, bound: dict[str, Given]) -> None:
    assert given.name is not None
    if signature.attribute(given.name) is None:
        raise unknown_argument(name, given, [p.name for p in signature.attributes])
    if given.name in bound:
        raise error("arguments", f"'{given.name}' of '{name}' is given twice.", given.span)
    bound[given.name] = given


def _takes_only_lists(parameter: Parameter) -> bool:
    options = get_args(parameter.annotation)
    return get_origin(parameter.annotation) is tuple and len(options) == 2 and options[1] is ...


def _too_many(name: str, signature: Signature, given: Given) -> DhcError:
    count = len(signature.attributes)
    if count == 0:
        message = f"'{name}' takes no arguments besides its tensors."
    else:
        message = f"'{name}' takes at most {count} arguments besides its tensors."
    return error("arguments", message, given.span, "one too many")


def convert_argument(
    name: str, parameter: Parameter, given: Given, axis: AxisResolver | None
) -> object:
    """The Python object for an argument.

    Raises:
        DhcError: the value is of another kind; the diagnostic points at the argument.
    """
    try:
        return convert(given.value, parameter.annotation, axis)
    except MismatchError as problem:
        message = mismatch_message(name, parameter.name, given.value, problem)
        hint = guess(str(_word(given.value)), problem.words) if problem.words else ""
        raise error("type", message, given.span, "here", hint) from None


def _word(value: Value) -> object:
    return getattr(value, "text", value)
