"""Objects of the recipe's registries, from the records that the language makes of calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, get_type_hints

from dhc.errors import DhcError, Diagnostic
from dhc.frontend.signature import convert
from dhc.frontend.values import Interval, Record, Value
from dhc.source import Span

T = TypeVar("T")
Registry = Mapping[str, type[T]]


def made(record: Record, registry: Registry[T], what: str, without: str = "") -> T:
    """Returns the object that a call describes.

    Args:
        record: The call; its arguments were checked against the class before.
        registry: The classes it may name.
        what: The kind in words, with its article.
        without: An argument that is left out, so that the class gives it.

    Raises:
        DhcError: if it names another kind of thing, or an argument is out of range.
    """
    cls = registry.get(record.name)
    if cls is None:
        text = f"'{record.name}' is not {what}."
        hints = (f"use one of {', '.join(registry)}",)
        raise DhcError(Diagnostic("type", text, record.span, "here", hints=hints))
    hinted = get_type_hints(cls)
    given = {name: value for name, value in record.arguments if name != without}
    plain = {name: convert(_plain(value), hinted[name]) for name, value in given.items()}
    try:
        return cls(**plain)
    except ValueError as problem:
        raise DhcError(Diagnostic("arguments", str(problem), record.span, "here")) from None


def made_all(
    value: Value, registry: Registry[T], what: str, place: Span | None
) -> tuple[tuple[T, Record], ...]:
    """Returns the objects of a list of calls, or of one, each with its call.

    Raises:
        DhcError: if something in it is no such call.
    """
    items = value if isinstance(value, tuple) else () if value is None else (value,)
    found = []
    for item in items:
        if not isinstance(item, Record):
            text = f"This must be a list of calls, each {what}."
            hints = (f"use {', '.join(registry)}",)
            raise DhcError(Diagnostic("type", text, place, "here", hints=hints))
        found.append((made(item, registry, what), item))
    return tuple(found)


def _plain(value: Value) -> Value:
    return (value.low, value.high) if isinstance(value, Interval) else value
