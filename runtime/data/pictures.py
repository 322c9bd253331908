"""Turns arrays into pictures that a person can look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dhc.files import atomic_writer
from dhc.ir.graph import Array

Rgb = NDArray[np.uint8]

# Distinct in hue and in brightness, also for the colour-blind (Okabe and Ito 2008).
PALETTE = (
    (0, 0, 0), (86, 180, 233), (240, 228, 66), (213, 94, 0), (0, 158, 115),
    (204, 121, 167), (0, 114, 178), (230, 159, 0), (255, 255, 255),
)  # fmt: skip


def grey_picture(plane: Array, low: float | None = None, high: float | None = None) -> Rgb:
    """Returns an [H, W] plane as grey RGB, from `low` (black) to `high` (white).

    The limits are the smallest and largest finite values where they are not given.
    """
    values = plane.astype(np.float64)
    finite = values[np.isfinite(values)]
    bottom = low if low is not None else float(finite.min()) if finite.size else 0.0
    top = high if high is not None else float(finite.max()) if finite.size else 1.0
    plain = np.nan_to_num(values, nan=bottom, posinf=top, neginf=bottom)
    scaled = (plain - bottom) / max(top - bottom, 1e-12)
    grey = np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
    return np.stack([grey] * 3, axis=-1)


def class_picture(classes: Array) -> Rgb:
    """Returns an [H, W] plane of class numbers in distinct colours."""
    palette = np.asarray(PALETTE, np.uint8)
    return palette[classes.astype(np.int64) % len(palette)]


def side_by_side(pictures: list[Rgb], gap: int = 4) -> Rgb:
    """Returns pictures of one height next to each other, with a white gap."""
    height = max(picture.shape[0] for picture in pictures)
    columns: list[Rgb] = []
    for picture in pictures:
        missing = height - picture.shape[0]
        columns.append(np.pad(picture, ((0, missing), (0, 0), (0, 0)), constant_values=255))
        columns.append(np.full((height, gap, 3), 255, np.uint8))
    return np.concatenate(columns[:-1], axis=1)


def scale_to_height(picture: Rgb, height: int) -> Rgb:
    """Scales a picture without blending colours, so that class pictures keep their meaning."""
    factor = height / picture.shape[0]
    width = max(1, round(picture.shape[1] * factor))
    rows = (np.arange(height) / factor).astype(np.int64)
    columns = (np.arange(width) / factor).astype(np.int64).clip(max=picture.shape[1] - 1)
    scaled: Rgb = picture[rows][:, columns]
    return scaled


def write_png(path: Path, picture: Rgb) -> None:
    """Writes an RGB picture."""
    from PIL import Image as Pillow

    with atomic_writer(path) as stream:
        Pillow.fromarray(picture).save(stream, format="PNG")
