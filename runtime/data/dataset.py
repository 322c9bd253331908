"""Data sets: samples with named fields, in parts for training, validation and test.

A field is an image or a mask in a file or in memory, or a label. Samples are read one at a time,
whenever they are needed, from any thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from dhc.errors import DhcError, Diagnostic, did_you_mean
from dhc.ir.graph import Array
from dhc.runtime.data.images import read_image

Kind = Literal["image", "mask", "label", "labels", "number"]
PARTS = ("train", "val", "test")
MAX_REPORTED = 20


@dataclass(frozen=True)
class Sample:
    """One sample.

    Attributes:
        name: What it is called within the data set; no two have the same.
        values: A path for what must be read, or the value itself, by field.
        group: Samples that belong together, such as those of a patient.
    """

    name: str
    values: Mapping[str, Path | Array | int | float]
    group: str = ""

    def read(self) -> dict[str, Array]:
        """Returns the arrays of all fields: images [C, H, W] as stored, labels as i64.

        Raises:
            DhcError: if a file cannot be read.
        """
        return {name: _array(value) for name, value in self.values.items()}


@dataclass(frozen=True)
class DataSet:
    """A data set.

    Attributes:
        name: For people.
        fields: What each field is.
        classes: The names of the values of `label`, or of the positions of `labels`.
        parts: Samples by part.
        synthetic: Whether it was made by a program.
    """

    name: str
    fields: Mapping[str, Kind]
    classes: tuple[str, ...]
    parts: Mapping[str, tuple[Sample, ...]]
    synthetic: bool = False

    def part(self, name: str) -> tuple[Sample, ...]:
        """Returns the samples of a part.

        Raises:
            DhcError: if there is no such part, or nothing in it.
        """
        found = self.parts.get(name, ())
        if not found:
            known = ", ".join(part for part, samples in self.parts.items() if samples) or "nothing"
            text = f"The data set '{self.name}' has no part '{name}'; it has {known}."
            raise DhcError(Diagnostic("data", text))
        return found


def open_dataset(path: str | Path) -> DataSet:
    """Opens a data set in whatever form it is in.

    Args:
        path: A MedMNIST .npz file, a table `labels.csv` or the folder with one, or a folder with a
            folder for each class, perhaps within `train`, `val` and `test`.

    Raises:
        DhcError: with everything that is missing or does not fit, before anything is read.
    """
    from dhc.runtime.data.folders import open_folders
    from dhc.runtime.data.npz import open_npz
    from dhc.runtime.data.table import open_table

    place = Path(path)
    if not place.exists():
        names = [p.name for p in place.parent.iterdir()] if place.parent.is_dir() else []
        guess = did_you_mean(place.name, names)
        hints = (f"did you mean '{guess}'?",) if guess else ()
        raise DhcError(Diagnostic("data", f"There is no data set '{path}'.", hints=hints))
    forms: list[tuple[bool, Callable[[Path], DataSet]]] = [
        (place.suffix == ".npz", open_npz),
        (place.suffix == ".csv", open_table),
        ((place / "labels.csv").is_file(), lambda folder: open_table(folder / "labels.csv")),
        (place.is_dir(), open_folders),
    ]
    for fits, opens in forms:
        if fits:
            return _checked(opens(place))
    text = f"'{path}' is no data set that dhc can read."
    raise DhcError(Diagnostic("data", text, hints=("use an .npz or .csv file, or a folder",)))


def inside(folder: Path, relative: str) -> Path:
    """Returns a path within a folder.

    Raises:
        ValueError: if it leads out of the folder.
    """
    root = folder.resolve()
    found = (root / relative).resolve()
    if Path(relative).is_absolute() or not found.is_relative_to(root):
        raise ValueError(f"'{relative}' leads out of the data set's folder")
    return found


@dataclass
class Problems:
    """Collects what is wrong with a data set."""

    found: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.found.append(text)

    def report(self, path: Path) -> None:
        """Raises what was collected.

        Raises:
            DhcError: if there is anything.
        """
        if self.found:
            shown = [Diagnostic("data", f"{path}: {text}") for text in self.found[:MAX_REPORTED]]
            more = len(self.found) - len(shown)
            if more:
                shown.append(Diagnostic("data", f"{path}: there are {more} more such problems."))
            raise DhcError(shown)


def summary(dataset: DataSet) -> dict[str, dict[str, int]]:
    """Returns how many samples each part has, all and of each class."""
    found: dict[str, dict[str, int]] = {}
    for part, samples in dataset.parts.items():
        counts = Counter(_class_name(dataset, sample) for sample in samples)
        counts.pop("", None)
        found[part] = {"all": len(samples), **dict(sorted(counts.items()))}
    return found


def _class_name(dataset: DataSet, sample: Sample) -> str:
    label = sample.values.get("label")
    return dataset.classes[label] if isinstance(label, int) and dataset.classes else ""


def _checked(dataset: DataSet) -> DataSet:
    """Refuses samples that are in two parts: what is tested must not have been learnt."""
    owner: dict[object, str] = {}
    problems = Problems()
    for part, samples in dataset.parts.items():
        for sample in samples:
            for value in (v for v in sample.values.values() if isinstance(v, Path)):
                other = owner.setdefault(value, part)
                if other != part:
                    problems.add(f"'{value.name}' is in '{other}' and in '{part}'.")
    problems.report(Path(dataset.name))
    return dataset


def _array(value: Path | Array | int | float) -> Array:
    if isinstance(value, Path):
        return read_image(value).array
    if isinstance(value, np.ndarray):
        return value
    return np.asarray(value, np.int64 if isinstance(value, int) else np.float32)


def in_parts(samples: Sequence[tuple[str, Sample]]) -> dict[str, tuple[Sample, ...]]:
    """Returns samples by the part that stands before each."""
    found: dict[str, list[Sample]] = {}
    for part, sample in samples:
        found.setdefault(part, []).append(sample)
    return {part: tuple(each) for part, each in found.items()}
