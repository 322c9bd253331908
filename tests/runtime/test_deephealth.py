"""DeepHealth's data sets: the files that its users own, and those that mean harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dhc.errors import DhcError
from dhc.runtime.data.dataset import DataSet, open_dataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with four pictures, whose pixels are their numbers, and masks."""
    own = tmp_path / "set"
    own.mkdir()
    for k in range(4):
        Image.fromarray(np.full((4, 5), k, np.uint8)).save(own / f"{k}.png")
        Image.fromarray(np.full((4, 5), 255, np.uint8)).save(own / f"{k}_mask.png")
    (tmp_path / "outside.png").write_bytes((own / "0.png").read_bytes())
    return own


def _open(folder: Path, text: str) -> DataSet:
    (folder / "dataset.yml").write_text(text, encoding="utf-8")
    return open_dataset(folder / "dataset.yml")


def _refused(folder: Path, text: str) -> str:
    with pytest.raises(DhcError) as caught:
        _open(folder, text)
    assert all(each.message.endswith((".", "?")) for each in caught.value.diagnostics)
    return "\n".join(each.message for each in caught.value.diagnostics)


def _values(dataset: DataSet, part: str, field: str) -> list[object]:
    return [sample.read()[field].tolist() for sample in dataset.part(part)]


# ---- what users own ------------------------------------------------------------------------------

CLASSES = """name: example
description: two classes
classes: [class_a, class_b]
features: [feature_1, age]
images:
    - location: 0.png
      label: class_a
      values: {feature_1: 3, age: 50}
    - location: 1.png
      label: [class_b]
      values: [4.5, 61]
    - {location: 2.png, label: 1, values: [1e1, 7]}
    - location: ./3.png
      label: [0]
      values: [2, 3]
split:
    training: [0, 1]
    validation: [2]
    test: [3]
"""


def test_classes(folder: Path) -> None:
    found = _open(folder, CLASSES)
    assert found.name == "example"
    assert found.fields == {"image": "image", "label": "label", "values": "numbers"}
    assert found.classes == ("class_a", "class_b")
    assert _values(found, "train", "label") == [0, 1]
    assert _values(found, "val", "label") == [1]
    assert _values(found, "test", "label") == [0]
    assert _values(found, "train", "values") == [[3, 50], [4.5, 61]]
    np.testing.assert_array_equal(found.part("val")[0].read()["image"], np.full((1, 4, 5), 2))


def test_several_labels(folder: Path) -> None:
    text = CLASSES.replace("label: [0]", "label: [class_b, 0]")
    found = _open(folder, text)
    assert found.fields["labels"] == "labels"
    assert _values(found, "test", "labels") == [[1, 1]]
    assert _values(found, "train", "labels") == [[1, 0], [0, 1]]


def test_masks(folder: Path) -> None:
    images = "".join(f"  - location: {k}.png\n    label: {k}_mask.png\n" for k in range(3))
    found = _open(folder, f"images:\n{images}split: {{training: [0, 2], test: [1]}}\n")
    assert found.name == "dataset"
    assert found.fields == {"image": "image", "mask": "mask"}
    assert [sample.name for sample in found.part("train")] == ["0.png", "2.png"]
    np.testing.assert_array_equal(found.part("test")[0].read()["mask"], np.full((1, 4, 5), 255))


def test_bare_paths_and_planes(folder: Path) -> None:
    found = _open(folder, "images: [0.png, [1.png, 2.png], {location: [3.png]}]")
    assert {part: len(samples) for part, samples in found.parts.items()} == {"train": 3}
    assert found.fields == {"image": "image"}
    shapes = [sample.read()["image"].shape for sample in found.part("train")]
    assert shapes == [(1, 4, 5), (2, 4, 5), (1, 4, 5)]
    np.testing.assert_array_equal(found.part("train")[1].read()["image"][1], np.full((4, 5), 2))


def test_planes_must_be_alike(folder: Path) -> None:
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(folder / "wide.png")
    found = _open(folder, "images: [[0.png, wide.png]]")
    with pytest.raises(DhcError, match=r"wide.png' is uint8\[1, 4, 6\]"):
        found.part("train")[0].read()


def test_what_is_in_no_split_is_not_used(folder: Path) -> None:
    found = _open(folder, "images: [0.png, 1.png, 2.png]\nsplit: {training: [2], extra: [0]}")
    assert [sample.name for sample in found.part("train")] == ["2.png"]
    assert [sample.name for sample in found.part("extra")] == ["0.png"]


def test_a_feature_says_what_belongs_together(folder: Path) -> None:
    text = CLASSES.replace("feature_1", "patient")
    found = _open(folder, text)
    assert [sample.group for sample in found.part("train")] == ["3", "4.5"]
    assert _values(found, "train", "values") == [[50], [61]]


