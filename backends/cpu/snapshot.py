"""A built program as bytes for the object cache: interface, prepare graph and machine code."""

from __future__ import annotations

import io
from dataclasses import dataclass

from dhc.backends.cpu.interface import Interface, interface_from_json, interface_to_json
from dhc.backends.cpu.llvm import read_blocks, write_blocks


@dataclass(frozen=True)
class Snapshot:
    """What restores a program.

    Attributes:
        prepare: The text of the prepare graph.
        objects: The object files.
    """

    interface: Interface
    prepare: str
    objects: tuple[bytes, ...]


def pack(snapshot: Snapshot) -> bytes:
    """Returns a snapshot as bytes."""
    made = io.BytesIO()
    texts = (interface_to_json(snapshot.interface), snapshot.prepare)
    write_blocks(made, [*(text.encode("utf-8") for text in texts), *snapshot.objects])
    return made.getvalue()


def unpack(content: bytes) -> Snapshot | None:
    """Reads what `pack` wrote; None if it is damaged. The bytes must be authentic."""
    try:
        interface, prepare, *objects = read_blocks(content)
        found = interface_from_json(interface.decode("utf-8"))
        return Snapshot(found, prepare.decode("utf-8"), tuple(objects))
    except (ValueError, KeyError, TypeError):
        return None
