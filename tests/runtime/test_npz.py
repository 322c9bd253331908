"""Data sets in .npz files: MedMNIST's, patches with masks and groups, series with maps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from dhc.errors import DhcError
from dhc.ir.graph import Array
from dhc.runtime.data.dataset import DataSet, open_dataset

RANDOM = np.random.default_rng(0)


def _open(tmp_path: Path, arrays: Mapping[str, Array]) -> DataSet:
    np.savez(tmp_path / "set.npz", **arrays)  # type: ignore[arg-type]
    return open_dataset(tmp_path / "set.npz")


def _refused(tmp_path: Path, arrays: Mapping[str, Array]) -> str:
    with pytest.raises(DhcError) as caught:
        _open(tmp_path, arrays)
    assert all(each.message.endswith(".") for each in caught.value.diagnostics)
    return "\n".join(each.message for each in caught.value.diagnostics)


def _pixels(*shape: int) -> Array:
    return RANDOM.integers(0, 255, shape).astype(np.uint8)


def test_medmnist(tmp_path: Path) -> None:
    arrays = {}
    for part, count in (("train", 4), ("val", 2), ("test", 2)):
        arrays[f"{part}_images"] = _pixels(count, 6, 5, 3)
        arrays[f"{part}_labels"] = np.arange(count)[:, None] % 2
    found = _open(tmp_path, arrays)
    assert found.fields == {"image": "image", "label": "label"}
    assert found.classes == ("0", "1")
    sample = found.part("train")[3].read()
    np.testing.assert_array_equal(sample["image"], np.moveaxis(arrays["train_images"][3], -1, 0))
    assert sample["label"] == 1


def test_patches_with_masks_and_groups(tmp_path: Path) -> None:
    images, masks = _pixels(6, 8, 8), RANDOM.integers(0, 2, (6, 8, 8)).astype(np.uint8)
    groups = np.array(["a", "a", "b", "b", "c", "c"])
    split = np.array(["train"] * 4 + ["test"] * 2)
    found = _open(tmp_path, {"images": images, "masks": masks, "groups": groups, "split": split})
    assert found.fields == {"image": "image", "mask": "mask"}
    assert [sample.group for sample in found.part("train")] == ["a", "a", "b", "b"]
    np.testing.assert_array_equal(found.part("test")[1].read()["mask"], masks[5][None])


def test_without_a_split_all_is_for_training(tmp_path: Path) -> None:
    found = _open(tmp_path, {"images": _pixels(3, 8, 8), "labels": np.array([0, 1, 2])})
    assert {part: len(samples) for part, samples in found.parts.items()} == {"train": 3}
    assert found.classes == ("0", "1", "2")


def test_series_with_maps(tmp_path: Path) -> None:
    series = RANDOM.normal(size=(2, 5, 8, 8)).astype(np.float32)
    flow = RANDOM.normal(size=(2, 8, 8)).astype(np.float32)
    found = _open(tmp_path, {"train_series": series, "train_cbf_maps": flow})
    assert found.fields == {"series": "image", "cbf": "map"}
    sample = found.part("train")[1].read()
    np.testing.assert_array_equal(sample["series"], series[1])
    np.testing.assert_array_equal(sample["cbf"], flow[1][None])


IMAGES, LABELS = _pixels(4, 8, 8), np.array([[0], [1], [0], [1]])


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"other": IMAGES}, "no array 'images' or 'series'"),
        ({"train_labels": LABELS}, "'train_images' is missing"),
        ({"train_images": IMAGES}, "nothing to learn"),
        ({"train_images": IMAGES, "train_labels": LABELS[:3]}, "4 images, 3 labels"),
        ({"train_images": IMAGES, "train_labels": LABELS - 1}, "holds -1"),
        ({"train_images": IMAGES[0], "train_labels": LABELS}, "shape [8, 8]"),
        ({"images": IMAGES, "train_labels": LABELS}, "'images' of all samples besides"),
        ({"images": IMAGES, "labels": LABELS, "split": np.array(["train"] * 3)}, "'split' [3]"),
        ({"images": IMAGES, "labels": LABELS, "split": np.array(["x"] * 4)}, "holds 'x', not"),
        ({"images": IMAGES, "labels": LABELS, "groups": np.ones(4)}, "not names [n]"),
        ({"images": IMAGES, "a_maps": IMAGES}, "uint8, not of floats"),
        ({"images": IMAGES, "a_maps": np.full((4, 8, 8), np.nan)}, "no numbers"),
        ({"images": IMAGES, "a_maps": np.ones((4, 8, 8, 2))}, "not [n, H, W]"),
        ({"series": IMAGES, "labels": LABELS}, "not [n, T, H, W]"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, arrays: Mapping[str, Array], text: str
) -> None:
    assert text in _refused(tmp_path, arrays)


def test_parts_must_be_alike(tmp_path: Path) -> None:
    train = {"train_images": IMAGES, "train_masks": IMAGES > 100}
    other = {"val_images": _pixels(2, 9, 8), "val_labels": LABELS[:2]}
    text = _refused(tmp_path, {**train, **other})
    assert "'train' has masks, 'val' has none" in text
    assert "'val' has labels, 'train' has none" in text
    assert "images in 'val' have shape [9, 8], those in 'train' [8, 8]" in text


def test_groups_stay_in_one_part(tmp_path: Path) -> None:
    arrays = {"images": IMAGES, "labels": LABELS, "groups": np.array([1, 2, 2, 3])}
    split = np.array(["train", "train", "val", "val"])
    assert "the group '2' is in 'train' and in 'val'" in _refused(
        tmp_path, {**arrays, "split": split}
    )


def test_objects_are_never_unpacked(tmp_path: Path) -> None:
    arrays = {"train_images": np.array([print] * 4, dtype=object), "train_labels": LABELS}
    assert "header that does not fit" in _refused(tmp_path, arrays)
