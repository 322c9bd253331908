"""Folds long lines of printed text where operators bind least."""

from __future__ import annotations

import re
from dataclasses import dataclass

WIDTH = 100
_BINDING = {
    "else": 1, ":": 1, "if": 2, "?": 2, "||": 3, "or": 3, "&&": 4, "and": 4,
    "==": 5, "!=": 5, "<": 5, "<=": 5, ">": 5, ">=": 5, "|": 6, "^": 7, "&": 8,
    "<<": 9, ">>": 9, "+": 10, "-": 10, "*": 11, "/": 11, "//": 11, "%": 11,
}  # fmt: skip
_TOKEN = re.compile(r"[(\[{]|[)\]}]|, | (?=(\S+) )")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a line may end.

    Attributes:
        index: The first character of the next line.
        depth: How many brackets are open there.
        binding: How tightly the operator binds that follows; 0 after a comma.
        start: Where, on this line, what is inside the innermost of these brackets starts; or 0.
    """

    index: int
    depth: int
    binding: int
    start: int


def fold(text: str, margin: str, inside: bool = False) -> list[str]:
    """Returns a statement as lines that fit the width, as far as it has places to break.

    Args:
        text: The statement, with spaces around operators.
        margin: What stands before its first line; further lines start four columns deeper.
        inside: Whether breaks must be inside brackets, as in Python.
    """
    lines: list[str] = []
    depth, first = 0, len(text.partition(" = ")[0]) + 3 if " = " in text else 0
    while len(margin) + len(text) > WIDTH:
        places = _places(text, depth, 0 if lines else first)
        index = _best([p for p in places if p.depth > 0 or not inside], WIDTH - len(margin))
        if index == 0:
            break
        depth += _opened(text[:index])
        lines.append(margin + text[:index].rstrip())
        margin, text = margin if lines[1:] else f"{margin}    ", text[index:]
    return [*lines, margin + text]


def _places(text: str, depth: int, first: int) -> list[_Place]:
    """Returns all places of a text that starts inside `depth` brackets, from `first` on."""
    found: list[_Place] = []
    starts = [*[0] * depth, first]
    for token in _TOKEN.finditer(text, first):
        match token[0]:
            case "(" | "[" | "{":
                starts.append(token.end())
            case ")" | "]" | "}":
                starts.pop()
            case _:
                binding = _BINDING.get(token[1]) if token[1] else 0
                if binding is not None:
                    found.append(_Place(token.end(), len(starts) - 1, binding, starts[-1]))
    return found


def _best(places: list[_Place], room: int) -> int:
    """Returns where to break: at the loosest operator, or in front of all that it joins."""
    if not places:
        return 0
    loosest = min(places, key=lambda p: (p.depth, p.binding))
    alike = [p for p in places if (p.depth, p.binding) == (loosest.depth, loosest.binding)]
    fitting = [p.index for p in alike if p.index <= room]
    if fitting:
        return fitting[-1]
    if 0 < loosest.start <= room:
        return loosest.start
    others = [p for p in places if p.index <= room]
    return max(others, key=lambda p: (-p.depth, -p.binding, p.index)).index if others else 0


def _opened(text: str) -> int:
    """How many brackets a text leaves open; negative where it closes more."""
    return sum(map(text.count, "([{")) - sum(map(text.count, ")]}"))
