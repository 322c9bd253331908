"""The anatomy of a chest at one level: where air, fat, muscle, bone and the lungs are.

Proportions and Hounsfield units are those of textbooks; no person is behind them. Levels are
millimetres above the middle of the lungs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dhc.runtime.synthetic.canvas import (
    Grid,
    coverage,
    ellipse,
    paint,
    smooth_cut,
    smooth_noise,
    smooth_union,
)
from dhc.runtime.synthetic.draws import Draws, Field

EXTENT = 380.0  # mm; the field of view
HEIGHT = 115.0  # mm; from the middle of the lungs to their top
AIR, LUNG, FAT, MUSCLE, BLOOD, LIVER = -1000.0, -840.0, -100.0, 52.0, 42.0, 58.0
TOP_OF_LIVER = -32.0  # mm; its height
MARROW, CORTEX, CARTILAGE = 190.0, 620.0, 110.0


@dataclass(frozen=True)
class Build:
    """How a person is built; lengths are in mm.

    Attributes:
        width, depth: Half axes of the body.
        fat: Thickness of the fat under the skin.
        heart: Scale of the heart.
        rotation: Where in the pattern of ribs the middle level lies, from 0 to 1.
        lung: Hounsfield units of the lungs' tissue at the front.
        gravity: How many units the back of the lungs is denser.
    """

    width: float
    depth: float
    fat: float
    heart: float
    rotation: float
    lung: float
    gravity: float

    @property
    def cavity(self) -> tuple[float, float]:
        """Half axes of the chest's inside at the middle level."""
        wall = self.fat + 16
        return self.width - wall, self.depth - wall


@dataclass(frozen=True)
class Chest:
    """A slice before noise.

    Attributes:
        values: [H, W] Hounsfield units.
        lungs: [H, W] depth of the lungs in mm, positive inside.
    """

    values: Field
    lungs: Field


def draw_build(draws: Draws) -> Build:
    """Returns the build of some person."""
    return Build(
        width=draws.number(150, 172),
        depth=draws.number(102, 118),
        fat=draws.number(7, 19),
        heart=draws.number(0.88, 1.12),
        rotation=draws.number(0, 1),
        lung=draws.number(-870, -815),
        gravity=draws.number(20, 70),
    )


def draw_chest(draws: Draws, grid: Grid, build: Build, level: float) -> Chest:
    """Draws a slice without vessels and nodules.

    Args:
        draws: The source of randomness for textures.
        grid: The pixels, posed as this person lies.
        build: The person.
        level: Height of the slice in mm.
    """
    lungs = lung_depth(grid, build, level)
    values = np.full(grid.x.shape, AIR)
    _draw_wall(values, grid, build, draws)
    _draw_mediastinum(values, grid, build, level)
    cover = coverage(lungs, grid.spacing)
    paint(values, _lung_tissue(draws, grid, build), cover)
    _draw_trachea(values, grid, level)
    _draw_bones(values, grid, build, level)
    return Chest(values, lungs)


def lung_depth(grid: Grid, build: Build, level: float) -> Field:
    """Returns the depth of both lungs: the chest's inside without what lies between them."""
    inside = _cavity(grid, build, level)
    middle = _mediastinum(grid, build, level)
    lungs = smooth_cut(inside, middle, 10)
    return smooth_cut(lungs, _dome(grid, build, level), 8)


def _cavity(grid: Grid, build: Build, level: float) -> Field:
    """The inside of the rib cage, narrower towards the top."""
    narrow = math.sqrt(1 - (0.78 * min(max(level / HEIGHT, 0), 1)) ** 2)
    half_width, half_depth = build.cavity
    return ellipse(grid, (0, -3), (half_width * narrow, half_depth * (0.35 + 0.65 * narrow)))


def _mediastinum(grid: Grid, build: Build, level: float) -> Field:
    """Everything between the lungs."""
    back = build.cavity[1]
    strip = ellipse(grid, (0, -6), (15 + 6 * _rise(-level, 10), 1.3 * back))
    spine = ellipse(grid, (0, back - 10), (29, 26))
    found = smooth_union(strip, spine, 14)
    found = smooth_union(found, _heart(grid, build, level), 10)
    for centre, radius in _great_vessels(build, level):
        found = smooth_union(found, ellipse(grid, centre, (radius + 2, radius + 2)), 8)
    return found


def _heart(grid: Grid, build: Build, level: float) -> Field:
    scale = build.heart * (0.42 + 0.58 * _rise(-level, 5))
    shift = 20 * _rise(-level, 5)
    return ellipse(grid, (4 + shift, -16), (53 * scale, 39 * scale), 28)


def _great_vessels(build: Build, level: float) -> list[tuple[tuple[float, float], float]]:
    """Centres and radii: descending and ascending aorta, superior vena cava, hila."""
    back = build.cavity[1]
    found = [((27.0, back - 32), 12.0)]
    if level > -20:
        found += [((-12.0, -24.0), 15.0), ((-29.0, -14.0), 9.5)]
    hilum = 14 * math.exp(-((level / 26) ** 2))
    return [*found, ((-31.0, 8.0), hilum), ((33.0, 6.0), hilum)] if hilum > 4 else found


def _dome(grid: Grid, build: Build, level: float) -> Field:
    """The diaphragm with the liver, which rises into the right lung at the lowest levels."""
    below = min(max((TOP_OF_LIVER - level) / 75, 0), 1)  # a cap of a sphere
    scale = max(math.sqrt(below * (2 - below)), 0.02)
    return ellipse(grid, (-0.56 * build.cavity[0], -8), (62 * scale, 56 * scale), 15)


