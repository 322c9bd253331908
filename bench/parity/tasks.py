"""The experiments: where their data are, and which part is opened when all is chosen."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dhc.ir.graph import Array
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


def _brain_mri(folder: Path) -> DataSet:
    """Images of training that are nearly equal are a group: slices of one patient, or copies.

    The evaluation part has none that is nearly equal to one of training, so a part that chooses
    epochs and recipes must have none either.
    """
    found = open_dataset("brain_mri", folder)
    samples = found.parts["train"]
    groups = alike([_small(sample) for sample in samples])
    named = tuple(replace(s, group=f"like {g}") for s, g in zip(samples, groups, strict=True))
    return replace(found, parts={**found.parts, "train": named})


def _small(sample: Sample, size: int = 32) -> Array:
    """An image of few pixels, each the mean of a square."""
    image = sample.read()["image"][0].astype(np.float32)
    square = image.shape[0] // size
    cut = image[: square * size, : square * size]
    return cut.reshape(size, square, size, square).mean((1, 3)).ravel()


def alike(images: Sequence[Array], least: float = 0.95) -> list[int]:
    """Returns the group of each image; those whose correlation is above `least` share one."""
    rows = np.stack(images)
    rows = rows - rows.mean(1, keepdims=True)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    groups = list(range(len(rows)))

    def first(k: int) -> int:
        while groups[k] != k:
            k = groups[k]
        return k

    for k, row in enumerate(rows):
        for other in np.flatnonzero(rows[:k] @ row > least):
            groups[first(int(other))] = first(k)
    return [first(k) for k in range(len(rows))]


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
    Task("brain_mri", "accuracy", 0.97, _brain_mri),
)
