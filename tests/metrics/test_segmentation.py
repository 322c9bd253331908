"""Metrics of masks and lesions, held to scikit-learn and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from scipy.spatial.distance import directed_hausdorff
from sklearn.metrics import f1_score, jaccard_score

from dhc.errors import ArgumentError
from dhc.ir.graph import Array
from dhc.metrics import Metric
from dhc.metrics.detection import Froc
from dhc.metrics.grid import connected, distances, surface
from dhc.metrics.segmentation import Dice, Hausdorff, Iou, VolumeDifference

RANDOM = np.random.default_rng(4)
PROBABILITIES = RANDOM.uniform(size=(4, 1, 6, 7))
MASKS = (RANDOM.uniform(size=(4, 1, 6, 7)) < 0.3).astype(np.float32)
SCORES, CLASSES = RANDOM.normal(size=(3, 4, 5, 6)), RANDOM.integers(0, 4, (3, 5, 6))


def value(metric: Metric, prediction: Array, truth: Array) -> float:
    return metric.value(metric.rows(prediction, truth))


# ---- overlap -----------------------------------------------------------------------------------


def test_overlap_over_the_whole_set() -> None:
    found = PROBABILITIES.ravel() >= 0.4
    assert value(Iou(0.4), PROBABILITIES, MASKS) == pytest.approx(
        jaccard_score(MASKS.ravel(), found)
    )
    assert value(Dice(0.4), PROBABILITIES, MASKS[:, 0]) == pytest.approx(
        f1_score(MASKS.ravel(), found)
    )


def test_overlap_of_classes_leaves_the_background_out() -> None:
    found = SCORES.argmax(1).ravel()
    each = jaccard_score(CLASSES.ravel(), found, average=None)[1:]
    rows = Iou().rows(SCORES, CLASSES)
    np.testing.assert_allclose(list(Iou().components(rows).values()), each)
    assert list(Iou().components(rows)) == ["1", "2", "3"]
    assert Iou().value(rows) == pytest.approx(each.mean())
    one_hot = np.moveaxis(np.eye(4)[CLASSES], -1, 1)
    np.testing.assert_array_equal(Iou().rows(SCORES, one_hot), rows)


def test_overlap_as_a_mean_over_samples() -> None:
    each = [
        f1_score(t.ravel(), p.ravel() >= 0.5) for p, t in zip(PROBABILITIES, MASKS, strict=True)
    ]
    assert value(Dice(per_sample=True), PROBABILITIES, MASKS) == pytest.approx(np.mean(each))


def test_a_sample_with_nothing_in_it_is_right_if_nothing_is_found() -> None:
    nothing = np.zeros((1, 1, 2, 2))
    assert value(Dice(per_sample=True), nothing, nothing) == 1
    assert value(VolumeDifference(per_sample=True), nothing, nothing) == 0
    assert np.isnan(value(Dice(), nothing, nothing))


def test_difference_of_volumes() -> None:
    predicted, true = (PROBABILITIES >= 0.5).sum(), MASKS.sum()
    found = value(VolumeDifference(), PROBABILITIES, MASKS)
    assert found == pytest.approx(abs(predicted - true) / true)


@pytest.mark.parametrize(
    ("prediction", "truth", "text"),
    [
        (np.zeros((2, 3)), np.zeros((2, 3)), r"needs masks \[N, C, ...\]"),
        (np.zeros((2, 1, 3, 3)), np.zeros((2, 1, 3, 4)), "has a mask"),
        (np.zeros((2, 3, 3, 3)), np.full((2, 3, 3), 3), "no class from 0 to 2"),
        (np.full((2, 1, 3, 3), -1.0), np.zeros((2, 3, 3)), "needs probabilities"),
        (np.full((2, 1, 3, 3), np.nan), np.zeros((2, 3, 3)), "no numbers"),
    ],
)
@pytest.mark.parametrize("metric", [Dice(), Hausdorff()], ids=lambda m: m.name)
def test_what_does_not_fit_is_refused(
    metric: Metric, prediction: Array, truth: Array, text: str
) -> None:
    with pytest.raises(ArgumentError, match=text):
        metric.rows(prediction, truth)


# ---- surfaces ----------------------------------------------------------------------------------

masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6))


@given(masks)
@settings(max_examples=60, deadline=None)
def test_a_surface_is_what_erosion_takes_away(mask: Array) -> None:
    np.testing.assert_array_equal(surface(mask), mask & ~ndimage.binary_erosion(mask))


@given(masks, st.lists(st.floats(0.1, 9), min_size=3, max_size=3))
@settings(max_examples=60, deadline=None)
def test_distances_are_exact(mask: Array, spacing: list[float]) -> None:
    mask.flat[0] = True
    expected = ndimage.distance_transform_edt(~mask, sampling=spacing[: mask.ndim])
    found = distances(mask, np.ones_like(mask), spacing[: mask.ndim])
    np.testing.assert_allclose(found, expected.ravel(), rtol=1e-12)


@pytest.mark.parametrize("spacing", [(), (2.0, 0.5, 1.5)])
@pytest.mark.parametrize("percentile", [95.0, 100.0])
def test_distance_of_surfaces(spacing: tuple[float, ...], percentile: float) -> None:
    found, own = ndimage.gaussian_filter(RANDOM.normal(size=(2, 9, 10, 11)), (0, 2, 2, 2)) > 0.05
    scale = np.array(spacing or (1, 1, 1))
    points = [np.argwhere(m & ~ndimage.binary_erosion(m)) * scale for m in (found, own)]
    apart = np.linalg.norm(points[0][:, None] - points[1], axis=-1)
    ways = [np.percentile(apart.min(axis), percentile) for axis in (0, 1)]
    result = value(
        Hausdorff(percentile=percentile, spacing=spacing), found[None, None] * 1.0, own[None]
    )
    assert result == pytest.approx(max(ways))
    if percentile == 100:
        exact = max(directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0])
        assert result == pytest.approx(exact)


def test_distance_where_a_mask_is_empty() -> None:
    """Both empty is right; one is as wrong as can be, and counted."""
    some, nothing = np.zeros((1, 1, 4, 5)), np.zeros((1, 1, 4, 5))
    some[0, 0, 1, 1] = 1
    metric = Hausdorff(spacing=(2.0, 3.0))
    assert value(metric, nothing, nothing) == 0
    diagonal = np.hypot(3 * 2, 4 * 3)
    assert value(metric, some, nothing) == value(metric, nothing, some) == pytest.approx(diagonal)
    both = np.concatenate([some, some]), np.concatenate([some, nothing])
    found = metric.components(metric.rows(*both))
    assert found == pytest.approx({"0": diagonal / 2, "0 empty": 1})


def test_a_distance_for_each_class() -> None:
    rows = Hausdorff().rows(SCORES, CLASSES)
    found = Hausdorff().components(rows)
    assert [name for name in found if "empty" not in name] == ["1", "2", "3"]
    one = Hausdorff().rows((SCORES.argmax(1) == 2)[:, None] * 1.0, CLASSES == 2)
    assert found["2"] == pytest.approx(one[..., 0].mean())


def test_spacing_fits_the_picture() -> None:
    with pytest.raises(ArgumentError, match="a spacing of 2 numbers"):
        Hausdorff(spacing=(1.0, 1.0, 1.0)).rows(PROBABILITIES, MASKS)
    with pytest.raises(ValueError, match="'spacing' must be positive"):
        Hausdorff(spacing=(0.0, 1.0))
    with pytest.raises(ValueError, match="between 0 and 100"):
        Hausdorff(percentile=101.0)


# ---- lesions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("diagonal", [False, True])
@given(mask=masks)
@settings(max_examples=80, deadline=None)
def test_connected_parts(diagonal: bool, mask: Array) -> None:
    structure = ndimage.generate_binary_structure(mask.ndim, mask.ndim if diagonal else 1)
    expected, count = ndimage.label(mask, structure)
    found, own = connected(mask, diagonal)
    assert own == count
    np.testing.assert_array_equal(found, expected)


def test_a_long_snake_is_one_part() -> None:
    mask = np.ones((31, 31), np.bool_)
    mask[1::4, :-1] = mask[3::4, 1:] = False
    assert connected(mask, diagonal=False)[1] == 1


def picture(*spots: tuple[int, float]) -> Array:
    """Spots of 3 pixels in a row of 40, each with a score."""
    scores = np.zeros((1, 1, 1, 40))
    for place, score in spots:
        scores[0, 0, 0, place : place + 3] = score
    return scores


TWO_IMAGES = (
    # found with 0.9; another with 0.6; false alarms with 0.8 and 0.55
    np.concatenate([picture((0, 0.9), (10, 0.8), (20, 0.6)), picture((5, 0.55))]),
    # a third lesion, in the second image, is missed
    np.concatenate([picture((0, 1), (21, 1)), picture((30, 1))]),
)


def test_free_response_curve_by_hand() -> None:
    metric = Froc(rates=(0.0, 0.4, 0.5, 1.0, 2.0))
    found = metric.components(metric.rows(*TWO_IMAGES))
    assert found == pytest.approx(
        {
            "0 per image": 1 / 3,
            "0.4 per image": 1 / 3,
            "0.5 per image": 2 / 3,
            "1 per image": 2 / 3,
            "2 per image": 2 / 3,
        }
    )
    assert value(metric, *TWO_IMAGES) == pytest.approx(np.mean(list(found.values())))


def test_a_lesion_is_not_found_by_what_covers_everything() -> None:
    everywhere, lesion = np.full((1, 1, 1, 40), 0.9), picture((0, 1))
    assert value(Froc(rates=(8.0,)), everywhere, lesion) == 0
    assert value(Froc(rates=(8.0,), overlap=3 / 40), everywhere, lesion) == 1


def test_the_better_one_of_two_candidates_finds_a_lesion() -> None:
    scores, lesion = np.zeros((1, 1, 1, 9)), np.zeros((1, 1, 1, 9))
    scores[..., 1:3], scores[..., 5:8], lesion[..., 1:8] = 0.7, 0.9, 1
    rows = Froc().rows(scores, lesion)
    np.testing.assert_array_equal(rows, [[[1], [0.9]]])


def test_images_without_lesions_count_for_the_rate() -> None:
    empty = np.zeros((2, 1, 1, 40))
    scores = np.concatenate([TWO_IMAGES[0], empty])
    masks = np.concatenate([TWO_IMAGES[1], empty])
    found = Froc(rates=(0.25,))
    assert value(found, *TWO_IMAGES) == pytest.approx(1 / 3)
    assert value(found, scores, masks) == pytest.approx(2 / 3)
    assert np.isnan(value(found, empty, empty))


def test_settings_of_the_curve() -> None:
    with pytest.raises(ValueError, match="'rates'"):
        Froc(rates=())
    with pytest.raises(ValueError, match="'overlap'"):
        Froc(overlap=0.0)
    with pytest.raises(ArgumentError, match=r"needs probabilities \[N, 1, ...\]"):
        Froc().rows(SCORES, CLASSES)
