"""What an output says of one image, in one line of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dhc.metrics.base import Array

COLUMNS = ("image", "output", "class", "probability", "truth", "share", "value")


@dataclass(frozen=True)
class Meaning:
    """What an output is.

    Attributes:
        truth: The field of the data that it is compared with; "" if with none.
        kind: Of that field; see `dhc.runtime.data.dataset`.
        share: Whether its values are probabilities already, and not scores before them.
    """

    truth: str = ""
    kind: str = ""
    share: bool = False


@dataclass(frozen=True)
class Summary:
    """What an output says of one image.

    Attributes:
        output: Its name.
        label: The class, or the classes with `|` between them.
        probability: Of the class; of the most probable one where there are several.
        truth: What is known of it.
        share: The fraction of a mask's elements that are a finding.
        value: A number, or the mean of a map.
    """

    output: str
    label: str = ""
    probability: float | None = None
    truth: str = ""
    share: float | None = None
    value: float | None = None

    def row(self, image: str) -> dict[str, object]:
        """Returns the line of the table."""
        cells = (self.label, self.probability, self.truth, self.share, self.value)
        return dict(zip(COLUMNS, (image, self.output, *cells), strict=True))


def summarise(
    name: str, array: Array, meaning: Meaning, classes: Sequence[str], truth: Array | None
) -> Summary:
    """Summarises an output of one image.

    Args:
        name: Of the output.
        array: Its values, [1, ...].
        meaning: What it is.
        classes: Names of classes.
        truth: The field that it is compared with, where it is known.
    """
    values = np.asarray(array, np.float64)[0]
    if values.ndim >= 3:
        return _of_map(name, values)
    flat = values.reshape(-1)
    known = "" if truth is None else _truth(np.asarray(truth), meaning.kind, classes)
    if meaning.kind == "labels":
        return _of_labels(name, flat if meaning.share else _sigmoid(flat), classes, known)
    if len(flat) > 1:
        return _of_class(name, flat if meaning.share else _softmax(flat), classes, known)
    if meaning.kind == "label":
        one = flat if meaning.share else _sigmoid(flat)
        return _of_class(name, np.concatenate([1 - one, one]), classes, known)
    value = float(flat[0]) if flat.size else None
    return Summary(name, truth=known, value=value)


def _of_class(name: str, shares: Array, classes: Sequence[str], truth: str) -> Summary:
    best = int(shares.argmax())
    return Summary(name, _name(classes, best), float(shares[best]), truth)


def _of_labels(name: str, shares: Array, classes: Sequence[str], truth: str) -> Summary:
    found = [_name(classes, k) for k in np.flatnonzero(shares >= 0.5).tolist()]
    return Summary(name, "|".join(found), float(shares.max()), truth)


def _of_map(name: str, maps: Array) -> Summary:
    """A map of one channel, or of classes, of which 0 is the background."""
    found = maps[0] >= 0.5 if len(maps) == 1 else maps.argmax(0) > 0
    return Summary(name, share=float(found.mean()), value=float(maps.mean()))


def _truth(truth: Array, kind: str, classes: Sequence[str]) -> str:
    flat = truth.reshape(-1)
    if kind == "labels":
        return "|".join(_name(classes, int(k)) for k in np.flatnonzero(flat > 0))
    if kind == "label" and flat.size == 1:
        return _name(classes, int(flat[0]))
    return f"{float(flat[0]):.6g}" if flat.size == 1 else ""


def _name(classes: Sequence[str], number: int) -> str:
    return classes[number] if 0 <= number < len(classes) else str(number)


def _softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum())


def _sigmoid(scores: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(scores / 2)))
