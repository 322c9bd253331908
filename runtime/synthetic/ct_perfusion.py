"""CT perfusion: a brain is scanned again and again while contrast agent passes through it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dhc.runtime.synthetic.brain import EXTENT, Head, draw_head, draw_stroke, slice_scale
from dhc.runtime.synthetic.canvas import (
    blur_response,
    filtered,
    paint,
    quantum_noise,
    square_grid,
)
from dhc.runtime.synthetic.draws import Draws, Field
from dhc.runtime.synthetic.kinetics import (
    STEP,
    arterial_input,
    response,
    tissue_enhancement,
)
from dhc.runtime.synthetic.phantom import Tell, in_threads, parts_of, write_arrays

FILE = "perfusion.npz"
INTERVAL = 2.0  # s from one frame to the next
STROKES = 0.6  # share of the patients
VENOUS_TRANSIT, VENOUS_DELAY = 4.0, 3.0  # s
LOWEST, HIGHEST = -1024, 3071  # Hounsfield units that a scanner stores


@dataclass(frozen=True)
class PerfusionSlice:
    """One slice with its ground truth.

    Attributes:
        series: [T, H, W] whole Hounsfield units.
        cbf: [H, W] blood flow in ml / 100 g / min, 0 outside of the brain.
        cbv: [H, W] blood volume in ml / 100 g, 0 outside of the brain.
    """

    series: NDArray[np.float32]
    cbf: NDArray[np.float32]
    cbv: NDArray[np.float32]


def draw_perfusion(
    seed: int, number: int, slices: int, size: int, frames: int
) -> Iterator[PerfusionSlice]:
    """Draws the slices of one patient from the lowest to the highest.

    Args:
        seed: Of the data set.
        number: Of the patient.
        slices: How many.
        size: Pixels along a side.
        frames: Images of each slice, `INTERVAL` seconds apart.
    """
    draws = Draws("perfusion", seed, number)
    stroke = draw_stroke(draws) if draws.chance(STROKES) else None
    grid = square_grid(size, EXTENT).posed(draws, shift=5, turn=6, bend=1.6)
    artery = arterial_input(
        np.arange(0, frames * INTERVAL + STEP, STEP),
        arrival=draws.number(5, 10),
        height=draws.number(220, 420),
        scale=draws.number(1.1, 1.9),
    )
    noise = draws.number(1.6, 3.2)
    for index in range(slices):
        own = Draws("perfusion", seed, number, "slice", index)
        head = draw_head(own, grid, slice_scale(index, slices), stroke)
        yield _scan(own, head, artery, frames, noise)


def _scan(draws: Draws, head: Head, artery: Field, frames: int, noise: float) -> PerfusionSlice:
    size = len(head.values)
    moments = np.arange(frames, dtype=np.float64) * INTERVAL
    tissue = tissue_enhancement(artery, head.flow, head.volume, head.delay, moments)
    vein = response(artery, VENOUS_TRANSIT) / VENOUS_TRANSIT
    sharp = blur_response(size, 0.55)
    series = np.empty((frames, size, size), np.float32)
    for frame, moment in enumerate(moments.tolist()):
        values = head.values + tissue[frame]
        paint(values, head.values + _at(artery, moment), head.arteries)
        paint(values, head.values + _at(vein, moment - VENOUS_DELAY), head.veins)
        seen = filtered(values, sharp) + noise * quantum_noise(draws, size)
        series[frame] = np.rint(np.clip(seen, LOWEST, HIGHEST))
    flow, volume = (np.round(field, 3).astype(np.float32) for field in (head.flow, head.volume))
    return PerfusionSlice(series, flow, volume)


def _at(curve: Field, moment: float) -> float:
    """The value of a curve at some second; before the first it is the first."""
    return float(np.interp(moment / STEP, np.arange(len(curve)), curve))


@dataclass(frozen=True)
class CtPerfusion:
    """Series and maps in one file of arrays; each patient is in one part.

    Attributes:
        patients: How many in each part.
        slices: Of each patient.
        size: Pixels along a side.
        frames: Of each series.
        seed: Another seed is another population.
    """

    about: str
    patients: Mapping[str, int]
    slices: int
    size: int
    frames: int
    seed: int = 0
    version: int = 1
    entry: str = FILE

    @property
    def pieces(self) -> int:
        return sum(self.patients.values())

    def write(self, folder: Path, tell: Tell) -> None:
        arrays: dict[str, list[NDArray[np.generic]]] = {}
        drawn = in_threads(self._draw, self.pieces, tell)
        for number, (part, own) in enumerate(zip(parts_of(self.patients), drawn, strict=True)):
            for found in own:
                arrays.setdefault(f"{part}_series", []).append(found.series)
                arrays.setdefault(f"{part}_cbf_maps", []).append(found.cbf)
                arrays.setdefault(f"{part}_cbv_maps", []).append(found.cbv)
                group = np.array(f"patient{number:03}")
                arrays.setdefault(f"{part}_groups", []).append(group)
        write_arrays(folder / FILE, {name: np.stack(each) for name, each in arrays.items()})

    def _draw(self, number: int) -> list[PerfusionSlice]:
        return list(draw_perfusion(self.seed, number, self.slices, self.size, self.frames))
