"""Stained tissue as a microscope shows it: five kinds, drawn as what haematoxylin and eosin stain.

Colours are made as in a slide: each stain takes away its own share of red, green and blue light
(Ruifrok and Johnston, Anal. Quant. Cytol. Histol. 23 (2001) 291). Slides differ in how strongly
they are stained, so that colour alone does not tell kinds apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dhc.runtime.synthetic.canvas import Grid as Grid
from dhc.runtime.synthetic.canvas import coverage, smooth_noise, square_grid
from dhc.runtime.synthetic.draws import Draws, Field
from dhc.runtime.synthetic.phantom import TABLE, Row, Tell, in_threads, parts_of, write_table

HAEMATOXYLIN = (0.65, 0.70, 0.29)
EOSIN = (0.07, 0.99, 0.11)
EXTENT = 100.0  # micrometres
FINENESS = 1.0  # micrometres; below the smallest thing that is drawn

Rgb = NDArray[np.uint8]
Stains = tuple[Field, Field]
"""How much haematoxylin and eosin each pixel holds."""


# ---- kinds ---------------------------------------------------------------------------------------


def _fat(draws: Draws, grid: Grid) -> Stains:
    """Large empty cells with thin walls."""
    first, second = _two_nearest(draws, grid, spacing=34)
    wall = coverage(1.6 - (second - first) / 2, 2)
    blood = 0.25 * wall * np.clip(smooth_noise(draws, grid.size, 12), 0, None)
    nuclei = _nuclei(draws, grid, count=4, radii=(1.4, 2.6), flatness=2.2) * np.clip(wall, 0.1, 1)
    return blood + 0.8 * nuclei, 0.55 * wall


def _fibres(draws: Draws, grid: Grid) -> Stains:
    """Wavy bundles with few spindle-shaped nuclei."""
    along = draws.number(0, math.pi)
    wave = 0.7 * smooth_noise(draws, grid.size, 4)
    strands = _strands(draws, grid, along, wave, period=7)
    nuclei = _nuclei(draws, grid, count=12, radii=(1.3, 2.0), flatness=4.5, along=along)
    return 0.10 * strands + nuclei, 0.28 + 0.42 * strands


def _muscle(draws: Draws, grid: Grid) -> Stains:
    """Straight dense bundles with long nuclei that lie in their direction."""
    along = draws.number(0, math.pi)
    strands = _strands(draws, grid, along, 0.12 * smooth_noise(draws, grid.size, 3), period=12)
    nuclei = _nuclei(draws, grid, count=14, radii=(1.7, 2.3), flatness=4.0, along=along)
    return 0.12 + 0.9 * nuclei, 0.75 + 0.25 * strands


def _lymphocytes(draws: Draws, grid: Grid) -> Stains:
    """Small round nuclei, one beside the other."""
    nuclei = _nuclei(draws, grid, count=150, radii=(2.6, 3.4), flatness=1.15)
    return 0.12 + 0.95 * nuclei, np.full(grid.x.shape, 0.22)


def _glands(draws: Draws, grid: Grid) -> Stains:
    """Rings of cells around a hollow, their nuclei at the outer border."""
    first, _ = _two_nearest(draws, grid, spacing=44)
    radius = 17 + 2.5 * smooth_noise(draws, grid.size, 6)
    cells = coverage(np.minimum(radius - first, first - 5.5), 1.5)
    border = np.exp(-(((radius - first - 3.6) / 2.6) ** 2))
    nuclei = _nuclei(draws, grid, count=190, radii=(1.9, 2.7), flatness=1.5) * border
    hollow = coverage(5.5 - first, 1.5)
    between = (1 - cells) * (1 - hollow)
    return 0.16 * cells + 1.1 * nuclei, 0.30 * cells + 0.42 * between


KINDS: Mapping[str, Callable[[Draws, Grid], Stains]] = {
    "fat": _fat,
    "fibres": _fibres,
    "glands": _glands,
    "lymphocytes": _lymphocytes,
    "muscle": _muscle,
}


# ---- what they are made of -----------------------------------------------------------------------


def _two_nearest(draws: Draws, grid: Grid, spacing: float) -> tuple[Field, Field]:
    """Returns the distances in micrometres to the nearest and the second of scattered points."""
    steps = math.ceil(EXTENT / spacing) + 2
    places = (np.arange(steps) - (steps - 1) / 2) * spacing
    x, y = np.meshgrid(places, places)
    jitter = 0.42 * spacing
    shift = draws.uniform(-spacing / 2, spacing / 2, 2)
    x = x.ravel() + draws.uniform(-jitter, jitter, x.size) + shift[0]
    y = y.ravel() + draws.uniform(-jitter, jitter, y.size) + shift[1]
    distance = np.hypot(grid.x[..., None] - x, grid.y[..., None] - y)
    both = np.partition(distance, 1, axis=-1)
    return both[..., 0], both[..., 1]


def _strands(draws: Draws, grid: Grid, along: float, wave: Field, period: float) -> Field:
    """Returns bundles in a direction, from 0 to 1."""
    across = grid.x * math.sin(along) - grid.y * math.cos(along)
    phase = across / period + 2 * wave + 0.5 * smooth_noise(draws, grid.size, 6)
    return np.asarray(0.5 + 0.5 * np.sin(2 * math.pi * phase)) ** 1.5


def _nuclei(
    draws: Draws,
    grid: Grid,
    count: int,
    radii: tuple[float, float],
    flatness: float,
    along: float | None = None,
) -> Field:
    """Returns what nuclei take up of each pixel; they do not lie closer than their width.

    Args:
        draws: The source of randomness.
        grid: The pixels.
        count: How many are tried.
        radii: Between which the smaller half axis lies, in micrometres.
        flatness: The larger half axis over the smaller.
        along: Their direction in radians; any if not given.
    """
    places = draws.uniform(-EXTENT / 2, EXTENT / 2, (count, 2))
    sizes = draws.uniform(radii[0], radii[1], count)
    turns = draws.uniform(0, math.pi, count)
    if along is not None:
        turns = along + 0.25 * (turns - math.pi / 2)
    kept = _apart(places, sizes)
    found = _stamp(grid, places[kept], sizes[kept], flatness, turns[kept])
    grain = 1 + 0.12 * smooth_noise(draws, grid.size, min(40, grid.size // 2))
    return found * np.clip(grain, 0.5, 1.3)


def _apart(places: Field, sizes: Field) -> list[int]:
    """Returns which of some circles stay if each must keep away from those before it."""
    kept: list[int] = []
    for k, place in enumerate(places):
        distance = np.hypot(*(places[kept] - place).T)
        if not bool((distance < 0.9 * (sizes[kept] + sizes[k])).any()):
            kept.append(k)
    return kept


def _stamp(grid: Grid, places: Field, sizes: Field, flatness: float, turns: Field) -> Field:
    """Returns what ellipses cover of each pixel; each is drawn in a window around its middle."""
    reach = math.ceil((float(sizes.max()) * flatness + 2 * FINENESS) / grid.spacing) + 1
    window = np.arange(-reach, reach + 1)
    half = (grid.size - 1) / 2
    nearest = np.rint(places / grid.spacing + half).astype(np.int64)
    columns = nearest[:, 0, None, None] + window[None, None]
    rows = nearest[:, 1, None, None] + window[None, :, None]
    x = (columns - half) * grid.spacing - places[:, 0, None, None]
    y = (rows - half) * grid.spacing - places[:, 1, None, None]
    cosine, sine = np.cos(turns)[:, None, None], np.sin(turns)[:, None, None]
    level = np.hypot((x * cosine + y * sine) / flatness, y * cosine - x * sine)
    cover = coverage(sizes[:, None, None] - level, 2 * FINENESS)
    rows, columns = np.broadcast_arrays(rows, columns)
    inside = (rows >= 0) & (rows < grid.size) & (columns >= 0) & (columns < grid.size)
    found = np.zeros(grid.x.shape)
    np.maximum.at(found, (rows[inside], columns[inside]), cover[inside])
    return found


@dataclass(frozen=True)
class Staining:
    """How a slide was stained and lit."""

    haematoxylin: float
    eosin: float
    hue: float
    light: float

    @classmethod
    def draw(cls, draws: Draws) -> Staining:
        return cls(
            draws.number(0.75, 1.3),
            draws.number(0.6, 1.25),
            draws.number(-0.12, 0.12),
            draws.number(0.92, 1.0),
        )


def draw_tile(draws: Draws, kind: str, staining: Staining, size: int) -> Rgb:
    """Returns an [H, W, 3] picture of a kind of tissue, 100 micrometres wide.

    Another kind may reach into it, as far as a little before its middle.
    """
    grid = square_grid(size, EXTENT)
    neighbour = list(KINDS)[draws.integer(0, len(KINDS) - 1)]
    towards, distance = draws.number(0, 2 * math.pi), draws.number(8, 80)
    along = grid.x * math.cos(towards) + grid.y * math.sin(towards)
    other = coverage(along - distance + 4 * smooth_noise(draws, size, 5), 2 * FINENESS)
    both = zip(KINDS[kind](draws, grid), KINDS[neighbour](draws, grid), strict=True)
    nuclei, ground = ((1 - other) * own + other * beside for own, beside in both)
    blue = np.asarray(HAEMATOXYLIN) + staining.hue * np.asarray((1.0, -0.4, -0.4))
    density = (1.25 * staining.haematoxylin * nuclei)[..., None] * blue
    density = density + (0.85 * staining.eosin * ground)[..., None] * np.asarray(EOSIN)
    light = 255 * staining.light * np.exp(-density) + 3.5 * draws.normal((size, size, 3))
    found: Rgb = np.rint(np.clip(light, 0, 255)).astype(np.uint8)
    return found


@dataclass(frozen=True)
class TissueTextures:
    """Tiles of stained tissue in a table; each slide is in one part and has tiles of all kinds.

    Attributes:
        slides: How many in each part.
        tiles: Of each kind on each slide.
        size: Pixels along a side.
        seed: Another seed is another collection.
    """

    about: str
    slides: Mapping[str, int]
    tiles: int
    size: int
    seed: int = 0
    version: int = 1
    entry: str = TABLE

    @property
    def pieces(self) -> int:
        return sum(self.slides.values())

    def write(self, folder: Path, tell: Tell) -> None:
        drawn = in_threads(partial(self._write_slide, folder), self.pieces, tell)
        write_table(folder, [row for own in drawn for row in own])

    def _write_slide(self, folder: Path, number: int) -> list[Row]:
        from PIL import Image

        slide, part = f"slide{number:03}", parts_of(self.slides)[number]
        (folder / slide).mkdir()
        staining = Staining.draw(Draws("tissue", self.seed, number))
        rows: list[Row] = []
        for kind in KINDS:
            for index in range(self.tiles):
                draws = Draws("tissue", self.seed, number, kind, index)
                path = f"{slide}/{kind}{index:02}.png"
                Image.fromarray(draw_tile(draws, kind, staining, self.size)).save(folder / path)
                rows.append({"image": path, "label": kind, "split": part, "group": slide})
        return rows
