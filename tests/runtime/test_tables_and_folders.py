"""Tables and folders of classes: what they mean, and what is refused before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dhc.errors import DhcError
from dhc.runtime.data.dataset import DataSet, open_dataset, summary


def _picture(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((3, 4), value, np.uint8)).save(path)


def _table(folder: Path, text: str) -> DataSet:
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    return open_dataset(folder)


def _message(error: DhcError) -> str:
    assert all(each.message.endswith((".", "?")) for each in error.diagnostics)
    return "\n".join(each.message for each in error.diagnostics)


def _refused(folder: Path, text: str) -> str:
    with pytest.raises(DhcError) as caught:
        _table(folder, text)
    return _message(caught.value)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for k in range(4):
        _picture(tmp_path / f"{k}.png", k)
        _picture(tmp_path / f"{k}_mask.png", 255)
    return tmp_path


# ---- tables --------------------------------------------------------------------------------------


def test_a_table_with_labels_parts_and_patients(pictures: Path) -> None:
    rows = "0.png,cyst,train,a\n1.png,tumour,train,b\n2.png,cyst,test,c\n"
    found = _table(pictures, "image,label,split,patient\n" + rows)
    assert found.fields == {"image": "image", "label": "label"}
    assert found.classes == ("cyst", "tumour")
    assert [sample.group for sample in found.part("train")] == ["a", "b"]
    assert [int(sample.read()["label"]) for sample in found.part("train")] == [0, 1]
    assert summary(found)["train"] == {"all": 2, "cyst": 1, "tumour": 1}


def test_a_table_with_masks(pictures: Path) -> None:
    found = _table(pictures, "file,mask\n0.png,0_mask.png\n1.png,1_mask.png\n")
    assert found.fields == {"image": "image", "mask": "mask"}
    assert (found.part("train")[1].read()["mask"] == 255).all()


def test_several_labels_and_none(pictures: Path) -> None:
    rows = "0.png,edema|nodule\n1.png,No Finding\n2.png,nodule\n"
    found = _table(pictures, "path,labels\n" + rows)
    assert found.classes == ("edema", "nodule")
    values = [sample.read()["labels"].tolist() for sample in found.part("train")]
    assert values == [[1, 1], [0, 0], [0, 1]]


def test_numbers_are_in_the_order_of_numbers(pictures: Path) -> None:
    found = _table(pictures, "image,label\n0.png,10\n1.png,9\n2.png,2\n")
    assert found.classes == ("2", "9", "10")


HEAD = "image,label,split,patient\n"
MISTAKES = {
    "a missing file": (HEAD + "9.png,a,train,p\n", "line 2: there is no file '9.png'"),
    "a path that leads out": (HEAD + "../x.png,a,train,p\n", "leads out of the data set's folder"),
    "an absolute path": (HEAD + "/etc/passwd,a,train,p\n", "leads out of the data set's folder"),
    "an unknown part": (HEAD + "0.png,a,training,p\n", "the part is 'training', not train"),
    "no label": (HEAD + "0.png,,train,p\n", "line 2: the label is empty"),
    "no patient": (HEAD + "0.png,a,train,\n", "line 2: the patient is empty"),
    "a slip in a column": ("image,lable\n0.png,a\n", "'lable' is not known; did you mean 'label'"),
    "a column twice": ("image,label,label\n0.png,a,b\n", "the column 'label' is there 2 times"),
    "two columns of one kind": ("image,path\n0.png,0.png\n", "mean the same; rename one"),
    "no file": ("label\na\n", "none of its columns is one of image"),
    "no rows": (HEAD, "it has no rows"),
    "a short row": (HEAD + "0.png,a\n", "line 2 has 2 fields, and the header 4"),
    "an image twice": (
        HEAD + "0.png,a,train,p\n./0.png,b,train,q\n",
        "'0.png' and './0.png' are the same image",
    ),
    "an image in two parts": (
        HEAD + "0.png,a,train,p\n./0.png,a,test,q\n",
        "the image '0.png' is in 'train' and in 'test'",
    ),
    "a patient in two parts": (
        HEAD + "0.png,a,train,p\n1.png,a,test,p\n",
        "the group 'p' is in 'train' and in 'test'",
    ),
    "a class that is never learnt": (
        HEAD + "0.png,a,train,p\n1.png,b,test,q\n",
        "the class 'b' is in 'test' and not in 'train'",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_in_tables(pictures: Path, name: str) -> None:
    text, message = MISTAKES[name]
    assert message in _refused(pictures, text)


def test_all_mistakes_are_told_at_once(pictures: Path) -> None:
    text = HEAD + "".join(f"{k}.jpg,a,train,p\n" for k in range(30))
    lines = _refused(pictures, text).splitlines()
    assert len(lines) == 21
    assert "there are 10 more such problems" in lines[-1]


# ---- folders -------------------------------------------------------------------------------------


def _folders(root: Path, files: Mapping[str, int]) -> Path:
    for name, value in files.items():
        _picture(root / name, value)
    return root


def test_folders_of_parts_and_classes(tmp_path: Path) -> None:
    files = {"train/b/1.png": 1, "train/a/1.png": 2, "test/a/2.png": 3, "test/b/2.png": 4}
    found = open_dataset(_folders(tmp_path / "set", files))
    assert found.classes == ("a", "b")
    assert [sample.name for sample in found.part("test")] == ["test/a/2.png", "test/b/2.png"]
    assert [int(sample.read()["image"][0, 0, 0]) for sample in found.part("test")] == [3, 4]


def test_folders_of_classes_alone_are_for_training(tmp_path: Path) -> None:
    found = open_dataset(_folders(tmp_path / "set", {"a/1.png": 1, "b/1.png": 2}))
    assert summary(found) == {"train": {"all": 2, "a": 1, "b": 1}}


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"train/a/1.png": 1, "test/b/1.png": 1}, "the part 'train' has no folder 'b'"),
        ({"train/a/1.png": 1, "a/1.png": 1}, "the folder 'a' is none of train, val, test"),
        ({"a/1.png": 1, "2.png": 1}, "the image '2.png' lies in no folder of a class"),
        ({"a/b/1.png": 1}, "lies among images and is no file"),
    ],
)
def test_folders_that_say_nothing_clear(
    tmp_path: Path, files: Mapping[str, int], text: str
) -> None:
    with pytest.raises(DhcError) as caught:
        open_dataset(_folders(tmp_path / "set", files))
    assert text in _message(caught.value)


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    root = _folders(tmp_path / "set", {"a/1.png": 1, "b/1.png": 1})
    _picture(tmp_path / "outside.png", 1)
    (root / "a" / "2.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(DhcError) as caught:
        open_dataset(root)
    assert "is a link that leads out of the folder" in _message(caught.value)


# ---- what is no data set -------------------------------------------------------------------------


def test_a_name_is_guessed(tmp_path: Path) -> None:
    _folders(tmp_path / "lungs", {"a/1.png": 1})
    with pytest.raises(DhcError) as caught:
        open_dataset(tmp_path / "lung")
    assert caught.value.diagnostics[0].hints == ("did you mean 'lungs'?",)


@pytest.mark.parametrize("name", ["a.txt", "a.h5"])
def test_other_files_are_no_data_sets(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DhcError) as caught:
        open_dataset(tmp_path / name)
    assert "is no data set that dhc can read" in _message(caught.value)


def test_a_damaged_image_is_named_with_its_sample(pictures: Path) -> None:
    (pictures / "0.png").write_bytes(b"no picture")
    found = _table(pictures, "image,label\n0.png,a\n1.png,b\n")
    with pytest.raises(DhcError) as caught:
        found.part("train")[0].read()
    assert "it is the image of the sample '0.png'" in caught.value.diagnostics[0].notes
