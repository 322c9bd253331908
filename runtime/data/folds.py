"""Cross-validation: cuts samples into parts of about equal size that keep groups whole.

Greedy, after scikit-learn's StratifiedGroupKFold: groups are dealt one at a time, those with most
samples first, each to the fold where it disturbs the balance of classes least.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Array
from dhc.runtime.data.dataset import DataSet, Sample


@dataclass(frozen=True)
class Folding:
    """How samples are cut into folds.

    Attributes:
        count: How many folds, at least 2.
        grouped: Whether samples of a group, such as a patient, stay together.
        stratified: Whether each fold has about the same share of every class.
        seed: Decides between equals.

    Raises:
        ValueError: if there are fewer than 2.
    """

    count: int
    grouped: bool = True
    stratified: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 2:
            raise ValueError(f"{self.count} folds are none")


@dataclass(frozen=True)
class Fold:
    """One of the folds, counted from 1.

    Raises:
        ValueError: if there is no such fold.
    """

    folding: Folding
    number: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.folding.count:
            raise ValueError(f"there is no fold {self.number} of {self.folding.count}")

    def of(self, dataset: DataSet) -> DataSet:
        """Returns a data set as this fold divides it; see `fold_dataset`."""
        return fold_dataset(dataset, self.folding)[self.number - 1]


def fold_dataset(dataset: DataSet, folding: Folding) -> tuple[DataSet, ...]:
    """Returns one data set for each fold: that fold validates, the others train.

    Samples of the parts `train` and `val` are cut anew; `test` is in none of the results, so that
    nothing can look at it.

    Raises:
        DhcError: if there are fewer groups than folds, or no classes to stratify by.
    """
    pool = (*dataset.parts.get("train", ()), *dataset.parts.get("val", ()))
    folds = cut(pool, folding)
    return tuple(
        DataSet(
            dataset.name,
            dataset.fields,
            dataset.classes,
            {
                "train": tuple(s for s, own in zip(pool, folds, strict=True) if own != number),
                "val": tuple(s for s, own in zip(pool, folds, strict=True) if own == number),
            },
            dataset.synthetic,
        )
        for number in range(folding.count)
    )


def cut(samples: Sequence[Sample], folding: Folding) -> list[int]:
    """Returns the fold of each sample.

    Raises:
        DhcError: if there are fewer groups than folds, or no classes to stratify by.
    """
    groups = _groups(samples, folding)
    if len(groups) < folding.count:
        what = "groups" if folding.grouped else "samples"
        raise _fail(f"{len(groups)} {what} cannot be cut into {folding.count} folds.")
    classes = _classes(samples) if folding.stratified else np.zeros(len(samples), np.int64)
    counts = {name: np.bincount(classes[own], minlength=_size(classes)) for name, own in groups}
    total = sum(counts.values(), np.zeros(_size(classes), np.int64))
    held = np.zeros((folding.count, _size(classes)))
    found = [0] * len(samples)
    for name, own in sorted(groups, key=lambda each: (-len(each[1]), _rank(each[0], folding))):
        fold = _best(held / np.maximum(total, 1), counts[name] / np.maximum(total, 1))
        held[fold] += counts[name]
        for number in own:
            found[number] = fold
    return found


def _best(held: Array, added: Array) -> int:
    """The fold that becomes fuller of these classes than it is by the least; empty ones first."""
    empty = np.flatnonzero(held.sum(1) == 0)
    candidates = empty if len(empty) else np.arange(len(held))
    weight = added / max(added.sum(), 1e-300)
    fullness = (held[candidates] * weight).sum(1)
    ties = np.flatnonzero(fullness == fullness.min())
    lightest = ties[np.argmin(held[candidates[ties]].sum(1))]
    return int(candidates[lightest])


def _groups(samples: Sequence[Sample], folding: Folding) -> list[tuple[str, list[int]]]:
    found: dict[str, list[int]] = defaultdict(list)
    for number, sample in enumerate(samples):
        found[(folding.grouped and sample.group) or f"sample {sample.name}"].append(number)
    return list(found.items())


def _classes(samples: Sequence[Sample]) -> Array:
    labels = [sample.values.get("label") for sample in samples]
    if not all(isinstance(label, int) for label in labels):
        raise _fail("Only data with one label for each sample can be stratified.")
    return np.array(labels, np.int64)


def _size(classes: Array) -> int:
    return int(classes.max(initial=0)) + 1


def _rank(name: str, folding: Folding) -> bytes:
    return hashlib.sha256(f"fold {folding.seed} {name}".encode()).digest()


def _fail(text: str) -> DhcError:
    return DhcError(Diagnostic("data", text, hints=("use fewer folds, or leave the setting out",)))
