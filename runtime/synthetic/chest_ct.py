"""Chest CT slices: anatomy, vessels, nodules, and what a scanner makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dhc.runtime.synthetic.canvas import (
    Grid,
    blur_response,
    coverage,
    filtered,
    paint,
    quantum_noise,
    square_grid,
)
from dhc.runtime.synthetic.chest import (
    AIR,
    BLOOD,
    EXTENT,
    HEIGHT,
    Build,
    draw_build,
    draw_chest,
)
from dhc.runtime.synthetic.draws import Draws, Field, Mask
from dhc.runtime.synthetic.nodules import Nodule, draw_nodules, paint_nodule
from dhc.runtime.synthetic.vessels import Tubes, airways, cut, grow_tree

DISTANCE = 18.0  # mm between slices, so that hardly a nodule is seen twice
LOWEST, HIGHEST = -1024, 3071  # Hounsfield units that a scanner stores
HILUM = (28.0, 4.0, 0.0)  # mm; where the tree of the left lung begins


@dataclass(frozen=True)
class ChestSlice:
    """One slice with its ground truth.

    Attributes:
        values: [H, W] whole Hounsfield units.
        mask: [H, W] where nodules are.
        lungs: [H, W] where lungs are.
        nodules: The nodules that are on it.
        level: Its z in mm.
    """

    values: NDArray[np.int16]
    mask: Mask
    lungs: Mask
    nodules: tuple[Nodule, ...]
    level: float


@dataclass(frozen=True)
class _Patient:
    seed: tuple[int, int]
    build: Build
    grid: Grid
    vessels: Tubes
    airways: Tubes
    noise: float


def draw_patient(seed: int, number: int, slices: int, size: int) -> Iterator[ChestSlice]:
    """Draws the slices of one patient from the lowest to the highest.

    Args:
        seed: Of the data set.
        number: Of the patient.
        slices: How many.
        size: Pixels along a side.
    """
    draws = Draws("chest", seed, number)
    build = draw_build(draws)
    grid = square_grid(size, EXTENT).posed(draws, shift=7, turn=4, bend=2.2)
    trees = [_lung_tree(draws, build, side) for side in (-1, 1)]
    patient = _Patient(
        seed=(seed, number),
        build=build,
        grid=grid,
        vessels=_together([vessels for vessels, _ in trees]),
        airways=_together([tubes for _, tubes in trees]),
        noise=draws.number(14, 28),
    )
    middle = draws.number(-8, 8)
    spread = min(DISTANCE, 1.4 * HEIGHT / slices)
    for index in range(slices):
        yield _draw_slice(patient, index, middle + (index - (slices - 1) / 2) * spread)


def _lung_tree(draws: Draws, build: Build, side: int) -> tuple[Tubes, Tubes]:
    half_width, half_depth = build.cavity
    root = (side * HILUM[0], HILUM[1], HILUM[2])
    centre = (side * 0.56 * half_width, -2.0, 0.0)
    tree = grow_tree(draws, root, centre, (0.47 * half_width, 0.93 * half_depth, HEIGHT), 6.5)
    return tree, airways(tree, side)


def _together(parts: list[Tubes]) -> Tubes:
    return Tubes(
        np.concatenate([part.start for part in parts]),
        np.concatenate([part.end for part in parts]),
        np.concatenate([part.radius for part in parts]),
    )


def _draw_slice(patient: _Patient, index: int, level: float) -> ChestSlice:
    draws = Draws("chest", *patient.seed, "slice", index)
    grid = patient.grid
    chest = draw_chest(draws, grid, patient.build, level)
    values, lungs = chest.values, chest.lungs
    _paint_tubes(values, patient, lungs, level)
    nodules = draw_nodules(draws, values, grid, lungs)
    mask = np.zeros(values.shape, np.bool_)
    for nodule in nodules:
        mask |= paint_nodule(draws, values, grid, lungs, nodule)
    return ChestSlice(_scan(draws, values, patient), mask, lungs > 0, nodules, level)


def _paint_tubes(values: Field, patient: _Patient, lungs: Field, level: float) -> None:
    """Vessels and airways; the outermost millimetres of the lungs look free of them."""
    spacing = patient.grid.spacing
    within = np.clip(lungs / 4, 0, 1)
    straight = square_grid(patient.grid.size, EXTENT)
    tubes = cut(patient.airways, straight, level)
    vessels = cut(patient.vessels, straight, level)
    paint(values, BLOOD - 70, tubes * coverage(lungs, spacing) * 0.75)
    inner = Tubes(patient.airways.start, patient.airways.end, patient.airways.radius - 1.1)
    paint(values, AIR + 40, cut(inner, straight, level) * coverage(lungs, spacing))
    paint(values, BLOOD, vessels * within)


def _scan(draws: Draws, values: Field, patient: _Patient) -> NDArray[np.int16]:
    """The scanner: finite sharpness, grainy noise that is strongest where least light comes."""
    size = patient.grid.size
    sharp = 0.7 * size / 256  # pixels; the same in mm at any size
    blurred = filtered(values, blur_response(size, sharp))
    depth = 1 - np.hypot(patient.grid.x / patient.build.width, patient.grid.y / patient.build.depth)
    noise = patient.noise * np.clip(0.55 + 0.75 * depth, 0.35, 1.3) * quantum_noise(draws, size)
    return np.rint(np.clip(blurred + noise, LOWEST, HIGHEST)).astype(np.int16)
