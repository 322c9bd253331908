"""What differs between the uses of a block: numbers, which become its parameters."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence

from dhc.decompile.statements import Spelled
from dhc.ir.size import Expr


def leaves(value: object) -> list[object]:
    """Returns the numbers and sizes in an argument, in order."""
    if isinstance(value, tuple):
        return [leaf for item in value for leaf in leaves(item)]
    number = isinstance(value, (int, float, Expr)) and not isinstance(value, bool)
    return [value] if number else []


def shaped(attributes: Sequence[tuple[str, object]]) -> Hashable:
    """Returns arguments with a blank for each number."""
    return tuple((name, _blank(value)) for name, value in attributes)


def _blank(value: object) -> Hashable:
    if isinstance(value, tuple):
        return tuple(map(_blank, value))
    if isinstance(value, Spelled):
        return value.text
    if isinstance(value, Expr):
        return "int"
    return type(value).__name__ if leaves(value) else str(value)


class Parameters:
    """The parameters of a block.

    Args:
        uses: For each use all its numbers in order, each with the name of its argument.
    """

    def __init__(self, uses: Sequence[Sequence[tuple[str, object]]]) -> None:
        self._columns = [tuple(use[k][1] for use in uses) for k in range(len(uses[0]))]
        self._found: dict[tuple[object, ...], str] = {}
        for name, column in sorted(self._varying(uses[0]), key=lambda pair: _size(pair[1])):
            if self._multiple(column) is None:
                self._found[column] = self._free(_size_name(column[0]) or name)

    def _varying(self, first: Sequence[tuple[str, object]]) -> list[tuple[str, tuple[object, ...]]]:
        named = zip((name for name, _ in first), self._columns, strict=True)
        return [(n, c) for n, c in named if not _same(c) or isinstance(c[0], Expr)]

    def _free(self, name: str) -> str:
        found, number = name, 2
        stem = re.sub(r"_\d+$", "", name)
        while found in self._found.values():
            found, number = f"{stem}_{number}", number + 1
        return found

    def _multiple(self, column: tuple[object, ...]) -> str | None:
        """A parameter, or a whole multiple of one, whose values are these."""
        if column in self._found:
            return self._found[column]
        for base, name in self._found.items():
            factor = _factor(base, column)
            if factor:
                return f"{factor} * {name}"
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the order in which a call gives them."""
        return tuple(self._found.values())

    @property
    def inside(self) -> list[object]:
        """What stands in the body for each number."""
        found: list[object] = []
        for column in self._columns:
            text = None if _same(column) and not isinstance(column[0], Expr) else ""
            if text is not None:
                text = self._multiple(column)
            found.append(column[0] if text is None else Spelled(text))
        return found

    def arguments(self, use: int) -> tuple[tuple[str, object], ...]:
        """What a use gives."""
        return tuple((name, column[use]) for column, name in self._found.items())


def _same(column: Sequence[object]) -> bool:
    return all(type(each) is type(column[0]) and each == column[0] for each in column)


def _size(column: Sequence[object]) -> tuple[bool, float]:
    first = column[0]
    return (True, float(first)) if isinstance(first, (int, float)) else (False, 0.0)


def _factor(base: Sequence[object], column: Sequence[object]) -> int:
    """The whole number that makes one column of the other; 0 if there is none."""
    if not all(isinstance(each, int) and each > 0 for each in (*base, *column)):
        return 0
    pairs = [(int(str(b)), int(str(c))) for b, c in zip(base, column, strict=True)]
    factor = pairs[0][1] // pairs[0][0]
    return factor if factor > 1 and all(b * factor == c for b, c in pairs) else 0


def _size_name(value: object) -> str:
    """A name for a size that has one, such as n for N; "size" for what is computed of some."""
    if not isinstance(value, Expr):
        return ""
    text = str(value).lower()
    return text if text.isidentifier() else "size"
