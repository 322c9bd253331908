"""Data sets: samples with named fields, in parts for training, validation and test.

A field is an image or a mask in a file or in memory, or a label. Samples are read one at a time,
whenever they are needed, from any thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from dhc.errors import DhcError, Diagnostic, did_you_mean
from dhc.ir.graph import Array
from dhc.runtime.data.images import read_image

Kind = Literal["image", "mask", "map", "label", "labels", "numbers"]
Value = Path | tuple[Path, ...] | Array | int | float
"""What a sample has: a file, the files of an image's planes, or the value itself."""

PARTS = ("train", "val", "test")
PHANTOM = "phantom:"
MAX_REPORTED = 20


@dataclass(frozen=True)
class Sample:
    """One sample.

    Attributes:
        name: What it is called within the data set; no two have the same.
        values: What it has, by field.
        group: Samples that belong together, such as those of a patient.
    """

    name: str
    values: Mapping[str, Value]
    group: str = ""

    def read(self) -> dict[str, Array]:
        """Returns the arrays of all fields: images [C, H, W] as stored, labels as i64.

        Raises:
            DhcError: naming the sample, if a file cannot be read.
        """
        return {name: self._array(name, value) for name, value in self.values.items()}

    def _array(self, name: str, value: Value) -> Array:
        if isinstance(value, (Path, tuple)):
            try:
                return read_image(value).array if isinstance(value, Path) else _planes(value)
            except DhcError as error:
                note = f"it is the {name} of the sample '{self.name}'"
                own = [replace(each, notes=(*each.notes, note)) for each in error.diagnostics]
                raise DhcError(own) from error
        if isinstance(value, np.ndarray):
            return value
        return np.asarray(value, np.int64 if isinstance(value, int) else np.float32)


def _planes(paths: Sequence[Path]) -> Array:
    """An image whose planes lie in files of their own; they become its channels.

    Raises:
        DhcError: if planes differ in size.
    """
    planes = [read_image(path).array for path in paths]
    for path, plane in zip(paths, planes, strict=True):
        if plane.shape[1:] != planes[0].shape[1:] or plane.dtype != planes[0].dtype:
            own, first = (f"{p.dtype}{list(p.shape)}" for p in (plane, planes[0]))
            raise _fail(f"The plane '{path.name}' is {own}, the first one {first}.")
    return np.concatenate(planes)


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
            raise _fail(f"The data set '{self.name}' has no part '{name}'; it has {known}.")
        return found


def open_dataset(path: str | Path, folder: Path = Path()) -> DataSet:
    """Opens a data set in whatever form it is in.

    Args:
        path: An .npz file such as those of MedMNIST, a YAML file of the DeepHealth toolkit, a
            table `labels.csv` or the folder with one, or a folder with a folder for each class,
            perhaps within `train`, `val` and `test`; or `phantom:NAME` for a data set that dhc
            makes itself.
        folder: Where a relative path begins.

    Raises:
        DhcError: with everything that is missing or does not fit, before anything is read.
    """
    if str(path).startswith(PHANTOM):
        from dhc.runtime.synthetic.catalog import open_phantom

        return open_phantom(str(path).removeprefix(PHANTOM))
    place = folder / path
    try:
        dataset = _open(place)
    except OSError as error:
        reason = f"{error.strerror or error} ({error.filename})".lower()
        raise _fail(f"The data set '{place}' cannot be read: {reason}.") from error
    _check(dataset, place)
    return dataset


def _open(place: Path) -> DataSet:
    from dhc.runtime.data.deephealth import open_deephealth
    from dhc.runtime.data.folders import open_folders
    from dhc.runtime.data.npz import open_npz
    from dhc.runtime.data.table import open_table

    if not place.exists():
        names: list[str] = []
        with suppress(OSError):
            names = [neighbour.name for neighbour in place.parent.iterdir()]
        guess = did_you_mean(place.name, names)
        hints = (f"did you mean '{guess}'?",) if guess else ()
        raise _fail(f"There is no data set '{place}'.", *hints)
    if place.is_dir():
        table = place / "labels.csv"
        return open_table(table) if table.exists() else open_folders(place)
    opens = {
        ".npz": open_npz,
        ".csv": open_table,
        ".yml": open_deephealth,
        ".yaml": open_deephealth,
    }.get(place.suffix.lower())
    if opens is None or not place.is_file():
        hint = "use an .npz, .csv or .yml file, or a folder"
        raise _fail(f"'{place}' is no data set that dhc can read.", hint)
    return opens(place)


