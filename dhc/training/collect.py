"""Collects what stands behind a metric, batch by batch: confusions, curves, points, ranks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dhc.metrics.base import Array
from dhc.metrics.classification import class_pairs, confusion_matrix
from dhc.metrics.ranking import probabilities
from dhc.runtime.reporting.evidence import Confusion, Evidence, Point, RocCurve, Scatter
from dhc.training.examples import Look, Ranked
from dhc.training.pictures import classes

MAX_POINTS = 2000  # of a scatter
EACH = 500  # elements of an image that may become points
MAX_CURVE = 200  # points of a ROC curve
MAX_CURVES = 20  # classes with a curve each


@dataclass(frozen=True)
class Pair:
    """An output of the network, and the field of the data that it is compared with.

    Attributes:
        kind: Of the field; see `dhc.runtime.data.dataset`.
    """

    output: str
    truth: str
    kind: str


class Collector(ABC):
    """Keeps what it needs of each batch.

    Attributes:
        kind: What it takes.
        order: What it ranks samples by.
    """

    kind: ClassVar[Look] = "classes"
    order: ClassVar[str] = ""

    @abstractmethod
    def fits(self, prediction: Array, truth: Array) -> bool:
        """Whether the arrays of a batch are such that it can take them."""

    @abstractmethod
    def add(self, prediction: Array, truth: Array) -> None:
        """Takes a batch."""

    @abstractmethod
    def found(self, pair: Pair, names: Sequence[str]) -> Evidence:
        """Returns what was found; `names` are those of classes."""

    def ranked(self, names: Sequence[str]) -> list[Ranked]:
        """Returns what the prediction of each sample is worth; nothing if that is not asked."""
        return []


# ---- classes ---------------------------------------------------------------------------------


class Classes(Collector):
    """One class for each sample."""

    order = "the probability of the true class"

    def __init__(self) -> None:
        self._scores: list[Array] = []
        self._truths: list[Array] = []

    def fits(self, prediction: Array, truth: Array) -> bool:
        scores = prediction.reshape(len(prediction), -1).shape[1]
        return truth.size == len(truth) and bool(np.all((truth >= 0) & (truth < max(scores, 2))))

    def add(self, prediction: Array, truth: Array) -> None:
        self._scores.append(prediction.reshape(len(prediction), -1).astype(np.float64))
        self._truths.append(truth.reshape(-1))

    def ranked(self, names: Sequence[str]) -> list[Ranked]:
        scores = shares(np.concatenate(self._scores))
        if scores.shape[1] == 1:
            scores = np.concatenate([1 - scores, scores], 1)
        truths = np.concatenate(self._truths).astype(np.int64)
        found = zip(scores, truths.tolist(), scores.argmax(1).tolist(), strict=True)
        return [
            Ranked(float(own[truth]), f"{_name(names, truth)}, taken for {_said(names, own, best)}")
            for own, truth, best in found
        ]

    def found(self, pair: Pair, names: Sequence[str]) -> Evidence:
        scores = shares(np.concatenate(self._scores))
        own, chosen, classes = class_pairs("confusion", scores, np.concatenate(self._truths))
        rows = np.stack([own, chosen, np.full(len(own), classes)], 1)
        counts = confusion_matrix(rows.astype(np.float64))
        known = [_name(names, k) for k in range(len(counts))]
        whole = tuple(tuple(int(c) for c in row) for row in counts)
        if len(known) == 2:  # one of two classes says it all
            curves = [roc(pair.output, known[1], scores[:, -1], own == 1)]
        else:
            curves = [
                roc(pair.output, name, scores[:, k], own == k) for k, name in enumerate(known)
            ]
        return Evidence((Confusion(pair.output, tuple(known), whole),), _drawn(curves))


class Labels(Collector):
    """Several classes for each sample."""

    def __init__(self) -> None:
        self._scores: list[Array] = []
        self._truths: list[Array] = []

    def fits(self, prediction: Array, truth: Array) -> bool:
        return prediction.size == truth.size

    def add(self, prediction: Array, truth: Array) -> None:
        self._scores.append(prediction.reshape(len(prediction), -1))
        self._truths.append(truth.reshape(len(truth), -1))

    def found(self, pair: Pair, names: Sequence[str]) -> Evidence:
        scores, truths = np.concatenate(self._scores), np.concatenate(self._truths)
        curves = [
            roc(pair.output, _name(names, k), scores[:, k], truths[:, k] > 0)
            for k in range(scores.shape[1])
        ]
        return Evidence(curves=_drawn(curves))


def shares(scores: Array) -> Array:
    """Returns scores [N, C] as probabilities; those of one column, [N, 1], of its only class.

    One column holds probabilities already if all lie between 0 and 1, else logits.
    """
    if scores.shape[1] > 1:
        return probabilities(scores)
    lies = scores.min() >= 0 and scores.max() <= 1
    return scores if lies else np.asarray(0.5 + 0.5 * np.tanh(0.5 * scores))


def roc(output: str, name: str, scores: Array, truth: Array) -> RocCurve:
    """Returns the curve of one class; no points where all samples are of one kind."""
    positive = int(truth.sum())
    negative = len(truth) - positive
    if not positive or not negative:
        return RocCurve(output, name, ())
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    hits = np.cumsum(truth[order])[last] / positive
    alarms = np.cumsum(~truth[order])[last] / negative
    chosen = np.unique(np.linspace(0, len(hits) - 1, MAX_CURVE).round().astype(int))
    points = [(float(alarms[k]), float(hits[k])) for k in chosen]
    return RocCurve(output, name, ((0.0, 0.0), *points))


def _drawn(curves: Sequence[RocCurve]) -> tuple[RocCurve, ...]:
    known = tuple(curve for curve in curves if curve.points)
    return known if len(known) <= MAX_CURVES else ()


def _said(names: Sequence[str], shares: Array, number: int) -> str:
    return f"{_name(names, number)} with {shares[number]:.0%}"


def _name(names: Sequence[str], number: int) -> str:
    return names[number] if number < len(names) else f"class {number}"


# ---- numbers and maps ------------------------------------------------------------------------


class Numbers(Collector):
    """Numbers for each sample."""

    def __init__(self) -> None:
        self._pairs: list[Array] = []

    def fits(self, prediction: Array, truth: Array) -> bool:
        return prediction.size == truth.size

    def add(self, prediction: Array, truth: Array) -> None:
        both = [truth.reshape(-1), prediction.reshape(-1)]
        self._pairs.append(np.stack(both, 1).astype(np.float64))

    def found(self, pair: Pair, names: Sequence[str]) -> Evidence:
        values = np.concatenate(self._pairs)
        return Evidence(scatters=(_scatter(pair.output, "value", len(values), values),))


class Maps(Collector):
    """A mask for each sample."""

    kind: ClassVar[Look] = "masks"
    order = "dice"

    def __init__(self) -> None:
        self._ranked: list[Ranked] = []

    def fits(self, prediction: Array, truth: Array) -> bool:
        planes = prediction.shape[2:] == truth.shape[-prediction.ndim + 2 :]
        return prediction.ndim in (4, 5) and planes

    def add(self, prediction: Array, truth: Array) -> None:
        self._ranked += self.rank(prediction, truth)

    def rank(self, prediction: Array, truth: Array) -> list[Ranked]:
        """Returns what each sample of a batch is worth."""
        return rank_masks(prediction, truth)

    def ranked(self, names: Sequence[str]) -> list[Ranked]:
        return self._ranked

    def found(self, pair: Pair, names: Sequence[str]) -> Evidence:
        return Evidence()


class Images(Maps):
    """An image for each sample; some of its elements are kept beside the true ones."""

    kind: ClassVar[Look] = "maps"
    order = "mean absolute error"

    def __init__(self) -> None:
        super().__init__()
        self._elements: list[Array] = []
        self._count = 0

    def fits(self, prediction: Array, truth: Array) -> bool:
        return super().fits(prediction, truth) and prediction.size == truth.size

    def add(self, prediction: Array, truth: Array) -> None:
        super().add(prediction, truth)
        flat = [array.reshape(len(array), -1) for array in (truth, prediction)]
        places = np.linspace(0, flat[0].shape[1] - 1, EACH).round().astype(int)
        both = [array[:, places].reshape(-1) for array in flat]
        self._elements.append(np.stack(both, 1).astype(np.float64))
        self._count += truth.size

    def rank(self, prediction: Array, truth: Array) -> list[Ranked]:
        return rank_maps(prediction, truth)

    def found(self, pair: Pair, names: Sequence[str]) -> Evidence:
        values = np.concatenate(self._elements)
        return Evidence(scatters=(_scatter(pair.output, "element", self._count, values),))


def rank_masks(prediction: Array, truth: Array) -> list[Ranked]:
    """Returns the overlap of each sample's mask with the true one."""
    found, own = classes(prediction), classes(truth, prediction)
    axes = tuple(range(1, found.ndim))
    hits = 2 * ((found == own) & (own > 0)).sum(axes)
    areas = (found > 0).sum(axes) + (own > 0).sum(axes)
    scores = np.where(areas > 0, hits / np.maximum(areas, 1), 1.0).tolist()
    return [
        Ranked(score, f"dice {score:.3f}", not area)
        for score, area in zip(scores, areas.tolist(), strict=True)
    ]


def rank_maps(prediction: Array, truth: Array) -> list[Ranked]:
    """Returns how far each sample's map is from the true one."""
    errors = np.abs(prediction.astype(np.float64) - truth.reshape(prediction.shape))
    means = errors.reshape(len(errors), -1).mean(1).tolist()
    return [Ranked(-mean, f"mean absolute error {mean:.4g}") for mean in means]


def _scatter(output: str, unit: str, total: int, values: Array) -> Scatter:
    """Points that lie evenly in the order of the samples."""
    chosen = np.unique(np.linspace(0, len(values) - 1, MAX_POINTS).round().astype(int))
    points: tuple[Point, ...] = tuple((float(x), float(y)) for x, y in values[chosen])
    return Scatter(output, unit, total, points)


COLLECTORS: dict[str, type[Collector]] = {
    "label": Classes,
    "labels": Labels,
    "numbers": Numbers,
    "mask": Maps,
    "map": Images,
    "image": Images,
}
"""By the kind of the field that an output is compared with."""
