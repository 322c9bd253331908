"""Clipping: gradients that are too large are made smaller before the optimizer sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dhc.errors import ArgumentError
from dhc.ir.graph import Node, literal
from dhc.ops.elementwise import Add, Clip, Div, Min, Mul, Sqrt
from dhc.ops.reduce import ReduceSum

Nodes = Mapping[str, Node]
TINY = 1e-6  # keeps the quotient finite, as PyTorch does


@dataclass(frozen=True)
class ClipNorm:
    """Scales all gradients together, so that the norm of them all is at most `most`.

    (arXiv:1211.5063.)
    """

    most: float

    def __post_init__(self) -> None:
        _positive("by_norm", self.most)

    def __call__(self, values: Nodes, gradients: dict[str, Node]) -> dict[str, Node]:
        squares = [ReduceSum()(Mul()(g, g)) for g in gradients.values()]
        total = squares[0]
        for square in squares[1:]:
            total = Add()(total, square)
        dtype = total.type.dtype
        norm = Add()(Sqrt()(total), literal(TINY, dtype))
        scale = Min()(Div()(literal(self.most, dtype), norm), literal(1.0, dtype))
        return {path: Mul()(gradient, scale) for path, gradient in gradients.items()}


@dataclass(frozen=True)
class ClipValue:
    """Keeps every element of every gradient between `-most` and `most`."""

    most: float

    def __post_init__(self) -> None:
        _positive("by_value", self.most)

    def __call__(self, values: Nodes, gradients: dict[str, Node]) -> dict[str, Node]:
        clip = Clip(-self.most, self.most)
        return {path: clip(gradient) for path, gradient in gradients.items()}


def _positive(name: str, most: float) -> None:
    if most <= 0:
        raise ArgumentError(f"'{name}' needs a bound above 0.")


CLIPS: dict[str, type[ClipNorm | ClipValue]] = {"by_norm": ClipNorm, "by_value": ClipValue}
