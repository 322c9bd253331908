"""Trees of tubes that fill a lung: arteries, and the airways beside the first of them.

The tree is built in space and then cut by each slice, so that a slice shows tubes that run along
it, tubes that cross it as round spots, and everything between, as a real one does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dhc.runtime.synthetic.canvas import Grid
from dhc.runtime.synthetic.draws import Draws, Field

LEVELS = 11  # 2048 last branches in each lung
PIECE = 5.0  # mm; branches are drawn in pieces no longer than this
TOWARDS = 0.62  # of the way from a fork to the middle of what the branch must reach


@dataclass(frozen=True)
class Tubes:
    """Straight pieces of tube in space.

    Attributes:
        start: [n, 3] where each begins: x, y, z in mm.
        end: [n, 3] where each ends.
        radius: [n] in mm.
    """

    start: Field
    end: Field
    radius: Field

    def select(self, chosen: NDArray[np.bool_]) -> Tubes:
        """Returns some of the pieces."""
        return Tubes(self.start[chosen], self.end[chosen], self.radius[chosen])


def grow_tree(
    draws: Draws,
    root: tuple[float, float, float],
    centre: tuple[float, float, float],
    radii: tuple[float, float, float],
    radius: float,
) -> Tubes:
    """Returns a tree that forks in two until it has reached all parts of an ellipsoid.

    Each branch runs towards the middle of its points and then shares them between two. Radii
    follow Murray's law (PNAS 12 (1926) 207): the cube of a branch is the sum of its forks' cubes.

    Args:
        draws: The source of randomness.
        root: Where it begins: x, y, z in mm.
        centre: The middle of the ellipsoid in mm.
        radii: The half axes of the ellipsoid in mm.
        radius: Of the first branch, in mm.
    """
    points = _points(draws, 2**LEVELS) * np.asarray(radii) + np.asarray(centre)
    groups, forks = points[None], np.asarray(root, np.float64)[None]
    starts, ends, thickness = [], [], []
    for level in range(LEVELS + 1):
        reached = forks + TOWARDS * (groups.mean(axis=1) - forks)
        starts.append(forks)
        ends.append(reached)
        thickness.append(np.full(len(forks), radius * 2 ** (-level / 3)))
        if level < LEVELS:
            groups, forks = _halves(groups), np.repeat(reached, 2, axis=0)
    return Tubes(np.concatenate(starts), np.concatenate(ends), np.concatenate(thickness))


def _points(draws: Draws, count: int) -> Field:
    """Returns [count, 3] points, evenly spread in a ball of radius 1."""
    direction = draws.normal((count, 3))
    direction /= np.sqrt((direction**2).sum(axis=1, keepdims=True))
    return direction * np.cbrt(draws.uniform(0, 1, (count, 1)))


def _halves(groups: Field) -> Field:
    """Splits each group [g, n, 3] across its longest side: [2 * g, n // 2, 3]."""
    axis = np.ptp(groups, axis=1).argmax(axis=1)
    keys = np.take_along_axis(groups, axis[:, None, None], axis=2)
    order = np.argsort(keys, axis=1, kind="stable")
    ordered = np.take_along_axis(groups, order, axis=1)
    return ordered.reshape(2 * len(groups), -1, 3)


def airways(tree: Tubes, side: int) -> Tubes:
    """Returns the airways that run beside the thicker branches of a lung's tree."""
    thick = tree.select(tree.radius > 1.4)
    beside = np.stack([-0.8 * side * np.ones(len(thick.radius)), np.ones(len(thick.radius))])
    offset = np.concatenate([beside.T, np.zeros((len(thick.radius), 1))], axis=1)
    offset *= 1.5 * thick.radius[:, None]
    return Tubes(thick.start + offset, thick.end + offset, 0.9 * thick.radius)


def cut(tubes: Tubes, grid: Grid, level: float) -> Field:
    """Returns the part of each pixel that tubes cover in the slice at `level` mm.

    Args:
        tubes: In the coordinates of the grid before it was posed.
        grid: The pixels.
        level: The slice's z in mm.
    """
    pieces = _near(_pieces(tubes), level)
    found = np.zeros(grid.x.shape)
    narrow = pieces.radius <= 2
    for part in (pieces.select(narrow), pieces.select(~narrow)):
        if len(part.radius):
            _stamp(found, part, grid.spacing, level)
    return found


def _pieces(tubes: Tubes) -> Tubes:
    length = np.sqrt(((tubes.end - tubes.start) ** 2).sum(axis=1))
    counts = np.maximum(np.ceil(length / PIECE).astype(np.int64), 1)
    first = np.cumsum(counts) - counts
    number = np.arange(counts.sum()) - np.repeat(first, counts)
    step = np.repeat((tubes.end - tubes.start) / counts[:, None], counts, axis=0)
    start = np.repeat(tubes.start, counts, axis=0) + number[:, None] * step
    return Tubes(start, start + step, np.repeat(tubes.radius, counts))


def _near(pieces: Tubes, level: float) -> Tubes:
    low = np.minimum(pieces.start[:, 2], pieces.end[:, 2]) - pieces.radius
    high = np.maximum(pieces.start[:, 2], pieces.end[:, 2]) + pieces.radius
    return pieces.select((low <= level) & (level <= high))


def _stamp(image: Field, pieces: Tubes, spacing: float, level: float) -> None:
    """Draws all pieces at once, each in a window of pixels around its middle."""
    reach = math.ceil((PIECE / 2 + float(pieces.radius.max())) / spacing) + 1
    window = np.arange(-reach, reach + 1)
    half = (len(image) - 1) / 2
    middle = (pieces.start + pieces.end)[:, :2] / 2
    nearest = np.rint(middle / spacing + half).astype(np.int64)
    columns = nearest[:, 0, None, None] + window[None, None]
    rows = nearest[:, 1, None, None] + window[None, :, None]
    x, y = ((places - half) * spacing for places in (columns, rows))
    distance = _distance(pieces, x.astype(np.float64), y.astype(np.float64), level)
    radius = pieces.radius[:, None, None]
    thinness = np.minimum(2 * radius / spacing, 1)  # a tube thinner than a pixel fills none
    cover = np.clip(0.5 + (radius - distance) / spacing, 0, 1) * thinness
    rows, columns = np.broadcast_arrays(rows, columns)
    inside = (cover > 0) & (rows >= 0) & (rows < len(image))
    inside &= (columns >= 0) & (columns < len(image))
    np.maximum.at(image, (rows[inside], columns[inside]), cover[inside])


def _distance(pieces: Tubes, x: Field, y: Field, level: float) -> Field:
    """Returns the distance of points of the slice to the axis of their piece, in mm."""
    start, axis = pieces.start[:, None, None], (pieces.end - pieces.start)[:, None, None]
    length = np.maximum((axis**2).sum(axis=-1), 1e-9)
    dx, dy, dz = x - start[..., 0], y - start[..., 1], level - start[..., 2]
    along = (dx * axis[..., 0] + dy * axis[..., 1] + dz * axis[..., 2]) / length
    along = np.clip(along, 0, 1)
    squares = (part - along * axis[..., k] for k, part in enumerate((dx, dy, dz)))
    return np.sqrt(sum((square**2 for square in squares), np.zeros(along.shape)))
