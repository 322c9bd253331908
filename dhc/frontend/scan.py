"""Loops over time in the language: sequences have their time axis where their types say."""

from __future__ import annotations

from dataclasses import dataclass

from dhc.frontend.axes import axis_index
from dhc.ir.graph import Node
from dhc.ir.types import Tensor
from dhc.ops.base import Axis, normalize_axis
from dhc.ops.shape import Permute


@dataclass(frozen=True)
class ScanOptions:
    """What a scan says besides its sequences.

    Attributes:
        axis: The axis that it goes along.
        reverse: Whether it begins at the end.
        last: Whether it also gives the last of what it carries, behind what it yields.
    """

    axis: int
    reverse: bool
    last: bool

    @classmethod
    def of(
        cls, sequence: Tensor, axis: Axis | None = None, reverse: bool = False, last: bool = False
    ) -> ScanOptions:
        """Unless an axis is given, it is T where the type names it, else the second."""
        if axis is None:
            named = axis_index("T", sequence.shape)
            axis = 1 if named is None else named
        return cls(normalize_axis("scan", axis, sequence.rank), reverse, last)


def said_of_scan(axis: Axis | None = None, reverse: bool = False, last: bool = False) -> None:
    """The arguments of a scan; its signature is read."""


def element_type(sequence: Tensor, axis: int) -> Tensor:
    """The type of one step of a sequence."""
    return sequence.with_shape((*sequence.shape[:axis], *sequence.shape[axis + 1 :]))


def time_first(sequence: Node, axis: int) -> Node:
    """The sequence with its time axis before all others."""
    if axis == 0:
        return sequence
    return Permute((axis, *(a for a in range(sequence.type.rank) if a != axis)))(sequence)


def time_at(sequence: Node, axis: int) -> Node:
    """A sequence whose first axis is time, with that axis in another place."""
    if axis == 0:
        return sequence
    return Permute((*range(1, axis + 1), 0, *range(axis + 1, sequence.type.rank)))(sequence)
