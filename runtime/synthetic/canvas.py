"""Shapes and textures on a grid of pixels: what all phantoms are drawn with.

A shape is a *depth*: for each pixel the distance in millimetres to the shape's border, positive
inside. Depths are combined with minimum and maximum and turned into the covered part of a pixel
at the very end, so that borders are smooth at any resolution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dhc.runtime.synthetic.draws import Draws, Field

FAR = 60.0  # mm; nothing depends on how much farther a border is


@dataclass(frozen=True)
class Grid:
    """Where the pixels lie.

    Attributes:
        x: [H, W] millimetres from the centre, growing to the right.
        y: [H, W] millimetres from the centre, growing downwards.
        spacing: Millimetres from one pixel to the next.
    """

    x: Field
    y: Field
    spacing: float

    @property
    def size(self) -> int:
        """Pixels along one side."""
        return len(self.x)

    def posed(self, draws: Draws, shift: float, turn: float, bend: float) -> Grid:
        """Returns the grid as a body sees it that lies a little askew and is no ideal shape.

        Args:
            draws: The source of randomness.
            shift: Largest shift along an axis in mm.
            turn: Largest angle in degrees.
            bend: Deviation of an organic warp in mm.
        """
        angle = math.radians(draws.number(-turn, turn))
        x = self.x - draws.number(-shift, shift)
        y = self.y - draws.number(-shift, shift)
        warp_x, warp_y = (bend * smooth_noise(draws, self.size, 7) for _ in range(2))
        cosine, sine = math.cos(angle), math.sin(angle)
        return Grid(cosine * x + sine * y + warp_x, cosine * y - sine * x + warp_y, self.spacing)


def square_grid(size: int, extent: float) -> Grid:
    """Returns a grid of `size` by `size` pixels that is `extent` mm wide."""
    spacing = extent / size
    places = (np.arange(size) - (size - 1) / 2) * spacing
    x, y = np.meshgrid(places, places)
    return Grid(x, y, spacing)


def ellipse(
    grid: Grid, centre: tuple[float, float], radii: tuple[float, float], angle: float = 0
) -> Field:
    """Returns the depth of an ellipse; exact on its border, to first order elsewhere.

    Far outside it is `-FAR`, whatever the distance.

    Args:
        grid: The pixels.
        centre: x and y in mm.
        radii: Half of its width and height in mm, before it is turned.
        angle: Degrees, clockwise on the picture.
    """
    x, y = grid.x - centre[0], grid.y - centre[1]
    near = x * x + y * y < (max(radii) + FAR) ** 2
    found = np.full(x.shape, -FAR)
    found[near] = _ellipse(x[near], y[near], radii, math.radians(angle))
    return found


def _ellipse(x: Field, y: Field, radii: tuple[float, float], angle: float) -> Field:
    cosine, sine = math.cos(angle), math.sin(angle)
    along = x * (cosine / radii[0]) + y * (sine / radii[0])
    across = y * (cosine / radii[1]) - x * (sine / radii[1])
    along *= along
    across *= across
    square = along + across
    slope = along / radii[0] ** 2 + across / radii[1] ** 2
    depth: Field = (np.sqrt(square) - square) / np.sqrt(np.maximum(slope, 1e-18))
    depth[square == 0] = min(radii)
    return depth


def smooth_union(first: Field, second: Field, width: float) -> Field:
    """Returns the depth of both shapes together, their corner rounded over `width` mm."""
    blend = np.clip(1 - np.abs(first - second) / width, 0, None)
    return np.maximum(first, second) + width / 4 * blend**2


def smooth_cut(first: Field, second: Field, width: float) -> Field:
    """Returns the depth of the first shape without the second, with rounded corners."""
    return -smooth_union(-first, second, width)


def coverage(depth: Field, spacing: float) -> Field:
    """Returns the part of each pixel that a shape covers, from 0 to 1."""
    return np.clip(0.5 + depth / spacing, 0, 1)


def paint(image: Field, value: Field | float, cover: Field) -> None:
    """Lays a material over the image in place."""
    image += cover * (value - image)


def smooth_noise(draws: Draws, size: int, cells: int) -> Field:
    """Returns an [size, size] random field of deviation about 1, with `cells` bumps along a side.

    Normal numbers on a coarse grid, interpolated with cubic B-splines along one axis and then the
    other; four neighbours each, so that no order of summation is left to a library.
    """
    first, weights = _spline_weights(size, cells)
    coarse = draws.normal((cells + 3, cells + 3))
    for _ in range(2):
        coarse = sum(weights[k][:, None] * coarse[first + k] for k in range(4)).T
    return coarse


@cache
def _spline_weights(size: int, cells: int) -> tuple[NDArray[np.int64], Field]:
    """The first of four neighbours of each place, and their cubic B-spline weights [4, size].

    Weights are scaled so that variance is kept on average.
    """
    places = (np.arange(size) + 0.5) / size * cells
    first = np.floor(places).astype(np.int64)
    t = places - first
    pieces = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    weights = np.stack(pieces)
    return first, weights / math.sqrt(float((weights**2).sum(axis=0).mean()))


def filtered(image: Field, response: Field) -> Field:
    """Applies a filter that is given by its frequency response [H, W // 2 + 1]."""
    return np.fft.irfft2(np.fft.rfft2(image) * response, s=image.shape)


@cache
def blur_response(size: int, deviation: float) -> Field:
    """Returns the response of a Gaussian of `deviation` pixels."""
    return np.exp(-2 * (math.pi * deviation * _frequency(size)) ** 2)


@cache
def quantum_response(size: int, peak: float = 0.22) -> Field:
    """Returns the response that gives white noise the spectrum of CT noise, deviation kept.

    Filtered back-projection makes a ramp at low frequencies; the kernel rolls it off
    (Riederer, Pelc and Chesler, Phys. Med. Biol. 23 (1978) 446).

    Args:
        size: Pixels along a side.
        peak: The frequency with most power, in cycles per pixel.
    """
    frequency = _frequency(size)
    power = frequency * np.exp(-0.5 * (frequency / peak) ** 2)
    mirrored = np.full(power.shape[1], 2.0)  # columns that stand for their mirror image as well
    mirrored[0] = 1
    mirrored[-1] = 1 if size % 2 == 0 else 2
    response: Field = np.sqrt(power / ((power * mirrored).sum() / size**2))
    return response


def _frequency(size: int) -> Field:
    across = np.fft.rfftfreq(size)[None]
    frequency: Field = np.hypot(np.fft.fftfreq(size)[:, None], across)
    return frequency


def quantum_noise(draws: Draws, size: int) -> Field:
    """Returns [size, size] noise of deviation 1 with the grain of CT."""
    return filtered(draws.normal((size, size)), quantum_response(size))
