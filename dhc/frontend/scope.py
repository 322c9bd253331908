"""Scopes: which names are known where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dhc.frontend.values import Value
from dhc.source import Span


@dataclass(slots=True)
class Lazy:
    """A value computed when it is first asked for, so that items may stand in any order."""

    compute: Callable[[], Value]
    running: bool = False


@dataclass(slots=True)
class Scope:
    """Names and their values; names not found here are looked up in the parent."""

    parent: Scope | None = None
    names: dict[str, Value | Lazy] = field(default_factory=dict)
    places: dict[str, Span] = field(default_factory=dict)

    def find(self, name: str) -> Scope | None:
        """The innermost scope that knows a name."""
        scope: Scope | None = self
        while scope is not None and name not in scope.names:
            scope = scope.parent
        return scope

    def define(self, name: str, value: Value | Lazy, span: Span | None = None) -> None:
        self.names[name] = value
        if span is not None:
            self.places[name] = span

    def all_names(self) -> Iterator[str]:
        scope: Scope | None = self
        while scope is not None:
            yield from scope.names
            scope = scope.parent
