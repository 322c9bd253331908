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
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TypeVar
from weakref import WeakValueDictionary

Key = tuple[object, ...]
T = TypeVar("T")

_table: WeakValueDictionary[Key, object] = WeakValueDictionary()
_lock = threading.Lock()
_names: dict[type, tuple[str, ...] | None] = {}  # what `_compared` has found


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
    if isinstance(kind, Interned):
        return (id(value),)
    if isinstance(value, float):
        return (float, struct.pack("<d", math.nan if math.isnan(value) else value))
    if isinstance(value, tuple):
        return (tuple, *map(value_key, value))
    return (kind, value) if _compared(kind) is None else _fields_key(value)


def _fields_key(value: object) -> Key:
    names = _compared(type(value))
    assert names is not None
    return (type(value), *(value_key(getattr(value, name)) for name in names))


def _compared(kind: type) -> tuple[str, ...] | None:
    """The fields by which objects of a dataclass are compared; None for other classes."""
    if kind not in _names:
        plain = not is_dataclass(kind) or issubclass(kind, Enum)
        _names[kind] = None if plain else tuple(f.name for f in fields(kind) if f.compare)
    return _names[kind]
