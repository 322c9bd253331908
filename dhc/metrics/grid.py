"""Distances and connected parts on grids of elements, in any number of dimensions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Labels = NDArray[np.int64]
Distances = NDArray[np.float64]


def surface(mask: Mask) -> Mask:
    """Returns the elements of a mask with a neighbour, across a face, that is outside of it.

    What lies beyond the picture is outside.
    """
    inside = mask.copy()
    framed = np.pad(mask, 1)
    for axis, step in itertools.product(range(mask.ndim), (0, 2)):
        shifted = [slice(1, -1)] * mask.ndim
        shifted[axis] = slice(step, step + mask.shape[axis])
        inside &= framed[tuple(shifted)]
    return mask & ~inside


def distances(places: Mask, wanted: Mask, spacing: Sequence[float]) -> Distances:
    """Returns how far each wanted element is from the nearest of the places; exact.

    The squared distance separates: along each axis in turn it is the least, over the elements of
    the line, of what was found before plus the squared step (Saito and Toriwaki, 1994).

    Args:
        places: Some elements; at least one.
        wanted: Elements of the same grid.
        spacing: The size of an element along each axis.
    """
    squared = np.where(places, 0.0, np.inf)
    for axis in range(places.ndim - 1):
        squared = _along(squared, axis, spacing[axis])
    index = np.nonzero(wanted)
    lines = squared[index[:-1]]
    steps = (index[-1][:, None] - np.arange(places.shape[-1])) * spacing[-1]
    found: Distances = np.sqrt((lines + steps**2).min(1))
    return found


def _along(squared: Distances, axis: int, spacing: float) -> Distances:
    moved = np.moveaxis(squared, axis, 0)
    places = np.arange(len(moved)).reshape(-1, *[1] * (moved.ndim - 1))
    found = [(moved + ((places - k) * spacing) ** 2).min(0) for k in range(len(moved))]
    return np.moveaxis(np.stack(found), 0, axis)


def bounding_box(mask: Mask) -> tuple[slice, ...]:
    """Returns the smallest part of the grid that has all elements of a mask; at least one."""
    return tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in np.nonzero(mask))


def connected(mask: Mask, diagonal: bool = True) -> tuple[Labels, int]:
    """Returns the connected parts of a mask, numbered from 1 in row-major order, and how many.

    Args:
        mask: What is to be numbered; the rest is 0.
        diagonal: Whether elements that touch at an edge or corner are connected too.
    """
    number = np.full(mask.shape, -1, np.int64)
    number[mask] = np.arange(np.count_nonzero(mask))
    links = [_links(number, step) for step in _steps(mask.ndim, diagonal)]
    first, second = np.concatenate(links, 1)
    roots = _roots(first, second, int(np.count_nonzero(mask)))
    labels = np.zeros(mask.shape, np.int64)
    names, labels[mask] = np.unique(roots, return_inverse=True)
    labels[mask] += 1
    return labels, len(names)


def _steps(axes: int, diagonal: bool) -> list[tuple[int, ...]]:
    """One step of each pair of opposite directions to a neighbour."""
    steps = [step for step in itertools.product((0, 1, -1), repeat=axes) if any(step)]
    forward = [step for step in steps if next(s for s in step if s) > 0]
    return [step for step in forward if diagonal or sum(map(abs, step)) == 1]


def _links(number: Labels, step: tuple[int, ...]) -> Labels:
    """Pairs [2, links] of the numbers of neighbours that are both in the mask."""
    moves = list(zip(step, number.shape, strict=True))
    starts = tuple(slice(max(-s, 0), size - max(s, 0)) for s, size in moves)
    ends = tuple(slice(max(s, 0), size - max(-s, 0)) for s, size in moves)
    pairs = np.stack([number[starts].ravel(), number[ends].ravel()])
    return pairs[:, (pairs >= 0).all(0)]


def _roots(first: Labels, second: Labels, count: int) -> Labels:
    """The least number that each number is linked with, directly or over others.

    Linked trees are hooked onto the one with the smaller root, and paths are halved until flat.
    """
    parent = np.arange(count)
    while True:
        one, other = parent[first], parent[second]
        apart = one != other
        if not apart.any():
            return parent
        first, second = first[apart], second[apart]
        one, other = one[apart], other[apart]
        np.minimum.at(parent, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(parent, parent[parent]):
            parent = parent[parent]
