"""Reads YAML as a tree of text: no types, no objects, no references, and limits on everything.

The usual loaders turn `no` into false and `1e3` into text, follow references that unpack a small
file into gigabytes, and on request make objects. Here what stands in a file is kept as it stands,
with its line, and whoever asks decides what it means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dhc.errors import DhcError, Diagnostic

MAX_BYTES = 1 << 27
MAX_NODES = 5_000_000
MAX_DEPTH = 20
EMPTY = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True)
class Tree:
    """A piece of YAML.

    Attributes:
        content: Text, a list, or a mapping from text.
        line: Where it stands, counted from 1.
        quoted: Whether it is text between quotation marks, which is never a number or empty.
    """

    content: str | Sequence[Tree] | Mapping[str, Tree]
    line: int
    quoted: bool = False

    @property
    def text(self) -> str | None:
        """The text; None if it is no text, or none at all."""
        if not isinstance(self.content, str) or (not self.quoted and self.content in EMPTY):
            return None
        return self.content

    @property
    def index(self) -> int | None:
        """The whole number from 0 that it is; None if it is something else."""
        text = self.text
        plain = text is not None and not self.quoted and text.isascii() and text.isdecimal()
        return int(text) if text is not None and plain and len(text) < 19 else None

    @property
    def items(self) -> Sequence[Tree] | None:
        """The items of a list; None if it is something else."""
        return self.content if isinstance(self.content, list) else None

    @property
    def members(self) -> Mapping[str, Tree] | None:
        """The members of a mapping; None if it is something else."""
        return self.content if isinstance(self.content, dict) else None


def read_yaml(path: Path) -> Tree:
    """Reads a YAML file with one document.

    Raises:
        DhcError: if it cannot be read, is too large, or uses references, tags or keys that are no
            text.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES} bytes")
        # Events are what the parser sees; nothing has been made of them yet.
        return _Reader(yaml.parse(data, Loader=loader)).document()
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        text = f"'{path}' cannot be read: {' '.join(reason.split())}."
        raise DhcError(Diagnostic("data", text)) from error


class _Reader:
    """Builds the tree from events.

    Args:
        events: Of the YAML library, whose classes have no types.
    """

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._nodes = 0

    def document(self) -> Tree:
        self._skip("StreamStartEvent")
        self._skip("DocumentStartEvent")
        found = self._tree(next(self._events), 0)
        self._skip("DocumentEndEvent")
        self._skip("StreamEndEvent")
        return found

    def _skip(self, kind: str) -> None:
        event = next(self._events)
        if type(event).__name__ != kind:
            raise ValueError("it must hold one document")

    def _tree(self, event: Any, depth: int) -> Tree:
        line = event.start_mark.line + 1
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise ValueError(f"line {line} is nested too deeply, or there is too much of it")
        kind = type(event).__name__
        if kind == "AliasEvent" or event.anchor is not None:
            raise ValueError(f"line {line} has a reference, & or *; write the text again")
        if event.tag not in (None, "!"):
            raise ValueError(f"line {line} has the tag {event.tag}; leave it out")
        if kind == "ScalarEvent":
            return Tree(event.value, line, bool(event.style))
        if kind == "SequenceStartEvent":
            return Tree(self._items(depth), line)
        return Tree(self._members(depth), line)

    def _items(self, depth: int) -> list[Tree]:
        found = []
        while type(event := next(self._events)).__name__ != "SequenceEndEvent":
            found.append(self._tree(event, depth + 1))
        return found

    def _members(self, depth: int) -> dict[str, Tree]:
        found: dict[str, Tree] = {}
        while type(event := next(self._events)).__name__ != "MappingEndEvent":
            key = self._tree(event, depth + 1)
            if not isinstance(key.content, str):
                raise ValueError(f"line {key.line} has a key that is no text")
            if key.content in found:
                raise ValueError(f"line {key.line} has the key '{key.content}' again")
            found[key.content] = self._tree(next(self._events), depth + 1)
        return found
