"""What a person reads of an output: rows of a table, and a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from dhc.runtime.data.pictures import (
    PALETTE,
    class_picture,
    grey_picture,
    scale_to_height,
    side_by_side,
    write_png,
)
from dhc.runtime.findings import SHOWN_CLASSES, describe

MAPS = np.zeros((3, 2, 2), np.float32)
MAPS[0, 0, :] = 0.9
MAPS[1, 1, 0] = 0.8
MAPS[2, 1, 1] = 0.7


def test_class_maps_have_shares() -> None:
    finding = describe("tissue", MAPS, ["air", "bone"])
    assert [row.label for row in finding.rows] == ["air", "bone", "class 2"]
    assert [row.share for row in finding.rows] == [0.5, 0.25, 0.25]
    assert finding.rows[0].mean == pytest.approx(0.45)
    assert (finding.rows[0].least, finding.rows[0].greatest) == (0, pytest.approx(0.9))
    assert finding.picture is not None
    colors = np.array(PALETTE)[[[0, 0], [1, 2]]]
    np.testing.assert_array_equal(finding.picture, colors)


def test_one_map_is_a_grey_picture() -> None:
    finding = describe("nodule", np.array([[[0.0, 0.25], [0.5, 0.5]]], np.float32))
    (row,) = finding.rows
    assert (row.output, row.label, row.share) == ("nodule", "", None)
    assert finding.picture is not None
    assert finding.picture[..., 0].tolist() == [[0, 64], [128, 128]]  # of 0 .. 1, not stretched


def test_other_values_are_stretched() -> None:
    finding = describe("depth", np.array([[[-10.0, 30.0]]], np.float32))
    assert finding.picture is not None
    assert finding.picture[..., 0].tolist() == [[0, 255]]


def test_scores_are_sorted_and_cut() -> None:
    scores = np.arange(8, dtype=np.float32) / 10
    finding = describe("logits", scores, [f"c{k}" for k in range(8)])
    assert [row.label for row in finding.rows] == ["c7", "c6", "c5", "c4", "c3"]
    assert len(finding.rows) == SHOWN_CLASSES
    assert finding.rows[0].mean == pytest.approx(0.7)
    assert finding.picture is None


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (2, 2, 2, 2)])
def test_anything_else_is_one_row(shape: tuple[int, ...]) -> None:
    finding = describe("volume", np.full(shape, 2, np.int32))
    (row,) = finding.rows
    assert (row.mean, row.least, row.greatest) == (2, 2, 2)
    assert finding.picture is None


@pytest.mark.parametrize("shape", [(0,), (1, 0, 4), (3, 0, 4), (0, 4, 4), (2, 0)])
def test_empty_outputs_are_described(shape: tuple[int, ...]) -> None:
    finding = describe("none", np.zeros(shape, np.float32))
    assert all(np.isnan(row.mean) for row in finding.rows)


def test_values_that_are_no_numbers() -> None:
    maps = MAPS.copy()
    maps[:, 0, 0] = np.nan
    assert describe("tissue", maps).picture is not None
    plane = np.array([[np.nan, -np.inf], [np.inf, 1.0]], np.float32)
    assert grey_picture(plane).dtype == np.uint8
    assert grey_picture(np.full((2, 2), np.nan)).max() == 0
    assert grey_picture(np.full((2, 2), 7.0)).max() == 0


def test_many_classes_use_the_colours_again() -> None:
    picture = class_picture(np.array([[0, len(PALETTE)]]))
    np.testing.assert_array_equal(picture[0, 0], picture[0, 1])


def test_pictures_are_put_side_by_side(tmp_path: Path) -> None:
    left = class_picture(np.zeros((2, 3), np.int64))
    right = scale_to_height(class_picture(np.array([[1, 2]])), 4)
    assert right.shape == (4, 8, 3)
    assert {tuple(c) for c in right.reshape(-1, 3).tolist()} == {PALETTE[1], PALETTE[2]}
    both = side_by_side([left, right], gap=1)
    assert both.shape == (4, 3 + 1 + 8, 3)
    write_png(tmp_path / "a.png", both)
    with Pillow.open(tmp_path / "a.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), both)
