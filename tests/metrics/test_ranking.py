"""Metrics of ranked scores, held to scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from dhc.errors import ArgumentError
from dhc.ir.graph import Array
from dhc.metrics import Metric
from dhc.metrics.ranking import Auc, AveragePrecision

RANDOM = np.random.default_rng(2)


def value(metric: Metric, prediction: Array, truth: Array) -> float:
    return metric.value(metric.rows(prediction, truth))


@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=30).filter(
        lambda pairs: len({truth for _, truth in pairs}) == 2
    )
)
@settings(max_examples=60, deadline=None)
def test_areas_with_many_equal_scores(pairs: list[tuple[int, bool]]) -> None:
    scores, truth = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    assert value(Auc(), scores, truth) == pytest.approx(roc_auc_score(truth, scores))
    expected = average_precision_score(truth, scores)
    assert value(AveragePrecision(), scores, truth) == pytest.approx(expected)


def test_classes_by_number_are_each_against_the_rest() -> None:
    scores, truth = RANDOM.dirichlet(np.ones(4), 80), RANDOM.integers(0, 4, 80)
    expected = roc_auc_score(truth, scores, multi_class="ovr", average="macro")
    assert value(Auc(), scores, truth) == pytest.approx(expected)
    each = average_precision_score(np.eye(4)[truth], scores, average=None)
    rows = AveragePrecision().rows(scores, truth)
    np.testing.assert_allclose(list(AveragePrecision().components(rows).values()), each)


def test_of_two_classes_the_second_is_the_finding() -> None:
    scores, truth = RANDOM.normal(size=(40, 2)), RANDOM.integers(0, 2, 40)
    expected = average_precision_score(truth, scores[:, 1] - scores[:, 0])
    assert value(AveragePrecision(), scores, truth) == pytest.approx(expected)


@pytest.mark.parametrize("classes", [2, 3])
def test_logits_are_ranked_as_the_probabilities_that_they_stand_for(classes: int) -> None:
    logits = 2 * RANDOM.normal(size=(60, classes)) + RANDOM.normal(size=(60, 1))
    truth = RANDOM.integers(0, classes, 60)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = roc_auc_score(truth, shares[:, 1] if classes == 2 else shares, multi_class="ovr")
    assert value(Auc(), logits, truth) == pytest.approx(expected)
    assert value(Auc(), shares, truth) == pytest.approx(expected)


def test_several_labels_leave_out_those_of_one_kind() -> None:
    scores, truth = RANDOM.normal(size=(40, 3)), RANDOM.integers(0, 2, (40, 3))
    truth[:, 1] = 0
    found = Auc().components(Auc().rows(scores, truth))
    assert np.isnan(found["1"])
    expected = np.mean([roc_auc_score(truth[:, c], scores[:, c]) for c in (0, 2)])
    assert value(Auc(), scores, truth) == pytest.approx(expected)


def test_samples_of_one_kind_determine_no_area() -> None:
    assert np.isnan(value(Auc(), np.arange(3), np.ones(3)))
    assert np.isnan(value(AveragePrecision(), np.arange(3), np.zeros(3)))


@pytest.mark.parametrize(
    ("prediction", "truth", "text"),
    [
        (np.array([np.inf, 0.0]), np.array([0, 1]), "no numbers"),
        (np.zeros(3), np.array([0, 1, 2]), "truths not 0 or 1"),
        (np.zeros((3, 4)), np.array([0, 1, 4]), "no class"),
        (np.zeros((3, 4)), np.array([0, 1, 0.5]), "no class"),
        (np.zeros((3, 4)), np.zeros((3, 2)), "has a truth"),
        (np.zeros(3), np.zeros(2), "has 2 truths"),
    ],
)
def test_what_does_not_fit_is_refused(prediction: Array, truth: Array, text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        Auc().rows(prediction, truth)


@given(st.data())
@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("metric", [Auc(), AveragePrecision()], ids=lambda m: m.name)
def test_counts_stand_for_repeated_samples(metric: Metric, data: st.DataObject) -> None:
    """The quick way of the bootstrap is the slow one."""
    scores = RANDOM.integers(0, 5, (12, 3)).astype(float)
    rows = metric.rows(scores, RANDOM.integers(0, 2, (12, 3)))
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=12, max_size=12)))
    expected = metric.value(np.repeat(rows, counts, axis=0))
    np.testing.assert_allclose(metric.counted(rows)(counts), expected, rtol=1e-12)
