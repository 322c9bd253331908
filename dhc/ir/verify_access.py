"""Looks for indices outside their buffer and for parallel turns that write the same element.

Ranges of indices prove most accesses right. Where they do not, points of the loops around are
tried: all of them if they are few, else the corners and some drawn at random. So what is reported
is a fact, and what cannot be tried, as it depends on run-time sizes or on data, is believed.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dhc.ir.evaluate import evaluate
from dhc.ir.kernel import Alloc, For, statements
from dhc.ir.scalar import Buffer, Const, Load, Scalar, Var, walk
from dhc.ir.simplify import interval
from dhc.ir.text_scalar import dense_strides, print_scalar
from dhc.ir.types import DType

MAX_POINTS = 1 << 14
Points = dict[Scalar, NDArray[np.generic]]


@dataclass(frozen=True)
class Place:
    """The loops around a statement, from outside in, and the conditions that hold there."""

    loops: tuple[For, ...]
    conditions: tuple[Scalar, ...]
    scratch: tuple[Buffer, ...] = ()

    def inside(self, loop: For) -> Place:
        return replace(self, loops=(*self.loops, loop))

    def under(self, condition: Scalar) -> Place:
        return replace(self, conditions=(*self.conditions, condition))


def range_problem(buffer: Buffer, index: tuple[Scalar, ...], place: Place) -> str | None:
    """Returns where an index leaves a dense buffer, if that can be shown.

    Buffers with other strides may have a halo, in which indices are right that look wrong.
    """
    if buffer.strides != dense_strides(buffer.shape):
        return None
    for axis, (i, size) in enumerate(zip(index, buffer.shape, strict=True)):
        if isinstance(size, int) and not _proved(i, size):
            found = _outside(i, size, place)
            if found is not None:
                return (
                    f"Index {found} on axis {axis} of '{buffer.name}' is outside 0..{size - 1}: "
                    f"{print_scalar(i)}."
                )
    return None


def _proved(index: Scalar, size: int) -> bool:
    bounds = interval(index)
    return bounds is not None and bounds[0] >= 0 and bounds[1] < size


def _outside(index: Scalar, size: int, place: Place) -> int | None:
    points = _points(place, (index,))
    if points is None:
        return None
    values, holds = _values(index, points), _where(place, points)
    wrong = values[holds & ((values < 0) | (values >= size))]
    return int(wrong[0]) if wrong.size else None


def race_problem(buffer: Buffer, index: tuple[Scalar, ...], loop: For, place: Place) -> str | None:
    """Returns how two turns of a parallel loop write the same element, if that can be shown."""
    if buffer in place.scratch and _allocated_inside(buffer, loop):
        return None
    points = _points(place, index)
    if points is None or loop.var not in points:
        return None
    holds = _where(place, points)
    around = itertools.takewhile(lambda outer: outer is not loop, place.loops)
    told_apart = [*index, *(outer.var for outer in around if outer.var in points), loop.var]
    columns = [_values(i, points)[holds] for i in told_apart]
    writers = np.unique(np.stack(columns, axis=1), axis=0)
    elements = np.unique(writers[:, :-1], axis=0)
    if len(elements) == len(writers):
        return None
    name = loop.var.name
    return f"Turns of the {loop.kind} loop '{name}' store to one element of '{buffer.name}'."


def _allocated_inside(buffer: Buffer, loop: For) -> bool:
    return any(isinstance(s, Alloc) and s.buffer is buffer for s in statements(loop.body))


# ---- trying points ---------------------------------------------------------------------------


def _points(place: Place, index: tuple[Scalar, ...]) -> Points | None:
    """Returns values of all loop variables, as one long array each, or None where unknown."""
    extents: dict[Var, int] = {}
    for loop in place.loops:
        if isinstance(loop.extent, Const):
            extents[loop.var] = int(loop.extent.value)
    for expression in (*index, *place.conditions):
        for part in walk(expression):
            if isinstance(part, Load) or (isinstance(part, Var) and part not in extents):
                return None
    if math.prod(extents.values()) <= 0:
        return None
    if not extents:
        return {Var("", DType.I64): np.zeros(1, np.int64)}
    grid = _grid(tuple(extents.values()))
    return {var: grid[:, k] for k, var in enumerate(extents)}


def _grid(extents: tuple[int, ...]) -> NDArray[np.int64]:
    if math.prod(extents) <= MAX_POINTS:
        return np.stack([axis.ravel() for axis in np.indices(extents)], axis=-1).reshape(
            -1, len(extents)
        )
    random = np.random.default_rng(0)
    drawn = random.integers(0, extents, (MAX_POINTS // 2, len(extents)))
    chosen = [(0, extent - 1) for extent in extents[-12:]]
    corners = np.array(list(itertools.product(*chosen)), np.int64)
    padded = np.zeros((len(corners), len(extents)), np.int64)
    padded[:, -corners.shape[1] :] = corners
    return np.concatenate([padded, drawn])


def _values(expression: Scalar, points: Points) -> NDArray[np.int64]:
    result = evaluate(expression, points).astype(np.int64)
    return np.broadcast_to(result, next(iter(points.values())).shape)


def _where(place: Place, points: Points) -> NDArray[np.bool_]:
    holds = np.ones(next(iter(points.values())).shape, np.bool_)
    for condition in place.conditions:
        holds = holds & evaluate(condition, points).astype(np.bool_)
    return holds
