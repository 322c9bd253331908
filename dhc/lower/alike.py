"""What is made once for all that is alike: steps of an unrolled loop have one kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from dhc.ir.graph import Node
from dhc.ir.interning import Key, value_key

T = TypeVar("T")


class Alike(Generic[T]):
    """Remembers what was made, as long as the nodes are there that it was made for."""

    def __init__(self) -> None:
        self._found: dict[Key, T] = {}

    def made(self, what: tuple[object, ...], make: Callable[[], T]) -> T:
        """Returns what `make` returned the first time for equal values of `what`."""
        key = value_key(what)
        if key not in self._found:
            self._found[key] = make()
        return self._found[key]


def kind_of(node: Node) -> tuple[object, ...]:
    """What nodes that do the same have in common: the operator and its types."""
    return (node.op, node.type, tuple(source.type for source in node.inputs))
