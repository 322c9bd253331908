"""What is kept of single samples agrees with the metrics."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from dhc.metrics.ranking import Auc
from dhc.training.collect import rank_maps, rank_masks, roc, shares
from dhc.training.evaluate import evaluate
from dhc.training.examples import Ranked, choose, choose_worst
from dhc.training.pictures import (
    ALARM,
    FRAME,
    HIT,
    MISSED,
    NEAREST,
    OPACITY,
    map_pictures,
    mask_pictures,
)
from dhc.training.run import Run

OpenStripes = Callable[..., Run]  # see conftest.py


def test_a_classifier_leaves_a_confusion_and_a_curve(open_stripes: OpenStripes) -> None:
    found = evaluate(open_stripes().job, "val")
    (confusion,), (curve,) = found.evidence.confusions, found.evidence.curves
    counts = np.array(confusion.counts)
    assert counts.sum() == 40
    (examples,) = found.evidence.examples
    assert len(examples.cases) == 8
    assert examples.cases[0].rank == "1 of 40"
    assert re.fullmatch(r"[01], taken for [01] with \d+%", examples.cases[0].note)
    assert list(examples.cases[0].pictures) == ["image"]
    assert np.trace(counts) / 40 == found.metrics["accuracy"].interval.value
    x, y = np.array(curve.points).T
    assert curve.name == confusion.classes[1]
    assert np.trapezoid(y, x) == pytest.approx(found.metrics["auc"].interval.value, abs=1e-9)


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


def test_a_single_score_becomes_a_probability() -> None:
    column = np.array([[0.25], [0.75]])
    assert np.array_equal(shares(column), column)
    assert np.allclose(shares(np.log(column / (1 - column))), column)
    both = np.hstack([1 - column, column])
    assert np.allclose(shares(np.log(both)), both)


def _mask(*columns: int) -> np.ndarray:
    mask = np.zeros((1, 1, 4, 4), np.float32)
    mask[..., list(columns)] = 1
    return mask


def test_masks_are_ranked_by_dice() -> None:
    assert rank_masks(_mask(0, 1), _mask(1, 2))[0].score == pytest.approx(0.5)
    assert rank_masks(_mask(), _mask()) == [Ranked(1.0, "dice 1.000", True)]


def test_images_are_ranked_by_their_error() -> None:
    truth = np.full((2, 1, 3, 3), 0.5)
    prediction = truth + np.array([0.25, -1.0]).reshape(2, 1, 1, 1)
    assert [each.score for each in rank_maps(prediction, truth)] == [-0.25, -1.0]


def test_the_worst_the_middle_and_the_best_are_shown() -> None:
    scores = [0.9, 0.1, 0.5, 0.2, 0.8, 0.4, 0.6, 0.3]
    ranked = [Ranked(score, "") for score in scores] + [Ranked(1.0, "", empty=True)]
    chosen = choose(ranked)
    assert chosen == [
        (1, "worst"), (3, "worst"), (5, "middle"), (2, "middle"), (4, "best"), (0, "best"),
    ]  # fmt: skip
    assert choose(ranked[:2]) == [(1, "1 of 2"), (0, "2 of 2")]
    assert choose_worst(ranked[:3]) == [(1, "1 of 3"), (2, "2 of 3"), (0, "3 of 3")]


def _blob(shape: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((1, 1, *shape), np.float32)
    mask[0, 0, rows, columns] = 1
    return mask


def test_pictures_of_masks_show_what_was_found_missed_and_false() -> None:
    truth, prediction = _mask(0, 1), _mask(1, 2)
    found = mask_pictures(np.zeros((1, 1, 4, 4)), truth, prediction)
    assert list(found) == ["image", "truth", "prediction", "difference"]
    colours = [tuple(np.rint(found["difference"][0, k] / OPACITY).astype(int)) for k in range(4)]
    assert np.allclose(colours, [MISSED, HIT, ALARM, (0, 0, 0)], atol=1)


def test_a_small_finding_is_shown_near() -> None:
    truth = _blob((100, 140), slice(50, 56), slice(130, 136))
    found = mask_pictures(np.zeros((1, 1, 100, 140)), truth, truth)
    assert found["image"].shape == (100, 140, 3)
    assert found["truth"].shape == found["difference"].shape == (NEAREST, NEAREST, 3)
    frame = np.argwhere((found["image"] == FRAME).all(-1))
    assert np.ptp(frame, axis=0).tolist() == [NEAREST - 1, NEAREST - 1]
    assert frame.max(0).tolist() == [53 + NEAREST // 2 - 1, 139]  # it stays within the image
    assert (found["difference"] > 0).all(-1).sum() == 0
    assert (found["difference"] == np.rint(OPACITY * np.array(HIT))).all(-1).sum() == 36


def test_a_large_finding_is_shown_whole() -> None:
    truth = _blob((64, 64), slice(8, 40), slice(8, 40))
    found = mask_pictures(np.zeros((1, 1, 64, 64)), truth, truth)
    assert {picture.shape for picture in found.values()} == {(64, 64, 3)}


def test_a_volume_shows_the_slice_with_most() -> None:
    truth = np.zeros((1, 1, 5, 8, 8), np.float32)
    truth[0, 0, 3, 2:6, 2:6] = truth[0, 0, 1, 4, 4] = 1
    found = mask_pictures(
        np.arange(5.0)[None, None, :, None, None] * np.ones((1, 1, 5, 8, 8)), truth, truth
    )
    assert (found["truth"] == found["image"]).all(-1).sum() == 64 - 16


def test_maps_share_their_greys() -> None:
    truth = np.linspace(0, 1, 16).reshape(1, 1, 4, 4)
    found = map_pictures(np.zeros((1, 3, 4, 4)), truth, truth + 0.25)
    assert list(found) == ["image", "truth", "prediction", "error"]
    assert found["truth"][-1, -1, 0] == found["prediction"][-1, -1, 0] == 255
    assert np.all(found["error"] == 64)
