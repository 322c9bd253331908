"""Pictures of a sample: image, truth, prediction, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dhc.metrics.base import Array
from dhc.runtime.data.pictures import PALETTE, Rgb, grey_picture, scale_to_height

MAX_SIDE = 256  # pixels of a picture
OPACITY = 0.7  # of colours over an image
NEAREST = 32  # pixels of the side of a close-up
FRAME = (240, 228, 66)  # around what a close-up shows
HIT, MISSED, ALARM = (0, 158, 115), (230, 159, 0), (204, 121, 167)


def classes(maps: Array, like: Array | None = None) -> Array:
    """Returns the class of each element, [N, ...], from maps [N, C, ...] or classes [N, ...]."""
    if like is not None and maps.ndim < like.ndim:
        return maps.astype(np.int64)
    if maps.shape[1] == 1:
        return np.asarray(maps[:, 0] >= 0.5, np.int64)
    return np.asarray(maps.argmax(1))


def mask_pictures(image: Array, truth: Array, prediction: Array) -> dict[str, Rgb]:
    """Returns pictures of one sample with masks: image, truth, prediction, and where they differ.

    Args:
        image: [1, C, ...], in planes or volumes; of a volume the slice that shows most is taken.
        truth: A mask like the prediction, or class numbers [1, ...].
        prediction: [1, C, ...]; masks that are small are shown near, with a frame in the image.
    """
    own, found = classes(truth, prediction)[0], classes(prediction)[0]
    place = _slice_of(own)
    ground, own, found = ground_of(image[0], place), _plane(own, place), _plane(found, place)
    if ground.shape[:2] != own.shape:
        ground = grey_picture(np.zeros(own.shape))
    differ = np.where(own == found, np.where(own > 0, 1, 0), np.where(own > 0, 2, 3))
    near = _near((own > 0) | (found > 0))
    whole = ground if near is None else _framed(ground, *near)
    part = near or (slice(None), slice(None))
    return {
        "image": whole,
        "truth": _over(ground, own, PALETTE)[part],
        "prediction": _over(ground, found, PALETTE)[part],
        "difference": _over(ground, differ, (PALETTE[0], HIT, MISSED, ALARM))[part],
    }


def map_pictures(image: Array, truth: Array, prediction: Array) -> dict[str, Rgb]:
    """Returns pictures of one sample with maps of numbers, which share their greys.

    Args:
        image: [1, C, ...], in planes or volumes; of a volume the middle slice is taken.
        truth: As many elements as the prediction.
        prediction: [1, C, ...], of which the first channel is shown.
    """
    own, found = truth.reshape(prediction.shape)[0, 0], prediction[0, 0]
    place = len(own) // 2 if own.ndim == 3 else None
    own, found = _plane(own, place), _plane(found, place)
    low, high = float(own.min()), float(own.max())
    return {
        "image": ground_of(image[0], place),
        "truth": grey_picture(own, low, high),
        "prediction": grey_picture(found, low, high),
        "error": grey_picture(np.abs(own - found), 0.0, max(high - low, 1e-12)),
    }


def _near(marked: Array) -> tuple[slice, slice] | None:
    """The square around what is marked, with room; None if that is most of the plane."""
    if not marked.any():
        return None
    ends = [np.flatnonzero(marked.any(axis))[[0, -1]] for axis in (1, 0)]
    side = max(2 * max(int(last - first + 1) for first, last in ends), NEAREST)
    if side > 0.6 * min(marked.shape):
        return None
    starts = [
        min(max(int(first + last + 1 - side) // 2, 0), size - side)
        for (first, last), size in zip(ends, marked.shape, strict=True)
    ]
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)


def _framed(ground: Rgb, rows: slice, columns: slice) -> Rgb:
    """The picture with a frame around a part of it."""
    picture = ground.copy()
    for k in (rows.start, rows.stop - 1):
        picture[k, columns] = FRAME
    for k in (columns.start, columns.stop - 1):
        picture[rows, k] = FRAME
    return picture


def _slice_of(mask: Array) -> int | None:
    """The slice of a volume that shows most; None for a plane."""
    return int((mask > 0).sum((1, 2)).argmax()) if mask.ndim == 3 else None


def _plane(array: Array, place: int | None) -> Array:
    return array if place is None else array[place]


def ground_of(image: Array, place: int | None = None) -> Rgb:
    """An image [C, ...] as a picture: coloured, or grey as the mean of its channels.

    The darkest and the brightest half percent of its elements are cut off.
    """
    planes = [_plane(plane, place).astype(np.float64) for plane in image]
    if len(planes) != 3:
        planes = [np.mean(planes, 0)]
    low, high = np.nanpercentile(np.stack(planes), [0.5, 99.5])
    drawn = [grey_picture(plane, float(low), float(high))[..., 0] for plane in planes]
    return np.stack(drawn * (3 // len(drawn)), -1)


def _over(ground: Rgb, numbers: Array, colours: Sequence[tuple[int, int, int]]) -> Rgb:
    palette = np.asarray(colours, np.float64)
    tint = palette[numbers % len(palette)]
    mixed = (1 - OPACITY) * ground + OPACITY * tint
    shown = np.where((numbers > 0)[..., None], mixed, ground)
    return np.rint(shown).astype(np.uint8)


def small(picture: Rgb) -> Rgb:
    height, width = picture.shape[:2]
    factor = min(1.0, MAX_SIDE / max(height, width))
    return picture if factor == 1.0 else scale_to_height(picture, max(1, round(height * factor)))
