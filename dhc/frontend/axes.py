"""Axes by letter: N is the batch, C the channels, D, H and W the last three."""

from __future__ import annotations

import re

from dhc.ir.size import Expr, Shape, Symbol

_LETTERS = ("N", "C", "D", "H", "W")


def axis_letters() -> tuple[str, ...]:
    return _LETTERS


def axis_index(letter: str, shape: Shape, batched: bool = True) -> int | None:
    """Position of a named axis, or None where a tensor of that shape has none.

    Besides the fixed letters, a symbol that is the size of exactly one axis names that axis, as
    in `f32[N, T, E]`.
    """
    rank = len(shape)
    named = [i for i, size in enumerate(shape) if _is_symbol(size, letter)]
    first_spatial = 2 if batched else 1
    fixed = {"C": first_spatial - 1, "D": rank - 3, "H": rank - 2, "W": rank - 1}
    if batched:
        fixed["N"] = 0
    position = fixed.get(letter)
    if position is not None and (letter in "NC" or position >= first_spatial):
        return position if position < rank else None
    return named[0] if len(named) == 1 else None


def axis_name(position: int, rank: int, batched: bool = True) -> str:
    """The letter of an axis, or its number where it has none."""
    position %= max(rank, 1)
    first_spatial = 2 if batched else 1
    spatial = rank - first_spatial
    if position < first_spatial:
        return "NC"[position] if batched else "C"
    if spatial <= 3:
        return "DHW"[3 - (rank - position)]
    return str(position)


def letters_for_numbers(message: str, rank: int, batched: bool = True) -> str:
    """Replaces "axis 2" in an operator's message by "axis H"."""

    def letter(match: re.Match[str]) -> str:
        number = int(match[2])
        inside = -rank <= number < rank
        return match[1] + (axis_name(number, rank, batched) if inside else match[2])

    return re.sub(r"((?:axis|every axis but) )(-?[0-9]+)", letter, message)


def _is_symbol(size: object, name: str) -> bool:
    return isinstance(size, Expr) and size.terms == (((Symbol(name),), 1),)
