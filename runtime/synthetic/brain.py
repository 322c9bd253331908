"""The anatomy of a brain at one level, with its blood flow, and what an occluded artery does to it.

Flow and volume of blood are those of textbooks: grey matter has about 60 ml / 100 g / min and
4 ml / 100 g, white matter 22 and 2.
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
    smooth_noise,
    smooth_union,
)
from dhc.runtime.synthetic.draws import Draws, Field

EXTENT = 210.0  # mm; the field of view
AIR, SKIN, SKULL, WATER, WHITE, GREY, BLOOD = -1000.0, 30.0, 900.0, 6.0, 28.0, 37.0, 45.0


@dataclass(frozen=True)
class Head:
    """A slice through a head before contrast agent comes.

    Attributes:
        values: [H, W] Hounsfield units.
        flow: [H, W] ml / 100 g / min; 0 outside of the brain.
        volume: [H, W] ml / 100 g; 0 outside of the brain.
        brain: [H, W] depth of the brain in mm, positive inside.
        arteries, veins: [H, W] the share of each pixel that large vessels fill.
        delay: [H, W] how much later blood comes than through the artery that is measured, in s.
    """

    values: Field
    flow: Field
    volume: Field
    brain: Field
    arteries: Field
    veins: Field
    delay: Field


@dataclass(frozen=True)
class Stroke:
    """Where an artery is occluded: a wedge of the brain on one side.

    Attributes:
        side: -1 for the picture's left, 1 for its right.
        x, y: The middle of the region, in mm.
        size: Its half width in mm.
        core: Share of the region's radius within which tissue is lost.
        angle: Degrees by which it is turned.
    """

    side: int
    x: float
    y: float
    size: float
    core: float
    angle: float


def draw_stroke(draws: Draws) -> Stroke:
    """Returns a stroke in the region of a middle cerebral artery."""
    side = 1 if draws.chance(0.5) else -1
    return Stroke(
        side,
        x=side * draws.number(34, 48),
        y=draws.number(-22, 18),
        size=draws.number(16, 32),
        core=draws.number(0.35, 0.65),
        angle=draws.number(-40, 40),
    )


def draw_head(draws: Draws, grid: Grid, scale: float, stroke: Stroke | None) -> Head:
    """Draws a slice.

    Args:
        draws: The source of randomness.
        grid: The pixels, posed as this person lies.
        scale: Size of this slice, about 1; smaller towards the top.
        stroke: What is occluded, if anything is.
    """
    skin = ellipse(grid, (0, 0), (76 * scale, 93 * scale))
    brain = skin - 13
    sulci = smooth_noise(draws, grid.size, 24)
    deep = _deep(grid, scale)
    water = _ventricles(grid, scale)
    grey = np.maximum(6.5 + 5 * sulci - brain, deep)
    share = coverage(grey, 2 * grid.spacing)
    values = np.full(grid.x.shape, AIR)
    paint(values, SKIN, coverage(skin, grid.spacing))
    paint(values, SKULL, coverage(skin - 5, grid.spacing))
    paint(values, WHITE + (GREY - WHITE) * share, coverage(brain, grid.spacing))
    paint(values, WATER, coverage(water, grid.spacing))
    variety = 1 + 0.08 * smooth_noise(draws, grid.size, 14)
    flow = (22 + 40 * share) * variety
    volume = (2.0 + 2.2 * share) * (1 + 0.06 * smooth_noise(draws, grid.size, 14))
    delay = 0.8 + 0.35 * smooth_noise(draws, grid.size, 5)
    if stroke is not None:
        flow, volume, delay = _occlude(draws, grid, stroke, flow, volume, delay)
    tissue = coverage(np.minimum(brain, -water), grid.spacing)
    arteries, veins = _vessels(grid, scale)
    blood = np.maximum(arteries, veins)
    paint(values, BLOOD, blood)
    delay = np.maximum(delay, 0)
    return Head(values, flow * tissue, volume * tissue, brain, arteries, veins, delay)


def _deep(grid: Grid, scale: float) -> Field:
    """Thalami and basal ganglia."""
    found = np.full(grid.x.shape, -1e3)
    for side in (-1, 1):
        thalamus = ellipse(grid, (side * 11 * scale, 8 * scale), (8, 12), side * 20)
        putamen = ellipse(grid, (side * 25 * scale, -7 * scale), (6, 15), -side * 18)
        found = np.maximum(np.maximum(found, thalamus), putamen)
    return found


def _ventricles(grid: Grid, scale: float) -> Field:
    found = ellipse(grid, (0, 1), (1.7, 9))
    for side in (-1, 1):
        front = ellipse(grid, (side * 8 * scale, -22 * scale), (3.6, 12), side * 24)
        back = ellipse(grid, (side * 17 * scale, 32 * scale), (4.4, 13), -side * 24)
        found = np.maximum(found, smooth_union(front, back, 3))
    return smooth_union(found, 1.4 - np.abs(grid.x) - 0.02 * np.abs(grid.y), 2) - 0.6


def _vessels(grid: Grid, scale: float) -> tuple[Field, Field]:
    """Anterior and middle cerebral arteries; the sinus at the back and the veins into it."""
    arteries = coverage(ellipse(grid, (0, -44 * scale), (2.3, 3.0)), grid.spacing)
    for side in (-1, 1):
        branch = ellipse(grid, (side * 41 * scale, -14 * scale), (7, 2.0), side * 30)
        arteries = np.maximum(arteries, coverage(branch, grid.spacing))
    sinus = ellipse(grid, (0, 76 * scale), (5, 4.4))
    front = ellipse(grid, (0, -77 * scale), (2.6, 2.2))
    return arteries, np.maximum(coverage(sinus, grid.spacing), coverage(front, grid.spacing))


def _occlude(
    draws: Draws, grid: Grid, stroke: Stroke, flow: Field, volume: Field, delay: Field
) -> tuple[Field, Field, Field]:
    """In the region flow falls and blood comes late; where tissue is lost, volume falls as well."""
    ragged = 3 * smooth_noise(draws, grid.size, 9)
    region = ellipse(grid, (stroke.x, stroke.y), (stroke.size, 1.25 * stroke.size), stroke.angle)
    same_side = stroke.side * grid.x - 3  # the other half of the brain is untouched
    region = np.minimum(region + ragged, same_side)
    within = coverage(region, 8)
    core = coverage(region - (1 - stroke.core) * stroke.size, 6)
    flow = flow * (1 - 0.55 * within) * (1 - 0.6 * core)
    volume = volume * (1 + 0.12 * within) * (1 - 0.62 * core)
    return flow, volume, delay + (1.5 + 2 * draws.number(0, 1)) * within


def slice_scale(index: int, count: int) -> float:
    """Returns the size of each slice of a patient; it falls towards the top of the head."""
    return 1 - 0.16 * math.pow(index / max(count - 1, 1), 2)
