"""Interning: equal immutable values are one object, so that identity is equality.

Fields are compared by class and bit pattern: 0.0 is not -0.0, 1 is not True; NaN equals any NaN.
The table holds its values weakly and takes a lock, so it may be used from several threads. A key
holds the identities of interned operands, not the operands; the value of the entry keeps them
alive, and the entry is gone before they are, so no identity is ever that of another object.
"""

from __future__ import annotations

import math
import struct
import threading
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar
from weakref import WeakValueDictionary

Key = tuple[object, ...]
T = TypeVar("T")

_table: WeakValueDictionary[Key, object] = WeakValueDictionary()
_lock = threading.Lock()
_names: dict[type, tuple[str, ...]] = {}  # of the fields of dataclasses
_keys: dict[type, Callable[[Any], Key]] = {}  # what makes the keys of a class


class Interned(type):
    """Metaclass of frozen dataclasses whose equal instances are one object.

    Apply `@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)` to the class.
    """

    def __call__(cls: type[T], *args: object, **kwargs: object) -> T:
        candidate = super().__call__(*args, **kwargs)  # type: ignore[misc]
        key = _fields_key(candidate)
        with _lock:
            found = _table.setdefault(key, candidate)
        return found  # type: ignore[return-value]


def value_key(value: object) -> Key:
    """Returns a hashable key equal for two values exactly when they are equal bit by bit.

    Interned objects are keyed by identity; dataclasses and tuples field by field.
    """
    kind = type(value)
    return (_keys.get(kind) or _key_of(kind))(value)


def _key_of(kind: type) -> Callable[[Any], Key]:
    """Returns what makes the keys of a class, and remembers it."""
    found: Callable[[Any], Key]
    if issubclass(kind, float):
        found = _float_key
    elif issubclass(kind, tuple):
        found = _tuple_key
    elif isinstance(kind, Interned):
        found = _identity_key
    elif is_dataclass(kind) and not issubclass(kind, Enum):
        found = _fields_key
    else:
        found = _plain_key
    _keys[kind] = found
    return found


def _plain_key(value: object) -> Key:
    return (type(value), value)


def _identity_key(value: object) -> Key:
    return (id(value),)


def _float_key(value: float) -> Key:
    return (float, struct.pack("<d", math.nan if math.isnan(value) else value))


def _tuple_key(value: tuple[object, ...]) -> Key:
    return (tuple, *map(value_key, value))


def _fields_key(value: object) -> Key:
    """The fields by which objects of a dataclass are compared."""
    kind = type(value)
    names = _names.get(kind)
    if names is None:
        names = _names[kind] = tuple(f.name for f in fields(value) if f.compare)  # type: ignore[arg-type]
    return (kind, *[value_key(getattr(value, name)) for name in names])
