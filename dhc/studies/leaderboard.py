"""Which candidate is best, by how much, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dhc.metrics.base import Metric, Rows, join_rows
from dhc.metrics.bootstrap import Bootstrap, Interval, interval
from dhc.metrics.paired import difference
from dhc.studies.settings import Selection
from dhc.training.step import LOSS


@dataclass(frozen=True)
class FoldResult:
    """What one candidate is worth on the samples that one fold held back.

    Attributes:
        samples: Their names.
        groups: Of the samples; nothing where the data name none.
        loss: The mean over the samples.
        rows: Of each metric.
    """

    samples: tuple[str, ...]
    groups: tuple[str, ...]
    loss: float
    rows: Mapping[str, Rows]


@dataclass(frozen=True)
class Standing:
    """A candidate's place.

    Attributes:
        candidate: Its name.
        loss: The mean over all samples, each judged by the model that did not see it.
        metrics: Of all those samples together, with intervals.
        folds: What is selected by, in each fold.
        ahead: The best candidate's value less this one's; None for the best itself and the loss.
    """

    candidate: str
    loss: float
    metrics: Mapping[str, Interval]
    folds: tuple[float, ...]
    ahead: Interval | None = None

    def value(self, name: str) -> float:
        """Returns the loss or a metric."""
        return self.loss if name == LOSS else self.metrics[name].value


def leaderboard(
    results: Mapping[str, Sequence[FoldResult]],
    metrics: Mapping[str, Mapping[str, Metric]],
    selection: Selection,
    how: Bootstrap,
    seed: int,
) -> tuple[Standing, ...]:
    """Returns the candidates, the best first; those with no value last.

    Args:
        results: Of each candidate's folds.
        metrics: Of each candidate, by name.
        selection: What they are compared by.
        how: How intervals are found.
        seed: Decides the draws.
    """
    places = {
        name: _standing(name, folds, metrics[name], selection, how, seed)
        for name, folds in results.items()
    }
    order = sorted(places.values(), key=lambda place: _rank(place.value(selection.name), selection))
    best = order[0].candidate
    if selection.name == LOSS:
        return tuple(order)
    metric = metrics[best][selection.name]
    top = _rows(results[best], selection.name)
    groups = _groups(results[best])
    return (
        order[0],
        *(
            _behind(
                place,
                difference(
                    metric, top, _rows(results[place.candidate], selection.name), groups, how, seed
                ),
            )
            for place in order[1:]
        ),
    )


def fold_value(result: FoldResult, metrics: Mapping[str, Metric], name: str) -> float:
    """Returns the loss or a metric on the samples of one fold."""
    return result.loss if name == LOSS else metrics[name].value(result.rows[name])


def _standing(
    name: str,
    folds: Sequence[FoldResult],
    metrics: Mapping[str, Metric],
    selection: Selection,
    how: Bootstrap,
    seed: int,
) -> Standing:
    counts = [len(fold.samples) for fold in folds]
    loss = math.fsum(f.loss * n for f, n in zip(folds, counts, strict=True)) / sum(counts)
    groups = _groups(folds)
    found = {
        each: interval(metric, _rows(folds, each), groups, how, seed)
        for each, metric in metrics.items()
    }
    own = tuple(fold_value(fold, metrics, selection.name) for fold in folds)
    return Standing(name, loss, found, own)


def _behind(place: Standing, ahead: Interval) -> Standing:
    return Standing(place.candidate, place.loss, place.metrics, place.folds, ahead)


def _rows(folds: Sequence[FoldResult], metric: str) -> Rows:
    return join_rows([fold.rows[metric] for fold in folds])


def _groups(folds: Sequence[FoldResult]) -> list[str] | None:
    groups = [group for fold in folds for group in fold.groups]
    return groups or None


def _rank(value: float, selection: Selection) -> float:
    if np.isnan(value):
        return math.inf
    return -value if selection.rises else value
