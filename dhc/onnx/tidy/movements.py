"""Reshapes around a permutation that are one movement of channels: built again, and compared."""

from __future__ import annotations

from collections.abc import Iterator

from dhc.ir.graph import Node
from dhc.ir.rules import RuleSet
from dhc.ops.base import Composite, TypeRuleError
from dhc.ops.shape import Permute, Reshape
from dhc.ops.shuffle import ChannelShuffle, PixelShuffle, PixelUnshuffle

rules = RuleSet()


@rules.rule(Reshape)
def shuffled(node: Node) -> Node | None:
    """reshape(permute(reshape(x))) of [N, C, ...]."""
    moved = node.inputs[0]
    split = moved.inputs[0] if isinstance(moved.op, Permute) else None
    if split is None or not isinstance(split.op, Reshape):
        return None
    x = split.inputs[0]
    if x.type.rank != node.type.rank or x.type.rank < 3:
        return None
    return next((op(x) for op in _candidates(node, split, x) if _makes(op, x, node)), None)


def _candidates(node: Node, split: Node, x: Node) -> Iterator[Composite]:
    """What may be meant, by the channels and the first spatial axis before and after."""
    before, after = x.type.shape[1:3], node.type.shape[1:3]
    channels = [size for size in (before[0], after[0]) if isinstance(size, int)]
    if len(channels) < 2:
        return
    if before == after:
        groups = split.type.shape[1]
        yield from [ChannelShuffle(groups)] if isinstance(groups, int) and groups > 1 else []
    for factor in {size for size in split.type.shape if isinstance(size, int) and size > 1}:
        for first in (False, True):
            grows = channels[0] > channels[1]
            yield PixelShuffle(factor, first) if grows else PixelUnshuffle(factor, first)


def _makes(operator: Composite, x: Node, node: Node) -> bool:
    """Whether an operator is made of just these nodes."""
    try:
        return operator.expand(x) is node
    except TypeRuleError:
        return False
