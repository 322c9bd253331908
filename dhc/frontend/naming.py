"""Weight names: stable paths of the names in the source.

A layer's path is the name it is assigned to, with `[i]` for each turn of a loop around it, then its
kind: `e1.conv`, `x[2].conv`. A block adds nothing of its own, only the names inside it. The second
layer of a kind under one name is `e1.conv#2`. `name=` replaces the path from the body it stands in.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Paths:
    """The paths in use while one graph is built."""

    taken: set[str] = field(default_factory=set)

    def claim(self, path: str) -> str:
        """The path, or the next of its kind where it is taken: `conv#2`, `conv#3`."""
        number, candidate = 1, path
        while candidate in self.taken:
            number += 1
            candidate = f"{path}#{number}"
        self.taken.add(candidate)
        return candidate


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next layer stands: the path of the body, and names and loops inside it."""

    prefix: str = ""
    binding: str = ""
    turns: tuple[int, ...] = ()

    def path_of(self, kind: str) -> str:
        """The path of a layer of a kind, before numbering."""
        turns = "".join(f"[{turn}]" for turn in self.turns)
        if self.binding:
            return join(self.prefix, self.binding + turns, kind)
        return join(self.prefix, kind + turns)

    def inside(self) -> Place:
        """The place at which the body of a block called here begins."""
        if not self.binding:
            return Place(self.prefix, "", self.turns)
        turns = "".join(f"[{turn}]" for turn in self.turns)
        return Place(join(self.prefix, self.binding + turns))

    def bound_to(self, name: str) -> Place:
        return Place(self.prefix, name, self.turns)

    def turn(self, number: int) -> Place:
        return Place(self.prefix, self.binding, (*self.turns, number))


def join(*parts: str) -> str:
    return ".".join(part for part in parts if part)
