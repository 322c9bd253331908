"""Metrics of sentences, which are words by number."""

from __future__ import annotations

from collections import Counter

import numpy as np

from dhc.metrics.base import Array, Metric, Rows, metric, require, require_finite

Words = tuple[int, ...]
LONGEST = 4


@metric("bleu")
class Bleu(Metric):
    """How many runs of up to `n` words are in a reference too (Papineni et al., 2002).

    Predictions are words by number [N, T], or scores [N, T, V] whose largest counts; references are
    [N, T'], or several for each sample, [N, R, T']. A sentence ends at the word `end` or at the
    first number below 0; a reference without words is none. The value is the geometric mean of
    the shares for runs of 1 to `n` words, counted over all sentences, times the penalty for
    brevity. Components are the values from 1 to 4, without smoothing, and the penalty.

    A row is the words of sentence and closest reference, then for runs of 1 to 4 words how many
    there are in a reference, and how many in all.

    Attributes:
        n: The longest runs, from 1 to 4.
        end: The word after a sentence.
    """

    n: int = 4
    end: int = -1

    def __post_init__(self) -> None:
        if not 1 <= self.n <= LONGEST:
            raise ValueError(f"'n' must lie between 1 and {LONGEST}.")

    def rows(self, prediction: Array, truth: Array) -> Rows:
        require_finite(self.name, prediction)
        if prediction.ndim == 3:
            prediction = prediction.argmax(-1)
        references = truth[:, None] if truth.ndim == 2 else truth
        fits = prediction.ndim == 2 and references.ndim == 3 and len(truth) == len(prediction)
        shapes = f"not {prediction.shape} and {truth.shape}"
        require(fits, f"'{self.name}' needs sentences [N, T] and references, {shapes}.")
        whole = all(bool(np.all(words == np.floor(words))) for words in (prediction, references))
        require(whole, f"'{self.name}' needs words by number.")
        rows = [self._sentence(*both) for both in zip(prediction, references, strict=True)]
        return np.array(rows, np.float64).reshape(-1, 2 + 2 * LONGEST)

    def _sentence(self, words: Array, references: Array) -> list[int]:
        own = self._ended(words)
        others = [found for found in map(self._ended, references) if found]
        require(bool(others), f"'{self.name}' has a sample without a reference.")
        # The shorter one of two that are equally close, as the paper's own tool has it.
        closest = min(map(len, others), key=lambda length: (abs(length - len(own)), length))
        row = [len(own), closest]
        for size in range(1, LONGEST + 1):
            counts = _runs(own, size)
            most: Counter[Words] = Counter()
            for other in others:
                most |= _runs(other, size)
            row += [(counts & most).total(), counts.total()]
        return row

    def _ended(self, words: Array) -> Words:
        ends = np.flatnonzero((words < 0) | (words == self.end))
        return tuple(map(int, words[: ends[0]] if len(ends) else words))

    def value(self, rows: Rows) -> float:
        return _bleu(rows.sum(0), self.n) if len(rows) else float("nan")

    def components(self, rows: Rows) -> dict[str, float]:
        if not len(rows):
            return {}
        totals = rows.sum(0)
        values = {f"bleu-{n}": _bleu(totals, n) for n in range(1, LONGEST + 1)}
        return {**values, "brevity": _brevity(totals)}


def _runs(words: Words, size: int) -> Counter[Words]:
    return Counter(words[k : k + size] for k in range(len(words) - size + 1))


def _bleu(totals: Rows, n: int) -> float:
    right, all_ = totals[2 : 2 + 2 * n : 2], totals[3 : 3 + 2 * n : 2]
    if not right.all():
        return 0.0
    return _brevity(totals) * float(np.exp(np.mean(np.log(right / all_))))


def _brevity(totals: Rows) -> float:
    own, reference = totals[:2]
    if own >= reference:
        return 1.0
    return float(np.exp(1 - reference / own)) if own else 0.0
