"""Elements of pictures and volumes at places between them: weighted sums of neighbours.

Places are given for each axis, [B, P] in units of elements; what is sampled is [B, C, *spatial].
A place that has a NaN gives NaN or zeros.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dhc.ir.graph import Node, literal
from dhc.ir.size import Size
from dhc.ir.types import DType
from dhc.ops.compare import And, GreaterEqual, LessEqual
from dhc.ops.elementwise import Abs, Add, Cast, Div, Floor, Max, Min, Mod, Mul, Round, Sub, Where
from dhc.ops.lookup import GatherElements
from dhc.ops.movement import Expand, SizeValue
from dhc.ops.resize import CUBIC
from dhc.ops.shape import Reshape

Interpolation = Literal["nearest", "linear", "cubic"]
Outside = Literal["zeros", "border", "reflection"]


@dataclass(frozen=True)
class Neighbour:
    """One of the elements along an axis that a place takes part of.

    Attributes:
        number: Which element it is, [B, P]; i64.
        weight: Its share, [B, P]; None for all of it.
        inside: Whether there is such an element, [B, P]; None where there always is.
    """

    number: Node
    weight: Node | None = None
    inside: Node | None = None


@dataclass(frozen=True)
class Line:
    """An axis along which places are looked up.

    Attributes:
        size: How many elements it has.
        outside: What lies outside: zeros, the nearest element, or the elements mirrored.
        corners: Whether it ends in the middle of the first and last element, not at their edges.
    """

    size: Size
    outside: Outside = "zeros"
    corners: bool = False

    def neighbours(self, place: Node, mode: Interpolation) -> list[Neighbour]:
        """The elements that places [B, P] take part of."""
        if mode == "nearest":
            return [self._neighbour(self._brought_inside(Round()(place)), None)]
        place = self._brought_inside(place)
        below = Floor()(place)
        part = Sub()(place, below)
        weights = _linear(part) if mode == "linear" else _cubic(part)
        first = 1 - len(weights) // 2
        return [
            self._neighbour(_plus(below, float(first + k)), weight)
            for k, weight in enumerate(weights)
        ]

    def _neighbour(self, place: Node, weight: Node | None) -> Neighbour:
        """The element at a place that is a whole number."""
        dtype = place.type.dtype
        least, most = literal(0.0, dtype), self._last(dtype)
        inside = None
        if self.outside == "zeros":
            inside = And()(GreaterEqual()(place, least), LessEqual()(place, most))
        elif self.outside == "reflection":
            place = self._reflected(place)
        near = Min()(Max()(place, least), most)
        return Neighbour(Cast(DType.I64)(near), weight, inside)

    def _brought_inside(self, place: Node) -> Node:
        """Places outside of the axis brought back before they are split into neighbours."""
        if self.outside == "zeros":
            return place
        dtype = place.type.dtype
        low, high = self._ends(dtype)
        inside = And()(GreaterEqual()(place, low), LessEqual()(place, high))
        if self.outside == "border":
            near = Min()(Max()(place, literal(0.0, dtype)), self._last(dtype))
            return Where()(inside, place, near)
        return Where()(inside, place, self._reflected(place))

    def _reflected(self, place: Node) -> Node:
        """Places mirrored at the ends of the axis until they lie between them."""
        dtype = place.type.dtype
        low, high = self._ends(dtype)
        span = Max()(Sub()(high, low), literal(1e-6, dtype))
        distance = Abs()(Sub()(place, low))
        turns = Floor()(Div()(distance, span))
        rest = Sub()(distance, Mul()(turns, span))
        even = LessEqual()(Mod()(turns, literal(2.0, dtype)), literal(0.5, dtype))
        return Where()(even, Add()(low, rest), Sub()(high, rest))

    def _ends(self, dtype: DType) -> tuple[Node, Node]:
        beyond = 0.0 if self.corners else 0.5
        return literal(-beyond, dtype), _plus(self._last(dtype), beyond)

    def _last(self, dtype: DType) -> Node:
        return SizeValue(self.size - 1, dtype)()


def weighed(x: Node, lines: Sequence[Sequence[Neighbour]]) -> list[Node]:
    """Returns the neighbours' elements of x [B, C, *spatial] times their weights: each [B, C, P].

    Args:
        x: What is sampled.
        lines: For each spatial axis the neighbours of all places along it.
    """
    batch, channels, *sizes = x.type.shape
    whole = math.prod(sizes)
    flat = Reshape((batch, channels, whole))(x)
    found = []
    for choice in itertools.product(*lines):
        place = _flat_place(choice, sizes)
        count = place.type.shape[1]
        spread = Expand((batch, channels, count))(Reshape((batch, 1, count))(place))
        value = GatherElements(2)(flat, spread)
        weights = [each.weight for each in choice if each.weight is not None]
        if weights:
            weight = Cast(x.type.dtype)(functools.reduce(Mul(), weights))
            value = Mul()(value, Reshape((batch, 1, count))(weight))
        found.append(value)
    return found


def interpolated(x: Node, lines: Sequence[Sequence[Neighbour]]) -> Node:
    """Returns the sum of what `weighed` gives: [B, C, P]."""
    return functools.reduce(Add(), weighed(x, lines))


def _flat_place(choice: Sequence[Neighbour], sizes: Sequence[Size]) -> Node:
    """The row-major number of an element, or the one behind the last where it is not there."""
    place = choice[0].number
    for each, size in zip(choice[1:], sizes[1:], strict=True):
        place = Add()(Mul()(place, SizeValue(size, DType.I64)()), each.number)
    for each in choice:
        if each.inside is not None:
            place = Where()(each.inside, place, SizeValue(math.prod(sizes), DType.I64)())
    return place


def _linear(part: Node) -> list[Node]:
    return [Sub()(literal(1.0, part.type.dtype), part), part]


def _cubic(part: Node) -> list[Node]:
    """The weights of four neighbours (Keys, 1981)."""
    rest = Sub()(literal(1.0, part.type.dtype), part)
    far, near = (-4 * CUBIC, 8 * CUBIC, -5 * CUBIC, CUBIC), (1.0, 0.0, -(CUBIC + 3), CUBIC + 2)
    return [
        _polynomial(far, _plus(part, 1.0)), _polynomial(near, part),
        _polynomial(near, rest), _polynomial(far, _plus(rest, 1.0)),
    ]  # fmt: skip


def _polynomial(coefficients: Sequence[float], x: Node) -> Node:
    *others, last = coefficients
    total: Node = literal(last, x.type.dtype)
    for each in reversed(others):
        total = _plus(Mul()(total, x), each)
    return total


def _plus(x: Node, number: float) -> Node:
    return Add()(x, literal(number, x.type.dtype)) if number else x
