"""Dropout."""

from __future__ import annotations

from typing import ClassVar

from dhc.ir.graph import Node
from dhc.ir.scalar import Scalar
from dhc.ops.base import Elements, Elementwise, LayerContext, TypeRuleError, layer, op


@op("dropout")
class Dropout(Elementwise):
    """The identity when a network is used; training replaces it by random zeros.

    Attributes:
        rate: The probability of a zero; what is kept is divided by `1 - rate`.
        stream: The name of its random numbers.
    """

    rate: float = 0.5
    stream: str = ""

    elements: ClassVar[Elements] = "any"

    def scalar(self, x: Scalar) -> Scalar:
        return x


@layer("dropout")
def dropout(context: LayerContext, x: Node, rate: float = 0.5) -> Node:
    """Sets elements to zero at random while training (arXiv:1207.0580)."""
    if not 0 <= rate < 1:
        raise TypeRuleError(f"'dropout' needs a rate from 0 to less than 1, not {rate}.")
    return Dropout(rate, context.stream())(x)
