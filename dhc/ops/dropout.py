"""Dropout."""

from __future__ import annotations

from typing import ClassVar

from dhc.ir.graph import Node, literal
from dhc.ir.scalar import Scalar
from dhc.ir.types import DType
from dhc.ops.base import Elements, Elementwise, LayerContext, TypeRuleError, layer, op
from dhc.ops.empty import type_of
from dhc.ops.foreign import Call, ForeignError, Value, reads
from dhc.ops.movement import Expand
from dhc.ops.phrase import Phrase


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

    def phrase(self, x: Node) -> Phrase:
        return Phrase(self.name, (x,), {"rate": self.rate, "name": self.stream})

    def scalar(self, x: Scalar) -> Scalar:
        return x


@layer("dropout")
def dropout(context: LayerContext, x: Node, rate: float = 0.5) -> Node:
    """Sets elements to zero at random while training (arXiv:1207.0580)."""
    if not 0 <= rate < 1:
        raise TypeRuleError(f"'dropout' needs a rate from 0 to less than 1, not {rate}.")
    return Dropout(rate, context.stream())(x)


@reads("Dropout")
def _read_dropout(call: Call) -> tuple[Value, ...]:
    """The identity, and a mask that is true everywhere: networks are used, not trained."""
    usual = call.get("ratio", 0.5)
    for name in ("seed", "is_test"):
        call.get(name, 0)
    if call.has(2) and call.numbers(2).reshape(-1)[0]:
        share = call.numbers(1).reshape(-1)[0] if call.has(1) else usual
        if share != 0:
            raise ForeignError("it drops elements, as in training")
    if not any(call.results[1:]):
        return (call.value(0),)
    if call.opset < 10:
        raise ForeignError("its mask is wanted, which is of numbers before version 10")
    return call.value(0), Expand(type_of(call.value(0)).shape)(literal(True, DType.BOOL))


@reads(
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
    "RandomUniformLike",
)  # fmt: skip
def _read_random(call: Call) -> Value:
    raise ForeignError("its results are random, while a network gives the same each time")