def _rise(value: float, width: float) -> float:
    """Returns 0 far below 0, 1 far above, with a smooth step of some width."""
    return 0.5 * (1 + math.tanh(value / width / 2))


def _draw_wall(values: Field, grid: Grid, build: Build, draws: Draws) -> None:
    """Skin, fat, muscle and the table beneath."""
    spacing = grid.spacing
    body = ellipse(grid, (0, 0), (build.width, build.depth))
    fat = smooth_noise(draws, grid.size, 22)
    muscle = smooth_noise(draws, grid.size, 40)
    thickness = build.fat * (1 + 0.35 * np.abs(grid.y) / build.depth)
    paint(values, MUSCLE - 15, coverage(body, spacing))
    paint(values, FAT + 8 * fat, coverage(body - 2, spacing))
    paint(values, MUSCLE + 7 * muscle, coverage(body - thickness, spacing))
    # Fat between the layers of muscle.
    seam = 1.1 - np.abs(body - thickness - 8 - 2 * fat)
    paint(values, FAT + 20, 0.8 * coverage(seam, spacing) * (np.abs(grid.x) > 50))
    table = 1.6 - np.abs(ellipse(grid, (0, build.depth - 292), (300, 302)))
    paint(values, -720.0, coverage(table, spacing) * (grid.y > 60) * (body < 0))


def _draw_mediastinum(values: Field, grid: Grid, build: Build, level: float) -> None:
    """Fat with the heart, great vessels, oesophagus; and the liver."""
    spacing = grid.spacing
    inside = _cavity(grid, build, level)
    paint(values, FAT + 12, coverage(inside, spacing))
    paint(values, BLOOD, coverage(_heart(grid, build, level) - 3, spacing))
    for centre, radius in _great_vessels(build, level):
        paint(values, BLOOD + 3, coverage(ellipse(grid, centre, (radius, radius)), spacing))
    oesophagus = ellipse(grid, (7, build.cavity[1] - 43), (8, 5.5), 20)
    paint(values, 30.0, coverage(oesophagus, spacing))
    dome = np.minimum(_dome(grid, build, level), inside)
    paint(values, LIVER, coverage(dome, spacing))


def _draw_trachea(values: Field, grid: Grid, level: float) -> None:
    """The windpipe above its fork, the two main bronchi below."""
    if level > 22:
        tubes = [ellipse(grid, (0, 12), (9.5, 8.5))]
    elif level > -14:
        apart = 9 + 0.5 * (22 - level)
        tubes = [ellipse(grid, (side * apart, 15), (8, 6), side * 15) for side in (-1, 1)]
    else:
        return
    for tube in tubes:
        paint(values, MUSCLE - 20, coverage(tube + 1.6, grid.spacing))
        paint(values, AIR + 10, coverage(tube, grid.spacing))


def _lung_tissue(draws: Draws, grid: Grid, build: Build) -> Field:
    """Aerated tissue: denser at the back, uneven at all scales."""
    gravity = build.gravity * grid.y / build.cavity[1]
    texture = 14 * smooth_noise(draws, grid.size, 9) + 11 * smooth_noise(draws, grid.size, 32)
    return build.lung + gravity + texture + 13 * smooth_noise(draws, grid.size, 75)


# ---- bones ---------------------------------------------------------------------------------------


def _draw_bones(values: Field, grid: Grid, build: Build, level: float) -> None:
    for depth in (_ribs(grid, build, level), *_spine(grid, build), _sternum(grid, build)):
        _draw_bone(values, grid, depth)
    for side in (-1, 1):
        if level > -25:
            _draw_bone(values, grid, _scapula(grid, build, side))
    canal = ellipse(grid, (0, build.cavity[1] + 9), (8.5, 7))
    paint(values, 25.0, coverage(canal, grid.spacing))


def _draw_bone(values: Field, grid: Grid, depth: Field) -> None:
    """A shell of dense bone around marrow."""
    paint(values, CORTEX, coverage(depth, grid.spacing))
    paint(values, MARROW, coverage(depth - 2.2, grid.spacing))


def _ribs(grid: Grid, build: Build, level: float) -> Field:
    """Ribs run obliquely, so that a slice cuts each into a short piece of the chest's ring."""
    ring = 3.8 - np.abs(_cavity(grid, build, level) + 6.0)
    angle = np.arctan2(np.abs(grid.x), -grid.y / build.cavity[1] * build.cavity[0])
    turns = angle / math.pi * 7 + build.rotation + level / 25
    within = np.abs(turns - np.floor(turns) - 0.5)  # 0 in the middle of a rib, 0.5 between two
    length = math.pi * 0.5 * sum(build.cavity) / 7
    depth = np.minimum(ring, (0.27 - within) * length)
    return np.where(angle > 0.5, depth, -np.abs(depth) - 1)  # the front ends in cartilage


def _spine(grid: Grid, build: Build) -> list[Field]:
    back = build.cavity[1]
    body = ellipse(grid, (0, back - 12), (19, 15))
    arch = ellipse(grid, (0, back + 9), (13, 11.5))
    process = ellipse(grid, (0, back + 27), (3.4, 14))
    wings = [ellipse(grid, (side * 24, back + 9), (16, 4.2), -side * 14) for side in (-1, 1)]
    posterior = np.maximum(np.maximum(arch, process), np.maximum(*wings))
    return [posterior, body]


def _sternum(grid: Grid, build: Build) -> Field:
    return ellipse(grid, (0, -build.cavity[1] - 11), (19, 5.5))


def _scapula(grid: Grid, build: Build, side: int) -> Field:
    place = (side * 0.72 * build.width, 0.52 * build.depth)
    return ellipse(grid, place, (27, 3.6), -side * 52)
