"""From JSON that any hand may have changed to records of a known form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import TypeVar, Union, cast, get_args, get_origin, get_type_hints

from dhc.errors import DhcError, Diagnostic

MAX_BYTES = 64 << 20

T = TypeVar("T")


def read_record(path: Path, form: type[T]) -> T | None:
    """Reads a JSON file as a record; None if there is no such file.

    Raises:
        DhcError: if it is too large, or not of that form.
    """
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES} bytes")
        return decode(json.loads(path.read_bytes()), form)
    except (ValueError, RecursionError) as problem:
        reason = str(problem).rstrip(".")
        raise DhcError(Diagnostic("run", f"'{path}' cannot be read: {reason}.")) from None


def decode(value: object, form: type[T]) -> T:
    """Returns a JSON value as a record.

    Args:
        value: What `json` has read.
        form: A dataclass, `Mapping[str, X]`, `tuple[X, ...]`, an optional or a plain type. Members
            that it does not know are left out.

    Raises:
        ValueError: naming the first place that does not fit.
    """
    return cast(T, _decode(value, form, "it"))


def _decode(value: object, form: object, place: str) -> object:
    origin, inner = get_origin(form), get_args(form)
    if form is object:
        return value
    if origin in (UnionType, Union):
        return None if value is None else _decode(value, inner[0], place)
    if origin is tuple and isinstance(value, list):
        kinds = [inner[0]] * len(value) if inner[-1] is ... else list(inner)
        if len(kinds) == len(value):
            pairs = enumerate(zip(value, kinds, strict=True))
            return tuple(_decode(item, kind, f"{place}[{k}]") for k, (item, kind) in pairs)
    if origin is not None and issubclass(origin, Mapping) and isinstance(value, dict):
        return {key: _decode(item, inner[1], f"{place}.{key}") for key, item in value.items()}
    if isinstance(form, type):
        if is_dataclass(form) and isinstance(value, dict):
            return _record(value, form, place)
        if form is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if form in (str, int, bool) and type(value) is form:
            return value
    raise ValueError(f"{place} is {_shown(value)}")


def _record(value: Mapping[str, object], form: type, place: str) -> object:
    hints = get_type_hints(form)
    given = {}
    for field in fields(form):
        if field.name in value:
            own = f"{place}.{field.name}".removeprefix("it.")
            given[field.name] = _decode(value[field.name], hints[field.name], own)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{place} has no '{field.name}'")
    return form(**given)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
