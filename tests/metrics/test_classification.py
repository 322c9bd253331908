"""Metrics of classes, held to scikit-learn's, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from dhc.errors import ArgumentError
from dhc.ir.graph import Array
from dhc.metrics import METRICS, Metric
from dhc.metrics.classification import (
    F1,
    Accuracy,
    BalancedAccuracy,
    Confusion,
    Kappa,
    Precision,
    Recall,
    Sensitivity,
    Specificity,
    TopK,
)

RANDOM = np.random.default_rng(1)
SCORES = RANDOM.normal(size=(60, 4))
TRUTH = RANDOM.integers(0, 4, 60)
CHOSEN = SCORES.argmax(1)
FINDING = RANDOM.uniform(size=50)
PRESENT = RANDOM.integers(0, 2, 50)


def value(metric: Metric, prediction: Array, truth: Array) -> float:
    return metric.value(metric.rows(prediction, truth))


def components(metric: Metric, prediction: Array, truth: Array) -> dict[str, float]:
    return metric.components(metric.rows(prediction, truth))


def test_accuracy_and_its_balanced_form() -> None:
    assert value(Accuracy(), SCORES, TRUTH) == pytest.approx(sk.accuracy_score(TRUTH, CHOSEN))
    expected = sk.balanced_accuracy_score(TRUTH, CHOSEN)
    assert value(BalancedAccuracy(), SCORES, TRUTH) == pytest.approx(expected)


@pytest.mark.parametrize("average", ["macro", "micro"])
@pytest.mark.parametrize(
    ("metric", "reference"),
    [(Precision, sk.precision_score), (Recall, sk.recall_score), (F1, sk.f1_score)],
)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_precision_recall_and_f1_of_any_confusion(
    metric: type[Metric], reference: object, average: str, data: st.DataObject
) -> None:
    """Small sets, so that classes without samples or predictions are among them."""
    count = data.draw(st.integers(1, 9))
    pairs = data.draw(st.lists(st.tuples(*[st.integers(0, 3)] * 2), min_size=count, max_size=count))
    truth, chosen = np.array(pairs).T
    found = value(metric(average=average), np.eye(4)[chosen], truth)  # type: ignore[call-arg]
    expected = reference(truth, chosen, average=average, zero_division=0)  # type: ignore[operator]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "reference"),
    [(Precision, sk.precision_score), (Recall, sk.recall_score), (F1, sk.f1_score)],
)
def test_one_number_for_each_class_and_for_the_finding(
    metric: type[Metric], reference: object
) -> None:
    each = reference(TRUTH, CHOSEN, average=None)  # type: ignore[operator]
    found = components(metric(), SCORES, TRUTH)
    assert list(found) == ["0", "1", "2", "3"]
    np.testing.assert_allclose(list(found.values()), each)
    binary = reference(PRESENT, FINDING >= 0.5)  # type: ignore[operator]
    own = metric(average="binary")  # type: ignore[call-arg]
    assert value(own, FINDING, PRESENT) == pytest.approx(binary)


def test_binary_average_is_for_two_classes() -> None:
    with pytest.raises(ArgumentError, match="average=binary is for two classes"):
        value(F1(average="binary"), SCORES, TRUTH)


def test_sensitivity_and_specificity() -> None:
    (tn, fp), (fn, tp) = sk.confusion_matrix(PRESENT, FINDING >= 0.5)
    assert value(Sensitivity(), FINDING[:, None], PRESENT) == pytest.approx(tp / (tp + fn))
    assert value(Specificity(), FINDING[:, None], PRESENT) == pytest.approx(tn / (tn + fp))
    with pytest.raises(ArgumentError, match="'sensitivity' is for two classes"):
        value(Sensitivity(), SCORES, TRUTH)


def test_a_threshold_decides() -> None:
    expected = sk.accuracy_score(PRESENT, FINDING >= 0.8)
    assert value(Accuracy(threshold=0.8), FINDING, PRESENT) == pytest.approx(expected)
    logits = np.log(FINDING / (1 - FINDING))
    found = value(Accuracy(threshold=0.0), logits, PRESENT)
    assert found == pytest.approx(sk.accuracy_score(PRESENT, FINDING >= 0.5))


def test_logits_are_not_taken_for_probabilities() -> None:
    with pytest.raises(ArgumentError, match=r"put sigmoid.* or set threshold=0"):
        value(Accuracy(), np.array([-1.0, 2.0]), np.array([0, 1]))


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
def test_kappa(weights: str) -> None:
    expected = sk.cohen_kappa_score(TRUTH, CHOSEN, weights=None if weights == "none" else weights)
    found = value(Kappa(weights=weights), SCORES, TRUTH)  # type: ignore[arg-type]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_top_k(k: int) -> None:
    expected = sk.top_k_accuracy_score(TRUTH, SCORES, k=k) if k < 4 else 1.0
    assert value(TopK(k), SCORES, TRUTH) == pytest.approx(expected)


def test_top_1_is_accuracy_where_scores_are_equal_too() -> None:
    equal = np.zeros((4, 4))
    assert value(TopK(1), equal, np.arange(4)) == value(Accuracy(), equal, np.arange(4)) == 0.25


def test_the_table_of_confusions() -> None:
    expected = sk.confusion_matrix(TRUTH, CHOSEN)
    found = components(Confusion(), SCORES, TRUTH)
    np.testing.assert_array_equal(list(found.values()), expected.ravel())
    assert found["2 as 1"] == expected[2, 1]


def test_truths_may_be_one_hot_or_a_column() -> None:
    for truth in (TRUTH[:, None], np.eye(4)[TRUTH]):
        assert value(Accuracy(), SCORES, truth) == value(Accuracy(), SCORES, TRUTH)


@pytest.mark.parametrize(
    ("prediction", "truth", "text"),
    [
        (np.full((2, 3), np.nan), np.zeros(2), "predictions that are no numbers"),
        (np.zeros((2, 3, 4)), np.zeros(2), r"needs scores \[N, C\]"),
        (np.zeros((2, 3)), np.zeros(3), "2 predictions, 3 truths"),
        (np.zeros((2, 3)), np.array([0, 3]), "no class from 0 to 2"),
        (np.zeros((2, 3)), np.array([0, 0.5]), "no class from 0 to 2"),
        (np.zeros((2, 3)), np.zeros((2, 4)), r"has a truth \(2, 4\)"),
    ],
)
def test_what_does_not_fit_is_refused(prediction: Array, truth: Array, text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        Accuracy().rows(prediction, truth)


def test_too_few_scores_for_k_are_refused() -> None:
    with pytest.raises(ArgumentError, match="'top_k' needs 5 scores"):
        TopK().rows(SCORES, TRUTH)
    with pytest.raises(ValueError, match="at least 1"):
        TopK(0)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_nothing_is_known_of_no_samples(name: str) -> None:
    metric = METRICS[name]()
    sizes = {"bleu": (0, 10), "icc": (0, 6), "pearson": (0, 6), "bland_altman": (0, 6)}
    three = ("dice", "iou", "volume_difference", "hausdorff", "froc")
    rows = np.zeros(sizes.get(name, (0, 3, 3) if name in three else (0, 3)))
    assert np.isnan(metric.value(rows))
    assert np.isnan(metric.counted(rows)(np.zeros(0, np.int64)))
    assert all(np.isnan(number) for number in metric.components(rows).values())
