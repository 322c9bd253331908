"""The experiments: where their data are, and which part is opened when all is chosen."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dhc.runtime.data.dataset import DataSet, Sample, open_dataset
from dhc.runtime.data.folds import Folding, fold_dataset

FILE = Path(__file__).with_name("experiments.dhm")


@dataclass(frozen=True)
class Task:
    """An experiment.

    Attributes:
        train: The name of its train block.
        metric: What is compared; the last part of its name picks a class, as in `auc.0`.
        least: What the metric should reach.
        opens: Opens the data in a folder.
        evaluation: The part that is used once, at the end.
        folds: One of so many groups of the training part chooses the epoch; 0 where the data have
            a part for that.
    """

    train: str
    metric: str
    least: float
    opens: Callable[[Path], DataSet]
    evaluation: str = "test"
    folds: int = 8


def split(task: Task, folder: Path, inner: bool = False) -> DataSet:
    """Returns the data: `train`, `val` cut from it by groups, and `test`, the evaluation part.

    Args:
        task: The experiment.
        folder: Where all data sets are.
        inner: Leaves the evaluation part closed, and evaluates on `val`: this is how recipes are
            chosen.
    """
    found = _split(task, folder)
    if not inner:
        return found
    return replace(found, parts={**found.parts, "test": found.parts["val"]})


def _split(task: Task, folder: Path) -> DataSet:
    whole = task.opens(folder)
    test = whole.parts[task.evaluation]
    if not task.folds:
        return replace(whole, parts={**whole.parts, "test": test})
    pool = replace(whole, parts={"train": whole.parts["train"]})
    stratified = "label" in whole.fields
    cut = fold_dataset(pool, Folding(task.folds, stratified=stratified))[0]
    return replace(cut, parts={**cut.parts, "test": test})


def _folder(name: str) -> Callable[[Path], DataSet]:
    return lambda folder: open_dataset(name, folder)


def _lung_patches(folder: Path) -> DataSet:
    """Patches are HDF5 files; they become the arrays that dhc reads.

    Neighbouring patches come from one patient; blocks of them are the groups.
    """
    import h5py

    arrays = {}
    for part, name in (("train", "val"), ("test", "test")):
        with h5py.File(folder / "lung_ct" / f"{name}_patches.h5") as file:
            arrays[f"{part}_images"] = file["images"][:, 0].astype(np.float32)
            arrays[f"{part}_masks"] = (file["labels"][:, 0] > 0.5).astype(np.uint8)
    with tempfile.TemporaryDirectory() as place:
        np.savez(Path(place) / "lung_patches.npz", **arrays)
        found = open_dataset("lung_patches.npz", Path(place))
    parts = {part: _in_blocks(part, samples) for part, samples in found.parts.items()}
    return replace(found, parts=parts)


def _in_blocks(part: str, samples: tuple[Sample, ...], size: int = 10) -> tuple[Sample, ...]:
    return tuple(replace(s, group=f"{part} {k // size}") for k, s in enumerate(samples))


TASKS = (
    Task("pneumonia", "auc", 0.95, _folder("pneumoniamnist/pneumoniamnist.npz"), folds=0),
    Task("lung_patches", "dice", 0.70, _lung_patches),
    Task("histology", "accuracy", 0.97, _folder("histology_lc25000"), evaluation="val"),
    Task("skin_lesions", "auc.0", 0.75, _folder("isic2017"), evaluation="val"),
    Task("brain_mri", "accuracy", 0.97, _folder("brain_mri")),
)