def test_features_that_are_no_numbers_are_left_out(folder: Path) -> None:
    found = _open(folder, CLASSES.replace("values: [4.5, 61]", "values: [null, 61]"))
    assert _values(found, "train", "values") == [[50], [61]]


def test_names_are_kept_as_they_are_written(folder: Path) -> None:
    text = CLASSES.replace("class_a", "no").replace("class_b", '"1"')
    found = _open(folder, text)
    assert found.classes == ("no", "1")
    assert _values(found, "val", "label") == [1]


def test_absolute_paths_may_lead_into_the_folder(folder: Path) -> None:
    assert len(_open(folder, f"images: [{folder / '0.png'}]").part("train")) == 1


# ---- mistakes ------------------------------------------------------------------------------------

MISTAKES = {
    "class": ("class_a\n", "klass_a\n", "line 7: there is no class 'klass_a'; did you mean"),
    "number": ("label: 1", "label: 9", "line 12: the label is 9; classes are 0 to 1"),
    "file": ("location: 1.png", "location: 1.pgn", "line 9: there is no file '1.pgn'"),
    "key": ("images:", "imagse:", "line 6: 'imagse' is not known; did you mean 'images'?"),
    "image key": ("location: 0", "locaton: 0", "'locaton' is not known; did you mean 'location'?"),
    "feature": ("{feature_1", "{feature_2", "no feature 'feature_2'; did you mean 'feature_1'"),
    "values": ("[4.5, 61]", "[4.5]", "line 11: there are 1 values for 2 features"),
    "split": ("validation: [2]", "validation: [4]", "'validation' has '4'; images are 0 to 3"),
    "twice": ("test: [3]", "test: [0, 3]", "image 0 is in 'train' and in 'test'"),
    "classes": ("[class_a, class_b]", "[class_a, class_a]", "'classes' has a name twice"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_found_at_their_line(folder: Path, name: str) -> None:
    right, wrong, text = MISTAKES[name]
    assert right in CLASSES
    assert text in _refused(folder, CLASSES.replace(right, wrong, 1))


def test_numbers_without_quotes_are_numbers_of_classes(folder: Path) -> None:
    text = (
        "classes: ['1', '0']\nimages: [{location: 0.png, label: 1}, {location: 1.png, label: '1'}]"
    )
    assert _values(_open(folder, text), "train", "label") == [1, 0]


def test_masks_for_some_images_only_are_a_mistake(folder: Path) -> None:
    text = "images:\n - {location: 0.png, label: 0_mask.png}\n - 1.png\n"
    assert "line 3: the mask is missing" in _refused(folder, text)


def test_an_image_without_a_label_is_a_mistake(folder: Path) -> None:
    assert "line 2: the label is missing" in _refused(folder, "classes: [a]\nimages: [0.png]")


@pytest.mark.parametrize("text", ["[]", "images:", "images: []", "a: b", "images: {a: b}"])
def test_a_file_without_images_is_refused(folder: Path, text: str) -> None:
    assert "no list `images`" in _refused(folder, text)


# ---- harm ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "location",
    ["http://example.org/a.png", "'https://a/$(touch x).png'", "file:///etc/passwd"],
)
def test_nothing_is_fetched(folder: Path, location: str) -> None:
    assert "dhc fetches nothing" in _refused(folder, f"images: [{location}]")
    assert "dhc fetches nothing" in _refused(
        folder, f"images: [{{location: 0.png, label: {location}}}]"
    )


@pytest.mark.parametrize("location", ["../outside.png", "/etc/passwd", "a/../../outside.png"])
def test_paths_stay_in_the_folder(folder: Path, location: str) -> None:
    assert "leads out of the data set's folder" in _refused(folder, f"images: [{location}]")


def test_links_that_lead_out_are_refused(folder: Path) -> None:
    (folder / "link.png").symlink_to(folder.parent / "outside.png")
    assert "leads out of the data set's folder" in _refused(folder, "images: [link.png]")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("images: !!python/object/apply:os.system [ls]", "has the tag"),
        ("a: &a [x]\nimages: [*a, *a]", "has a reference"),
        ("images: " + "[" * 40 + "]" * 40, "nested too deeply"),
        ("images: [0.png]\nimages: [1.png]", "has the key 'images' again"),
        ("? [a]\n: b", "has a key that is no text"),
        ("images: [0.png]\n---\nimages: [1.png]", "must hold one document"),
        ("images: [", "expected"),
        ("", "must hold one document"),
        ("images: [\x00]", "cannot be read"),
        ("images: [" + "9" * 5000 + "]", "File name too long"),
    ],
)
def test_harmful_files_are_refused(folder: Path, text: str, reason: str) -> None:
    assert reason in _refused(folder, text)


def test_large_files_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dhc.runtime.data.yaml_tree.MAX_BYTES", 10)
    assert "more than 10 bytes" in _refused(folder, "images: [0.png]")
