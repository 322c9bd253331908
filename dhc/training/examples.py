"""Samples as pictures: the worst, the middle and the best, with truth and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dhc.ir.graph import Input
from dhc.metrics.base import Array
from dhc.runtime.data.pictures import PALETTE, Rgb, grey_picture, scale_to_height
from dhc.runtime.reporting.evidence import Case, Examples, png
from dhc.training.job import TrainingJob
from dhc.training.samples import Samples

EACH = 2  # of the worst, the middle and the best
MAX_SIDE = 256  # pixels of a picture
OPACITY = 0.7  # of colours over an image
NEAREST = 32  # pixels of the side of a close-up
FRAME = (240, 228, 66)  # around what a close-up shows
HIT, MISSED, ALARM = (0, 158, 115), (230, 159, 0), (204, 121, 167)


@dataclass(frozen=True)
class Ranked:
    """How good the prediction of one sample is.

    Attributes:
        score: More is better: dice of masks, less error of images.
        empty: Whether neither truth nor prediction have anything to show.
    """

    score: float
    empty: bool
    order: str


def rank(prediction: Array, truth: Array) -> list[Ranked]:
    """Returns what each sample of a batch is worth."""
    if is_mask(prediction, truth):
        found, own = classes(prediction), classes(truth, prediction)
        axes = tuple(range(1, found.ndim))
        hits = ((found == own) & (own > 0)).sum(axes)
        areas = (found > 0).sum(axes) + (own > 0).sum(axes)
        return [
            Ranked(float(2 * hit / area) if area else 1.0, not area, "dice")
            for hit, area in zip(hits.tolist(), areas.tolist(), strict=True)
        ]
    errors = np.abs(prediction.astype(np.float64) - truth.reshape(prediction.shape))
    means = errors.reshape(len(errors), -1).mean(1)
    return [Ranked(-error, False, "mean absolute error") for error in means.tolist()]


def is_mask(prediction: Array, truth: Array) -> bool:
    """Whether the truth names classes; otherwise it is an image of numbers."""
    return bool(np.all(truth == np.floor(truth))) or prediction.shape != truth.shape


def classes(maps: Array, like: Array | None = None) -> Array:
    """Returns the class of each element, [N, ...], from maps [N, C, ...] or classes [N, ...]."""
    if like is not None and maps.ndim < like.ndim:
        return maps.astype(np.int64)
    if maps.shape[1] == 1:
        return np.asarray(maps[:, 0] >= 0.5, np.int64)
    return np.asarray(maps.argmax(1))


def show(
    job: TrainingJob, samples: Samples, output: str, truth: str, ranked: Sequence[Ranked]
) -> Examples:
    """Returns pictures of the worst, the middle and the best samples."""
    chosen = choose(ranked)
    order = ranked[0].order if ranked else ""
    images = [n.op.label for n in job.built.check.inputs if isinstance(n.op, Input)]
    image = next((n for n in images if job.dataset.fields.get(n) == "image"), "")
    if not chosen or not image:
        return Examples(output, order, ())
    cases: list[Case] = []
    for batch, outputs in job.apply(samples, [index for index, _ in chosen]):
        for k in range(job.size(batch)):
            index, place = chosen[len(cases)]
            own = batch[image][k : k + 1], batch[truth][k : k + 1], outputs[output][k : k + 1]
            note = f"{order} {abs(ranked[index].score):.3f}"
            shown = {name: png(_small(p)) for name, p in pictures(*own).items()}
            cases.append(Case(samples.samples[index].name, place, note, shown))
    return Examples(output, order, tuple(cases))


def choose(ranked: Sequence[Ranked]) -> list[tuple[int, str]]:
    """Returns the numbers of samples to show, with where they stand; those with nothing last."""
    full = [k for k, each in enumerate(ranked) if not each.empty]
    known = sorted(full or range(len(ranked)), key=lambda k: (ranked[k].score, k))
    if len(known) <= 3 * EACH:
        return [(k, f"{place} of {len(known)}") for place, k in enumerate(known, 1)]
    middle = len(known) // 2 - EACH // 2
    return [
        *((k, "worst") for k in known[:EACH]),
        *((k, "middle") for k in known[middle : middle + EACH]),
        *((k, "best") for k in known[-EACH:]),
    ]


# ---- pictures --------------------------------------------------------------------------------


def pictures(image: Array, truth: Array, prediction: Array) -> dict[str, Rgb]:
    """Returns pictures of one sample: image, truth and prediction, and where they differ.

    Args:
        image: [1, C, ...], in planes or volumes; of a volume the slice that shows most is taken.
        truth: A mask or a map like the prediction, or class numbers [1, ...].
        prediction: [1, C, ...]; masks that are small are shown near, with a frame in the image.
    """
    if not is_mask(prediction, truth):
        return _maps(image[0], truth.reshape(prediction.shape)[0], prediction[0])
    own, found = classes(truth, prediction)[0], classes(prediction)[0]
    place = _slice_of(own)
    ground, own, found = _ground(image[0], place), _plane(own, place), _plane(found, place)
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


def _maps(image: Array, truth: Array, prediction: Array) -> dict[str, Rgb]:
    place = truth.shape[1] // 2 if truth.ndim == 4 else None
    own, found = _plane(truth[0], place), _plane(prediction[0], place)
    low, high = float(own.min()), float(own.max())
    return {
        "image": _ground(image, place),
        "truth": grey_picture(own, low, high),
        "prediction": grey_picture(found, low, high),
        "error": grey_picture(np.abs(own - found), 0.0, max(high - low, 1e-12)),
    }


def _slice_of(mask: Array) -> int | None:
    """The slice of a volume that shows most; None for a plane."""
    return int((mask > 0).sum((1, 2)).argmax()) if mask.ndim == 3 else None


def _plane(array: Array, place: int | None) -> Array:
    return array if place is None else array[place]


def _ground(image: Array, place: int | None) -> Rgb:
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


def _small(picture: Rgb) -> Rgb:
    height, width = picture.shape[:2]
    factor = min(1.0, MAX_SIDE / max(height, width))
    return picture if factor == 1.0 else scale_to_height(picture, max(1, round(height * factor)))
