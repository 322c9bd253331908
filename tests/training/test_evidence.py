"""What is kept of single samples agrees with the metrics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dhc.metrics.ranking import Auc
from dhc.training.evaluate import evaluate
from dhc.training.evidence import probabilities, roc
from dhc.training.examples import Ranked, choose, rank
from dhc.training.run import Run

OpenStripes = Callable[..., Run]  # see conftest.py


def test_a_classifier_leaves_a_confusion_and_a_curve(open_stripes: OpenStripes) -> None:
    found = evaluate(open_stripes().job, "val")
    (confusion,), (curve,) = found.evidence.confusions, found.evidence.curves
    counts = np.array(confusion.counts)
    assert counts.sum() == 40
    assert np.trace(counts) / 40 == found.metrics["accuracy"].interval.value
    assert (curve.name, curve.points[-1]) == (confusion.classes[1], (1.0, 1.0))


@pytest.mark.parametrize("seed", range(5))
def test_the_area_under_a_curve_is_the_auc(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.random(150) < 0.4
    scores = np.round(random.normal(truth, 1.0), 1)  # with ties
    x, y = np.array(roc("out", "a", scores, truth).points).T
    auc = Auc()
    rows = auc.rows(scores, truth.astype(np.int64))
    assert np.trapezoid(y, x) == pytest.approx(auc.value(rows), abs=1e-12)


def test_a_long_curve_keeps_its_ends() -> None:
    scores = np.linspace(0, 1, 5000)
    points = roc("out", "a", scores, scores > 0.5).points
    assert len(points) <= 201
    assert points[0] == (0.0, 0.0)
    assert points[-1] == (1.0, 1.0)


def test_scores_become_probabilities_and_probabilities_stay() -> None:
    shares = np.array([[0.25, 0.75], [1.0, 0.0]])
    assert np.array_equal(probabilities(shares), shares)
    assert np.allclose(probabilities(np.log(shares + 1e-300)), shares)
    column = np.array([[0.25], [0.75]])
    assert np.array_equal(probabilities(column), column)
    assert np.allclose(probabilities(np.log(column / (1 - column))), column)


def _mask(*columns: int) -> np.ndarray:
    mask = np.zeros((1, 1, 4, 4), np.float32)
    mask[..., list(columns)] = 1
    return mask


def test_masks_are_ranked_by_dice() -> None:
    assert rank(_mask(0, 1), _mask(1, 2))[0].score == pytest.approx(0.5)
    assert rank(_mask(), _mask()) == [Ranked(1.0, True, "dice")]


def test_images_are_ranked_by_their_error() -> None:
    truth = np.full((2, 1, 3, 3), 0.5)
    prediction = truth + np.array([0.25, -1.0]).reshape(2, 1, 1, 1)
    assert [each.score for each in rank(prediction, truth)] == [-0.25, -1.0]


def test_the_worst_the_middle_and_the_best_are_shown() -> None:
    scores = [0.9, 0.1, 0.5, 0.2, 0.8, 0.4, 0.6, 0.3]
    ranked = [Ranked(score, False, "dice") for score in scores] + [Ranked(1.0, True, "dice")]
    chosen = choose(ranked)
    assert chosen == [
        (1, "worst"), (3, "worst"), (5, "middle"), (2, "middle"), (4, "best"), (0, "best"),
    ]  # fmt: skip
    assert choose(ranked[:2]) == [(1, "1 of 2"), (0, "2 of 2")]
