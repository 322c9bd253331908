"""Trains candidates on folds; what each fold found is kept in the folder of its run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dhc.errors import DhcError, Diagnostic
from dhc.files import atomic_writer
from dhc.runtime.data.dataset import DataSet
from dhc.runtime.data.folds import Fold, Folding, fold_dataset
from dhc.runtime.parameters import read_safetensors
from dhc.runtime.reporting.decode import read_record
from dhc.runtime.reporting.files import write_record
from dhc.studies.leaderboard import FoldResult
from dhc.studies.settings import StudySettings
from dhc.training.job import TrainingJob, open_data

FOUND = "fold.safetensors"  # rows of all metrics on what the fold held back
NAMES = "fold.json"  # the samples they are of, and their groups


@dataclass(frozen=True)
class Held:
    """The samples that a fold held back, their groups, and the mean loss on them."""

    samples: tuple[str, ...]
    groups: tuple[str, ...]
    loss: float


@dataclass(frozen=True)
class Part:
    """One training of a study.

    Attributes:
        candidate: The name of its train block.
        number: Of the fold, counted from 1; 1 where the data's own parts are used.
        dataset: What it may see.
        fold: How that came about; None where the data's own parts are used.
    """

    candidate: str
    number: int
    dataset: DataSet
    fold: Fold | None

    def folder(self, study: Path) -> Path:
        """Returns where its run is."""
        return study / self.candidate / f"fold{self.number}"


def parts_of(settings: StudySettings, folder: Path) -> list[Part]:
    """Returns all trainings of a study, candidate by candidate.

    Raises:
        DhcError: if the data cannot be opened or folded, or hold nothing to validate with.
    """
    whole = open_data(next(iter(settings.candidates.values())), folder)
    try:
        cut = _cut(whole, settings.folding)
    except DhcError as problem:
        where = "folds" if settings.folding else "candidates"
        raise problem.at(settings.configured.places[where]) from None
    return [
        Part(candidate, number, own, fold)
        for candidate in settings.candidates
        for number, (own, fold) in enumerate(cut, 1)
    ]


def _cut(whole: DataSet, folding: Folding | None) -> list[tuple[DataSet, Fold | None]]:
    if folding is None:
        return [(_without_test(whole), None)]
    cut = fold_dataset(whole, folding)
    return [(own, Fold(folding, number)) for number, own in enumerate(cut, 1)]


def _without_test(whole: DataSet) -> DataSet:
    if not whole.parts.get("val"):
        text = f"The data set '{whole.name}' has no part 'val' to compare candidates on."
        hint = "cut it: folds = 5"
        raise DhcError(Diagnostic("data", text, hints=(hint,)))
    kept = {part: whole.parts[part] for part in ("train", "val")}
    return DataSet(whole.name, whole.fields, whole.classes, kept, whole.synthetic)


# ---- what a fold found -----------------------------------------------------------------------


def measure_fold(job: TrainingJob) -> FoldResult:
    """Measures a trained network on what its fold held back."""
    assert job.val is not None
    loss, rows = job.measure(job.val)
    samples = job.val.samples
    names = tuple(sample.name for sample in samples)
    grouped = any(sample.group for sample in samples)
    groups = tuple(sample.group or sample.name for sample in samples) if grouped else ()
    return FoldResult(names, groups, loss, rows)


def write_fold(folder: Path, found: FoldResult) -> None:
    """Keeps what a fold found; the names come last, and say that all is there."""
    from safetensors.numpy import save

    with atomic_writer(folder / FOUND) as stream:
        stream.write(save(dict(found.rows)))
    write_record(folder / NAMES, Held(found.samples, found.groups, found.loss))


def read_fold(folder: Path) -> FoldResult | None:
    """Returns what a fold found; None if it has not ended.

    Raises:
        DhcError: if its files are damaged.
    """
    held = read_record(folder / NAMES, Held)
    if held is None:
        return None
    stored = read_safetensors(folder / FOUND)
    rows = {name: array.astype(np.float64) for name, array in stored.items()}
    count = len(held.samples)
    lengths = {len(own) for own in rows.values()} | {len(held.groups or held.samples)}
    if lengths != {count}:
        text = f"'{folder / FOUND}' does not fit '{folder / NAMES}'."
        hint = "remove the folder of this fold, and it is trained again"
        raise DhcError(Diagnostic("study", text, hints=(hint,)))
    return FoldResult(held.samples, held.groups, held.loss, rows)
