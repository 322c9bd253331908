"""Lung nodules: round, lobed, spiculated, part-solid and ground-glass, 4 to 25 mm wide."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dhc.runtime.synthetic.canvas import FAR, Grid, coverage, paint, smooth_noise
from dhc.runtime.synthetic.draws import Draws, Field, Mask

SMALLEST, LARGEST = 4.0, 25.0  # mm across
KINDS = ("solid", "spiculated", "part-solid", "ground-glass")
SHARES = (0.45, 0.25, 0.18, 0.12)
COUNTS = (0.2, 0.42, 0.26, 0.12)  # how often a slice has 0, 1, 2 and 3
GAP = 5.0  # mm at least between two nodules
HARMONICS = 9


@dataclass(frozen=True)
class Nodule:
    """One nodule.

    Attributes:
        kind: One of `KINDS`.
        x, y: Its centre on the slice, in mm.
        diameter: Of a circle of about its area, in mm.
    """

    kind: str
    x: float
    y: float
    diameter: float


def draw_nodules(draws: Draws, values: Field, grid: Grid, lungs: Field) -> tuple[Nodule, ...]:
    """Chooses what grows in a slice and where.

    Args:
        draws: The source of randomness.
        values: [H, W] Hounsfield units; nodules avoid places that are already dense.
        grid: The pixels.
        lungs: [H, W] depth of the lungs in mm.

    Returns:
        The nodules, which do not touch each other.
    """
    found: list[Nodule] = []
    for _ in range(draws.choice(COUNTS)):
        kind = KINDS[draws.choice(SHARES)]
        diameter = _diameter(draws, kind, grid)
        free = _free(values, grid, lungs, diameter, found, at_wall=draws.chance(0.2))
        position = draws.number(0, 1)
        if len(free):
            row, column = np.unravel_index(free[int(position * len(free))], lungs.shape)
            x, y = float(grid.x[row, column]), float(grid.y[row, column])
            found.append(Nodule(kind, x, y, diameter))
    return tuple(found)


def _diameter(draws: Draws, kind: str, grid: Grid) -> float:
    """Small ones are more frequent; those with parts are never tiny, nor any below 2.5 pixels."""
    small = max(SMALLEST if kind == "solid" else 8.0, 2.5 * grid.spacing)
    large = max(LARGEST, small)
    return small * math.pow(large / small, draws.number(0, 1) ** 1.3)


def _free(
    values: Field, grid: Grid, lungs: Field, diameter: float, others: list[Nodule], *, at_wall: bool
) -> NDArray[np.intp]:
    """Returns the flat positions of pixels where a nodule's centre may lie."""
    radius = diameter / 2
    allowed = (lungs > 0.2 * radius) & (lungs < 0.6 * radius) if at_wall else lungs > radius + 2
    for other in others:
        distance = np.hypot(grid.x - other.x, grid.y - other.y)
        allowed &= distance > 0.7 * (diameter + other.diameter) + GAP
    return np.flatnonzero(allowed & (values < -500))


def paint_nodule(draws: Draws, values: Field, grid: Grid, lungs: Field, nodule: Nodule) -> Mask:
    """Draws a nodule into a slice.

    Args:
        draws: The source of randomness for shape and density.
        values: [H, W] Hounsfield units, changed in place.
        grid: The pixels.
        lungs: [H, W] depth of the lungs in mm; nothing grows outside.
        nodule: What to draw.

    Returns:
        Its mask.
    """
    depth = np.minimum(_depth(draws, grid, nodule), lungs)
    cover = coverage(depth, grid.spacing)
    if nodule.kind in ("part-solid", "ground-glass"):
        hazy = draws.number(-620, -470) + 45 * smooth_noise(draws, grid.size, 48)
        paint(values, np.maximum(hazy, values), cover * np.clip(depth / 2 + 0.6, 0, 1))
    if nodule.kind == "part-solid":
        core = depth - draws.number(0.35, 0.55) * nodule.diameter / 2
        paint(values, draws.number(-30, 45), coverage(core, grid.spacing))
    if nodule.kind in ("solid", "spiculated"):
        dense = draws.number(-40, 60) + 10 * smooth_noise(draws, grid.size, 60)
        paint(values, np.maximum(dense, values), cover)
    if nodule.kind == "spiculated":
        _paint_spicules(draws, values, grid, lungs, nodule)
    return cover >= 0.5


def _depth(draws: Draws, grid: Grid, nodule: Nodule) -> Field:
    """A circle that is stretched, lobed, and if spiculated also ragged."""
    ragged = {"solid": 0.05, "spiculated": 0.15}.get(nodule.kind, 0.1)
    stretch, turn = draws.number(1, 1.3), draws.number(0, math.pi)
    waves = {
        wave: (ragged * draws.number(-1, 1) / math.sqrt(wave / 2), draws.number(0, 2 * math.pi))
        for wave in range(2, HARMONICS)
    }
    x, y = grid.x - nodule.x, grid.y - nodule.y
    near = x * x + y * y < (1.5 * nodule.diameter) ** 2
    x, y = x[near], y[near]
    along = (x * math.cos(turn) + y * math.sin(turn)) / math.sqrt(stretch)
    across = (y * math.cos(turn) - x * math.sin(turn)) * math.sqrt(stretch)
    angle = np.arctan2(across, along)
    radius = np.ones(x.shape)
    for wave, (size, phase) in waves.items():
        radius += size * np.cos(wave * angle + phase)
    depth = np.full(grid.x.shape, -FAR)
    depth[near] = nodule.diameter / 2 * radius - np.hypot(along, across)
    return depth


def _paint_spicules(draws: Draws, values: Field, grid: Grid, lungs: Field, nodule: Nodule) -> None:
    """Fine strands that run outwards; they are not part of the mask."""
    distance = np.hypot(grid.x - nodule.x, grid.y - nodule.y) / (nodule.diameter / 2)
    angle = np.arctan2(grid.y - nodule.y, grid.x - nodule.x)
    for direction in draws.uniform(-math.pi, math.pi, draws.integer(7, 12)).tolist():
        reach = draws.number(1.35, 2.0)
        aside = np.abs(np.sin((angle - direction) / 2)) * distance * nodule.diameter
        width = 0.9 * np.clip(reach - distance, 0, 1)
        strand = coverage(np.minimum(width - aside, lungs), grid.spacing)
        strand *= (distance < reach) & (distance > 0.7)
        paint(values, np.maximum(-250.0, values), 0.8 * strand)
