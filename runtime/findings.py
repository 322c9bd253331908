"""Turns the outputs of a run into what a person reads: rows of a table, and a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dhc.ir.graph import Array
from dhc.runtime.data.pictures import Rgb, class_picture, grey_picture

SHOWN_CLASSES = 5  # of a vector of scores


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        output: The output's name.
        label: The class, or "" where there are none.
        share: The fraction of pixels that belong to the class; None where there are no pixels.
        mean: The mean over the pixels, or the score itself.
        least, greatest: The range over the pixels.
    """

    output: str
    label: str
    share: float | None
    mean: float
    least: float
    greatest: float


@dataclass(frozen=True)
class Finding:
    """What one output says about one image."""

    rows: tuple[Row, ...]
    picture: Rgb | None


def describe(name: str, array: Array, labels: Sequence[str] = ()) -> Finding:
    """Describes an output of one sample.

    Args:
        name: The output's name.
        array: [C, H, W] maps, where several channels are classes; [K] scores; or anything else.
        labels: The names of the classes.
    """
    if array.size == 0:
        return Finding((_row(name, "", None, array),), None)
    if array.ndim == 3 and array.shape[0] > 1:
        return _class_maps(name, array, labels)
    if array.ndim == 3:
        limits = (0.0, 1.0) if _is_fraction(array) else (None, None)
        return Finding((_row(name, "", None, array),), grey_picture(array[0], *limits))
    if array.ndim == 1 and array.size > 1:
        order = np.argsort(array)[::-1][:SHOWN_CLASSES]
        rows = [_row(name, _label(labels, k), None, array[k]) for k in order.tolist()]
        return Finding(tuple(rows), None)
    return Finding((_row(name, "", None, array),), None)


def _class_maps(name: str, maps: Array, labels: Sequence[str]) -> Finding:
    winner = maps.argmax(axis=0)
    rows = [
        _row(name, _label(labels, k), float(np.mean(winner == k)), plane)
        for k, plane in enumerate(maps)
    ]
    return Finding(tuple(rows), class_picture(winner))


def _row(name: str, label: str, share: float | None, values: Array) -> Row:
    wide = np.asarray(values, np.float64)
    if wide.size == 0:
        return Row(name, label, share, math.nan, math.nan, math.nan)
    with np.errstate(invalid="ignore"):
        return Row(name, label, share, float(wide.mean()), float(wide.min()), float(wide.max()))


def _label(labels: Sequence[str], number: int) -> str:
    return labels[number] if number < len(labels) else f"class {number}"


def _is_fraction(array: Array) -> bool:
    return bool(array.min() >= 0) and bool(array.max() <= 1)
