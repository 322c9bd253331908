"""BLEU, held to sacrebleu's."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from dhc.errors import ArgumentError
from dhc.ir.graph import Array
from dhc.metrics.text import Bleu

Sentences = list[list[int]]


def padded(sentences: Sentences, width: int = 9) -> Array:
    return np.array([s + [-1] * (width - len(s)) for s in sentences], np.int64).reshape(-1, width)


def expected(words: Sentences, references: list[Sentences], n: int) -> float:
    """Sacrebleu's value; its references are a list for each place, not for each sentence."""
    metric = sacrebleu.BLEU(tokenize="none", smooth_method="none", max_ngram_order=n)
    texts = [" ".join(map(str, s)) for s in words]
    others = [[" ".join(map(str, s)) for s in column] for column in zip(*references, strict=True)]
    return float(metric.corpus_score(texts, others).score) / 100


sentence = st.lists(st.integers(0, 3), min_size=1, max_size=9)


@given(st.lists(st.tuples(sentence, sentence, sentence), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_value_for_each_length_of_runs(samples: list[tuple[list[int], ...]]) -> None:
    words = [own for own, *_ in samples]
    references = [list(others) for _, *others in samples]
    truth = np.stack([padded(each) for each in references])
    for n in (1, 2, 3, 4):
        metric = Bleu(n)
        rows = metric.rows(padded(words), truth)
        found = metric.value(rows)
        assert found == pytest.approx(expected(words, references, n))
        assert metric.components(rows)[f"bleu-{n}"] == found


def test_scores_count_by_their_largest_and_a_word_ends() -> None:
    words, end = np.array([[4, 5, 6, 7, 1, 3]]), 1
    truth = np.array([[4, 5, 6, 7, 8, 1, 0]])
    scores = np.eye(9)[words]
    metric = Bleu(2, end)
    rows = metric.rows(scores, truth)
    np.testing.assert_array_equal(rows, metric.rows(words, truth))
    assert metric.components(rows)["brevity"] == pytest.approx(np.exp(1 - 5 / 4))
    assert metric.value(rows) == pytest.approx(np.exp(-1 / 4))


def test_nothing_said_is_worth_nothing() -> None:
    metric = Bleu()
    assert metric.value(metric.rows(np.array([[-1, -1]]), np.array([[1, 2]]))) == 0


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ArgumentError, match="without a reference"):
        Bleu().rows(np.array([[1]]), np.array([[-1]]))
    with pytest.raises(ArgumentError, match="words by number"):
        Bleu().rows(np.array([[1]]), np.array([[0.5]]))
    with pytest.raises(ArgumentError, match="needs sentences"):
        Bleu().rows(np.array([[1]]), np.array([[1], [2]]))
    with pytest.raises(ValueError, match="between 1 and 4"):
        Bleu(5)
