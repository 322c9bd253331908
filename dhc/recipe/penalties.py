"""Penalties: what large weights add to the loss.

They change gradients alone; the loss that is shown is that of the data, so that training and
validation show the same thing. Paths of weights are chosen by patterns such as `head.*`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dhc.errors import ArgumentError
from dhc.ir.graph import Node, literal
from dhc.ops.elementwise import Add, Mul, Sign

WEIGHTS = "*.weight"
Nodes = Mapping[str, Node]


@dataclass(frozen=True)
class Penalty:
    """The base: `amount` times something of each weight that `names` chooses."""

    amount: float
    names: str = WEIGHTS

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise ArgumentError("A penalty needs an amount of at least 0.")

    def gradient(self, value: Node) -> Node:
        """Returns what it adds to the gradient of a weight."""
        raise NotImplementedError


@dataclass(frozen=True)
class L1(Penalty):
    """`amount * sum |w|`, which makes weights 0 (Tibshirani, 1996); flat at 0."""

    def gradient(self, value: Node) -> Node:
        return Mul()(Sign()(value), literal(self.amount, value.type.dtype))


@dataclass(frozen=True)
class L2(Penalty):
    """`amount * sum w^2`, as in Keras; PyTorch's `weight_decay` is twice the amount."""

    def gradient(self, value: Node) -> Node:
        return Mul()(value, literal(2 * self.amount, value.type.dtype))


@dataclass(frozen=True)
class Penalise:
    """Adds penalties to gradients.

    Attributes:
        penalties: Each with the paths of the weights that it is for.
    """

    penalties: Sequence[tuple[Penalty, frozenset[str]]]

    def __call__(self, values: Nodes, gradients: dict[str, Node]) -> dict[str, Node]:
        found = dict(gradients)
        for penalty, paths in self.penalties:
            for path in gradients.keys() & paths:
                found[path] = Add()(found[path], penalty.gradient(values[path]))
        return found


PENALTIES: dict[str, type[Penalty]] = {"l1": L1, "l2": L2}
