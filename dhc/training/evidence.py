"""Finds what stands behind metrics while they are measured: confusions, curves, examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dhc.ir.graph import Input
from dhc.metrics.base import Array
from dhc.metrics.classification import class_pairs, confusion_matrix
from dhc.metrics.ranking import probabilities
from dhc.runtime.reporting.evidence import Confusion, Evidence, Point, RocCurve, Scatter
from dhc.training.examples import Ranked, rank, show
from dhc.training.job import TrainingJob
from dhc.training.samples import Samples

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


class Collector(Protocol):
    """Keeps what it needs of each batch."""

    def fits(self, prediction: Array, truth: Array) -> bool:
        """Whether the arrays of a batch are such that it can take them."""

    def add(self, prediction: Array, truth: Array) -> None:
        """Takes a batch."""

    def found(self, pair: Pair, names: Sequence[str]) -> Evidence:
        """Returns what was found; `names` are those of classes."""


class Gather:
    """Looks at each batch of a measurement; see `TrainingJob.measure`."""

    def __init__(self, job: TrainingJob) -> None:
        self._job = job
        self._collectors = {pair: _COLLECTORS[pair.kind]() for pair in pairs_of(job)}

    def __call__(self, batch: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        for pair, collector in list(self._collectors.items()):
            prediction, truth = outputs[pair.output], batch[pair.truth]
            if collector.fits(prediction, truth):
                collector.add(prediction, truth)
            else:
                del self._collectors[pair]

    def evidence(self, samples: Samples) -> Evidence:
        """Returns what was found in samples, with pictures of some of them."""
        names = self._job.dataset.classes
        parts = [each.found(pair, names) for pair, each in self._collectors.items()]
        shown = [
            show(self._job, samples, pair.output, pair.truth, each.ranked)
            for pair, each in self._collectors.items()
            if isinstance(each, _Maps)
        ]
        return Evidence(
            confusions=tuple(c for part in parts for c in part.confusions),
            curves=tuple(c for part in parts for c in part.curves),
            examples=tuple(shown),
            scatters=tuple(s for part in parts for s in part.scatters),
        )


def pairs_of(job: TrainingJob) -> list[Pair]:
    """Returns what is compared with what: by metrics, else the only output with the only truth."""
    fields = job.dataset.fields
    named = [(m.prediction, m.truth) for m in job.settings.metrics]
    if not named:
        given = {n.op.label for n in job.built.check.inputs if isinstance(n.op, Input)}
        truths = [name for name, kind in fields.items() if name in given and kind != "image"]
        outputs = [name for name, _ in job.built.check.outputs][:-1]
        named = [(outputs[0], truths[0])] if len(outputs) == len(truths) == 1 else []
    pairs = [Pair(output, truth, fields.get(truth, "")) for output, truth in dict.fromkeys(named)]
    return [pair for pair in pairs if pair.kind in _COLLECTORS]


# ---- classes ---------------------------------------------------------------------------------


class _Classes:
    """One class for each sample."""

    def __init__(self) -> None:
        self._scores: list[Array] = []
        self._truths: list[Array] = []

    def fits(self, prediction: Array, truth: Array) -> bool:
        scores = prediction.reshape(len(prediction), -1).shape[1]
        return truth.size == len(truth) and bool(np.all((truth >= 0) & (truth < max(scores, 2))))

    def add(self, prediction: Array, truth: Array) -> None:
        self._scores.append(prediction.reshape(len(prediction), -1).astype(np.float64))
        self._truths.append(truth.reshape(-1))

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


class _Labels:
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


def _name(names: Sequence[str], number: int) -> str:
    return names[number] if number < len(names) else f"class {number}"


# ---- numbers and maps ------------------------------------------------------------------------


class _Numbers:
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


class _Maps:
    """A mask or an image for each sample."""

    def __init__(self) -> None:
        self.ranked: list[Ranked] = []

    def fits(self, prediction: Array, truth: Array) -> bool:
        planes = prediction.shape[2:] == truth.shape[-prediction.ndim + 2 :]
        return prediction.ndim in (4, 5) and planes

    def add(self, prediction: Array, truth: Array) -> None:
        self.ranked += rank(prediction, truth)

    def found(self, pair: Pair, names: Sequence[str]) -> Evidence:
        return Evidence()


class _Images(_Maps):
    """An image for each sample; some of its elements are kept beside the true ones."""

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

    def found(self, pair: Pair, names: Sequence[str]) -> Evidence:
        values = np.concatenate(self._elements)
        return Evidence(scatters=(_scatter(pair.output, "element", self._count, values),))


def _scatter(output: str, unit: str, total: int, values: Array) -> Scatter:
    """Points that lie evenly in the order of the samples."""
    chosen = np.unique(np.linspace(0, len(values) - 1, MAX_POINTS).round().astype(int))
    points: tuple[Point, ...] = tuple((float(x), float(y)) for x, y in values[chosen])
    return Scatter(output, unit, total, points)


_COLLECTORS: dict[str, type[_Classes] | type[_Labels] | type[_Numbers] | type[_Maps]] = {
    "label": _Classes,
    "labels": _Labels,
    "numbers": _Numbers,
    "mask": _Maps,
    "map": _Images,
    "image": _Images,
}
