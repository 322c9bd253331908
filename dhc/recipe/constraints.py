"""Constraints: what weights must satisfy after every update.

The norm is that of the weights that lead into one unit: over all axes but `axis`. That is the first
one, except in transposed convolutions, where it is the second. Of a tensor with one axis it is the
norm of all elements. (Srivastava et al., JMLR 2014; the formulas are those of Keras.)
"""

from __future__ import annotations

from dataclasses import dataclass

from dhc.errors import ArgumentError
from dhc.ir.graph import Node, literal
from dhc.ops.elementwise import Add, Clip, Div, Max, Mul
from dhc.ops.statistics import ReduceL2

WEIGHTS = "*.weight"
TINY = 1e-7  # keeps quotients finite, as Keras does


@dataclass(frozen=True)
class Constraint:
    """The base; a subclass says with `names` which weights it is for."""

    @property
    def names(self) -> str:
        """A pattern of paths."""
        raise NotImplementedError

    def __call__(self, value: Node) -> Node:
        """Returns the nearest value, or nearly so, that satisfies it."""
        raise NotImplementedError


@dataclass(frozen=True)
class MaxNorm(Constraint):
    """Norms of at most `most`."""

    most: float = 2.0
    names: str = WEIGHTS
    axis: int = 0

    def __post_init__(self) -> None:
        _ordered("max_norm", 0, self.most)

    def __call__(self, value: Node) -> Node:
        norm = norms(value, self.axis)
        return _scaled(value, Clip(0.0, self.most)(norm), norm)


@dataclass(frozen=True)
class MinMaxNorm(Constraint):
    """Norms between `least` and `most`; `rate` is the share of the way that an update goes."""

    least: float = 0.0
    most: float = 1.0
    rate: float = 1.0
    names: str = WEIGHTS
    axis: int = 0

    def __post_init__(self) -> None:
        _ordered("min_max_norm", self.least, self.most)
        if not 0 < self.rate <= 1:
            raise ArgumentError("'min_max_norm' needs 'rate' above 0 and at most 1.")

    def __call__(self, value: Node) -> Node:
        norm = norms(value, self.axis)
        dtype = norm.type.dtype
        wanted = Mul()(Clip(self.least, self.most)(norm), literal(self.rate, dtype))
        wanted = Add()(wanted, Mul()(norm, literal(1 - self.rate, dtype)))
        return _scaled(value, wanted, norm)


@dataclass(frozen=True)
class UnitNorm(Constraint):
    """Norms of 1."""

    names: str = WEIGHTS
    axis: int = 0

    def __call__(self, value: Node) -> Node:
        norm = norms(value, self.axis)
        return _scaled(value, literal(1.0, norm.type.dtype), norm)


@dataclass(frozen=True)
class NonNegative(Constraint):
    """No weight below 0."""

    names: str = WEIGHTS

    def __call__(self, value: Node) -> Node:
        return Max()(value, literal(0.0, value.type.dtype))


def norms(value: Node, axis: int) -> Node:
    """Returns the norm of each unit's weights, in a shape that broadcasts over the value."""
    rank = value.type.rank
    if rank < 2:
        return ReduceL2()(value)
    return ReduceL2(tuple(k for k in range(rank) if k != axis), keepdims=True)(value)


def _scaled(value: Node, wanted: Node, norm: Node) -> Node:
    small = literal(TINY, norm.type.dtype)
    return Mul()(value, Div()(wanted, Add()(norm, small)))


def _ordered(name: str, least: float, most: float) -> None:
    if not 0 <= least < most:
        raise ArgumentError(
            f"'{name}' needs bounds of at least 0, the greater one above the other."
        )


CONSTRAINTS: dict[str, type[Constraint]] = {
    "max_norm": MaxNorm,
    "min_max_norm": MinMaxNorm,
    "unit_norm": UnitNorm,
    "non_negative": NonNegative,
}
