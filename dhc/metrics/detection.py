"""Metrics of lesions that are found one by one."""

from __future__ import annotations

import numpy as np

from dhc.metrics.base import (
    Array,
    Metric,
    Rows,
    join_rows,
    metric,
    ratio,
    require,
    require_finite,
    require_probabilities,
)
from dhc.metrics.grid import connected


@metric("froc")
class Froc(Metric):
    """The share of lesions found at so many false alarms per image (Chakraborty, 1989).

    Probabilities [N, 1, ...] have candidates: the connected parts of what is at least `threshold`,
    each with its largest probability as its score. A candidate finds a lesion, a connected part of
    the true mask, if the intersection of both over their union is at least `overlap`; a candidate
    that finds none is a false alarm. Parts that touch at a corner are one. At each rate the scores
    are cut where there are the most candidates without more false alarms per image than that; the
    value is the mean over rates, as in arXiv:1612.08012. Components are the shares at each rate.

    A row is, for each of the image's lesions, 1 and the best score that finds it, or minus
    infinity, and for each of its false alarms 0 and the score.

    Attributes:
        rates: False alarms per image.
        threshold: Where candidates begin.
        overlap: Of candidate and lesion, at least.
    """

    rates: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
    threshold: float = 0.5
    overlap: float = 0.1

    def __post_init__(self) -> None:
        if not self.rates or min(self.rates) < 0:
            raise ValueError("'rates' must be some numbers from 0 on.")
        if not 0 < self.overlap <= 1:
            raise ValueError("'overlap' must be more than 0 and at most 1.")

    def rows(self, prediction: Array, truth: Array) -> Rows:
        require_finite(self.name, prediction)
        one = prediction.ndim >= 3 and prediction.shape[1] == 1
        require(one, f"'{self.name}' needs probabilities [N, 1, ...], not {prediction.shape}.")
        require_probabilities(self.name, prediction, self.threshold)
        flat = prediction[:, 0]
        fits = truth.shape in (prediction.shape, flat.shape)
        require(fits, f"'{self.name}' has a mask {truth.shape} for {prediction.shape}.")
        masks = truth.reshape(flat.shape) >= 0.5
        found = [self._image(scores, mask) for scores, mask in zip(flat, masks, strict=True)]
        return join_rows(found) if found else np.zeros((0, 2, 0))

    def _image(self, scores: Array, mask: Array) -> Rows:
        """The row of one image, [1, 2, entries]."""
        candidates, count = connected(scores >= self.threshold)
        lesions, wanted = connected(mask)
        pairs = np.bincount(
            (candidates * (wanted + 1) + lesions).ravel(), minlength=(count + 1) * (wanted + 1)
        ).reshape(count + 1, wanted + 1)
        both = pairs[1:, 1:]
        union = pairs[1:].sum(1)[:, None] + pairs[:, 1:].sum(0) - both
        hits = both >= self.overlap * union
        best = np.full(count + 1, -np.inf)
        np.maximum.at(best, candidates.ravel(), scores.ravel().astype(np.float64))
        own = np.where(hits, best[1:, None], -np.inf).max(0, initial=-np.inf)
        false = best[1:][~hits.any(1)]
        kinds = np.append(np.ones(wanted), np.zeros(len(false)))
        return np.stack([kinds, np.append(own, false)])[None]

    def value(self, rows: Rows) -> float:
        found = list(self.components(rows).values())
        return float(np.mean(found)) if found else float("nan")

    def components(self, rows: Rows) -> dict[str, float]:
        if not len(rows):
            return {}
        lesions = rows[:, 1][rows[:, 0] == 1]
        false = np.sort(rows[:, 1][rows[:, 0] == 0])[::-1]
        found = {}
        for rate in self.rates:
            allowed = int(np.floor(rate * len(rows) + 1e-9))
            # The first false alarm that is one too many says which scores are too low.
            cut = false[allowed] if allowed < len(false) else -np.inf
            found[f"{rate:g} per image"] = float(ratio(np.sum(lesions > cut), lesions.size))
        return found
