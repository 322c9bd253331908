"""Loops over time in the language: sequences have their time axis where their types say."""

from __future__ import annotations

from dhc.frontend.axes import axis_index
from dhc.ir.graph import Node
from dhc.ir.types import Tensor
from dhc.ops.shape import Permute


def time_axis(sequence: Tensor) -> int:
    """The axis that a scan goes along: T where the type names it, else the second."""
    named = axis_index("T", sequence.shape)
    return 1 if named is None else named


def element_type(sequence: Tensor, axis: int) -> Tensor:
    """The type of one step of a sequence."""
    return sequence.with_shape((*sequence.shape[:axis], *sequence.shape[axis + 1 :]))


def time_first(sequence: Node, axis: int) -> Node:
    """The sequence with its time axis before all others."""
    return Permute((axis, *(a for a in range(sequence.type.rank) if a != axis)))(sequence)


def time_at(sequence: Node, axis: int) -> Node:
    """A sequence whose first axis is time, with that axis in another place."""
    return Permute((*range(1, axis + 1), 0, *range(axis + 1, sequence.type.rank)))(sequence)
