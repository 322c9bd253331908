"""The loop of recurrent layers: states go from step to step, also where sequences are padded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from dhc.ir.graph import Node, literal
from dhc.ir.size import Size
from dhc.ops.closure import close, placeholder
from dhc.ops.elementwise import Where
from dhc.ops.scan import Scan
from dhc.ops.sequence import SequenceMask
from dhc.ops.shape import Permute, Reshape

States = tuple[Node, ...]
Advance = Callable[[Node, States], States]
"""Takes the element of a step [N, features] and the states [N, units]; returns the next states,
the first of which is the output."""


def over_time(
    sequence: Node, starts: States, lengths: Node | None, reverse: bool, advance: Advance
) -> tuple[Node, States]:
    """Returns the outputs [T, N, units] and the last states.

    Args:
        sequence: The elements of all steps [T, N, features].
        starts: The states before the first step.
        lengths: How many steps of each sample are real; None means all. After them states stay and
            outputs are zero.
        reverse: Whether the last step comes first.
        advance: What one step does.
    """
    steps = sequence.type.shape[0]
    sequences = [sequence, *_real(steps, lengths)]
    elements = [placeholder("step", s.type.with_shape(s.type.shape[1:])) for s in sequences]
    carries = tuple(placeholder("state", start.type) for start in starts)
    outputs = _outputs(elements, carries, advance(elements[0], carries))
    closure = close((*elements, *carries), outputs)
    scan = Scan(closure.body, len(sequences), len(carries), steps, reverse=reverse)
    inputs = (*sequences, *starts, *closure.captures)
    made = replace(scan, output=len(outputs) - 1)(*inputs)
    last = (replace(scan, output=k, last=True)(*inputs) for k in range(len(carries)))
    return made, tuple(last)


def _real(steps: Size, lengths: Node | None) -> list[Node]:
    """Which steps of which samples are real: bool [T, N, 1], where that is asked."""
    if lengths is None:
        return []
    mask = Permute((1, 0))(SequenceMask(steps)(lengths))
    return [Reshape((*mask.type.shape, 1))(mask)]


def _outputs(elements: Sequence[Node], carries: States, new: States) -> list[Node]:
    """The next states, then the output."""
    output = new[0]
    if len(elements) > 1:
        real = elements[1]
        new = tuple(Where()(real, a, b) for a, b in zip(new, carries, strict=True))
        output = Where()(real, output, literal(0.0, output.type.dtype))
    return [*new, output]