def inside(folder: Path, relative: str) -> Path:
    """Returns a path within a folder, where relative ones begin.

    Raises:
        ValueError: if it leads out of the folder.
    """
    try:
        root = folder.resolve()
        found = (root / relative).resolve()
    except RuntimeError:
        raise ValueError(f"'{relative}' is a link to itself") from None
    if not found.is_relative_to(root):
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
        counts = Counter(name for sample in samples for name in _class_names(dataset, sample))
        found[part] = {"all": len(samples), **dict(sorted(counts.items()))}
    return found


def _class_names(dataset: DataSet, sample: Sample) -> list[str]:
    label, labels = sample.values.get("label"), sample.values.get("labels")
    if isinstance(labels, np.ndarray):
        return [dataset.classes[k] for k in np.flatnonzero(labels)]
    return [dataset.classes[label]] if isinstance(label, int) and dataset.classes else []


# ---- what is tested must not have been learnt ----------------------------------------------------


def _check(dataset: DataSet, place: Path) -> None:
    """Refuses a data set whose parts are not apart, or whose samples cannot be told apart."""
    problems = Problems()
    _check_images(dataset, problems)
    _check_groups(dataset, problems)
    problems.report(place)
    _check_names(dataset, problems)
    _check_classes(dataset, problems)
    problems.report(place)


def _check_images(dataset: DataSet, problems: Problems) -> None:
    """Finds images that are there twice; masks may be shared, as empty ones often are."""
    owners: dict[Path, tuple[str, Sample]] = {}
    images = [name for name, kind in dataset.fields.items() if kind == "image"]
    for part, samples in dataset.parts.items():
        for sample in samples:
            for file in (file for image in images for file in _files(sample.values.get(image))):
                other, first = owners.setdefault(file, (part, sample))
                if other != part:
                    problems.add(f"the image '{file.name}' is in '{other}' and in '{part}'.")
                elif first is not sample:
                    problems.add(f"'{first.name}' and '{sample.name}' are the same image.")


def _files(value: Value | None) -> Sequence[Path]:
    return value if isinstance(value, tuple) else [value] if isinstance(value, Path) else []


def _check_groups(dataset: DataSet, problems: Problems) -> None:
    """Finds groups, such as patients, that are in several parts."""
    parts: dict[str, list[str]] = {}
    for part, samples in dataset.parts.items():
        for group in {sample.group for sample in samples if sample.group}:
            parts.setdefault(group, []).append(part)
    for group, own in sorted(parts.items()):
        if len(own) > 1:
            places = " and in ".join(f"'{part}'" for part in own)
            problems.add(f"the group '{group}' is in {places}.")


def _check_names(dataset: DataSet, problems: Problems) -> None:
    counts = Counter(sample.name for samples in dataset.parts.values() for sample in samples)
    for name, count in counts.items():
        if count > 1:
            problems.add(f"the sample '{name}' is there {count} times.")
        if not name.isprintable():
            problems.add(f"the name {name!a} is no readable text.")


def _check_classes(dataset: DataSet, problems: Problems) -> None:
    """Finds classes that cannot be learnt."""
    known = _numbers(dataset, "train")
    for part in PARTS[1:]:
        for number in sorted(_numbers(dataset, part) - known) if known else ():
            name = dataset.classes[number]
            problems.add(f"the class '{name}' is in '{part}' and not in 'train'.")


def _numbers(dataset: DataSet, part: str) -> set[int]:
    labels = (sample.values.get("label") for sample in dataset.parts.get(part, ()))
    return {label for label in labels if isinstance(label, int)}


def in_parts(samples: Sequence[tuple[str, Sample]]) -> dict[str, tuple[Sample, ...]]:
    """Returns samples by the part that stands before each."""
    found: dict[str, list[Sample]] = {}
    for part, sample in samples:
        found.setdefault(part, []).append(sample)
    return {part: tuple(each) for part, each in found.items()}


def _fail(text: str, *hints: str) -> DhcError:
    return DhcError(Diagnostic("data", text, hints=hints))
