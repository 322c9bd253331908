"""A built program as bytes for the object cache: interface, prepare graph and machine code."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass

from dhc.backends.cpu.interface import Interface, interface_from_json, interface_to_json

_LENGTHS = struct.Struct("<3Q")


@dataclass(frozen=True)
class Snapshot:
    """What restores a program.

    Attributes:
        prepare: The text of the prepare graph.
        code: The object file.
    """

    interface: Interface
    prepare: str
    code: bytes


def pack(snapshot: Snapshot) -> bytes:
    """Returns a snapshot as bytes."""
    parts = [
        interface_to_json(snapshot.interface).encode("utf-8"),
        snapshot.prepare.encode("utf-8"),
        snapshot.code,
    ]
    return _LENGTHS.pack(*map(len, parts)) + b"".join(parts)


def unpack(content: bytes) -> Snapshot | None:
    """Reads what `pack` wrote; None if it is damaged. The bytes must be authentic."""
    try:
        lengths = _LENGTHS.unpack_from(content)
        if sum(lengths) + _LENGTHS.size != len(content):
            return None
        first, second = _LENGTHS.size + lengths[0], _LENGTHS.size + lengths[0] + lengths[1]
        return Snapshot(
            interface_from_json(content[_LENGTHS.size : first].decode("utf-8")),
            content[first:second].decode("utf-8"),
            content[second:],
        )
    except (struct.error, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError):
        return None
