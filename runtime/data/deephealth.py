"""The data set format of the DeepHealth toolkit: a YAML file with images, labels and splits.

name: skin lesions
classes: [nevus, melanoma]      # without classes, labels are paths of masks
features: [age]
images:
- location: images/1.png      # or the planes of one image, [1_red.png, 1_green.png]
label: melanoma             # a name, a number, or a list of them
values: {age: 51}           # or [51]
split:
training: [0, 1]
validation: [2]
test: [3]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dhc.errors import did_you_mean
from dhc.runtime.data.dataset import DataSet, Kind, Problems, Sample, Value, in_parts, inside
from dhc.runtime.data.table import GROUPS
from dhc.runtime.data.yaml_tree import Tree, read_yaml

KEYS = ("name", "description", "classes", "features", "images", "split")
IMAGE_KEYS = ("location", "label", "values")
SPLITS = {"training": "train", "validation": "val", "test": "test"}
MAX_PLANES = 4096

Features = Mapping[str, str | None]
"""What an image's values say, by feature."""


@dataclass(frozen=True)
class _Entry:
    """An image of the file: where it lies, what it shows, and what else is known of it."""

    line: int
    name: str
    image: Value
    label: Value | None
    features: Features


def open_deephealth(path: Path) -> DataSet:
    """Opens a file in DeepHealth's format.

    The fields are `image`, and `label`, `labels` (where an image has another number of labels than
    one) or `mask`. The features that are numbers for all images are the field `values`; a feature
    named `patient`, `group` or alike says what belongs together. Paths begin at the file's folder
    and must stay in it. What is in no split is not used; without any split all is for training.

    Raises:
        DhcError: if the file has another form, or files are missing.
    """
    problems = Problems()
    root = read_yaml(path)
    top = root.members or {}
    if root.members is None:
        problems.add("it is no mapping with `images`.")
    _check_keys(top, KEYS, problems)
    classes = _names(top, "classes", problems)
    features = _names(top, "features", problems)
    images = top["images"].items if "images" in top else None
    if not images:
        problems.add("it has no list `images` with anything in it.")
    reader = _Images(path.parent.resolve(), classes, features, problems)
    entries = [reader.entry(image) for image in images or ()]
    problems.report(path)
    parts = _split(top.get("split"), len(entries), problems)
    _check_masks([entries[number] for number in parts], classes, problems)
    problems.report(path)
    return _dataset(_text(top, "name") or path.stem, entries, classes, parts)


def _check_keys(found: Mapping[str, Tree], known: Sequence[str], problems: Problems) -> None:
    """Refuses what looks like a slip; other keys are left alone."""
    for name, tree in found.items():
        guess = did_you_mean(name, known)
        if name not in known and guess:
            problems.add(f"line {tree.line}: '{name}' is not known; did you mean '{guess}'?")


def _text(found: Mapping[str, Tree], name: str) -> str:
    return (found[name].text or "") if name in found else ""


def _names(top: Mapping[str, Tree], key: str, problems: Problems) -> tuple[str, ...]:
    """A list of distinct names."""
    if key not in top or top[key].content == "":
        return ()
    names = [item.text for item in top[key].items or ()]
    known = tuple(name for name in names if name is not None)
    if not known or len(known) != len(names):
        problems.add(f"line {top[key].line}: '{key}' must be a list of names.")
    if len(set(known)) != len(known):
        problems.add(f"line {top[key].line}: '{key}' has a name twice.")
    return known


# ---- images --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Images:
    """Reads the entries of `images`."""

    folder: Path
    classes: tuple[str, ...]
    features: tuple[str, ...]
    problems: Problems

    def entry(self, tree: Tree) -> _Entry:
        """Reads an image: its location alone, or a mapping with what is known of it."""
        own = tree.members
        if own is None:
            own = {"location": tree}
        _check_keys(own, IMAGE_KEYS, self.problems)
        name, image = self._location(own.get("location"), tree.line)
        label = self._label(own["label"]) if "label" in own else None
        if self.classes and label is None:
            self._refuse(tree.line, "the label is missing")
        return _Entry(tree.line, name, image, label, self._features(own.get("values")))

    def _refuse(self, line: int, text: str) -> None:
        self.problems.add(f"line {line}: {text}.")

    def _location(self, tree: Tree | None, line: int) -> tuple[str, Value]:
        planes = [] if tree is None else tree.items if tree.items is not None else [tree]
        texts = [plane.text for plane in planes]
        if not texts or None in texts or len(texts) > MAX_PLANES:
            self._refuse(line, "the location must be a path, or a list of the paths of planes")
            return "", self.folder
        paths = tuple(self._file(text or "", line) for text in texts)
        return texts[0] or "", paths[0] if tree is not None and tree.items is None else paths

    def _file(self, text: str, line: int) -> Path:
        try:
            if "://" in text:
                raise ValueError(f"'{text}' is an address; dhc fetches nothing, download it first")
            found = inside(self.folder, text)
            if not found.is_file():
                raise ValueError(f"there is no file '{text}'")
        except (ValueError, OSError) as error:
            self._refuse(line, str(getattr(error, "strerror", None) or error))
            return self.folder
        return found

    def _label(self, tree: Tree) -> Value | None:
        """A mask's path; or the numbers of classes."""
        if not self.classes:
            if tree.text is None:
                self._refuse(tree.line, "without `classes` a label must be the path of a mask")
                return None
            return self._file(tree.text, tree.line)
        items = tree.items if tree.items is not None else [tree]
        numbers = [self._class(item) for item in items]
        return np.array([k in numbers for k in range(len(self.classes))], np.float32)

    def _class(self, tree: Tree) -> int | None:
        """The number of a class: what looks like a number is one, the rest are names."""
        if tree.index is not None:
            if tree.index < len(self.classes):
                return tree.index
            most = len(self.classes) - 1
            self._refuse(tree.line, f"the label is {tree.index}; classes are 0 to {most}")
            return None
        if tree.text in self.classes:
            return self.classes.index(tree.text)
        guess = did_you_mean(tree.text or "", self.classes)
        hint = f"did you mean '{guess}'" if guess else f"classes are {', '.join(self.classes)}"
        self._refuse(tree.line, f"there is no class '{tree.text or ''}'; {hint}")
        return None

    def _features(self, tree: Tree | None) -> Features:
        if tree is None or tree.content == "":
            return {}
        if tree.items is not None:
            if len(tree.items) != len(self.features):
                counts = f"{len(tree.items)} values for {len(self.features)} features"
                self._refuse(tree.line, f"there are {counts}")
            return {name: item.text for name, item in zip(self.features, tree.items, strict=False)}
        if tree.members is None:
            self._refuse(tree.line, "the values must be a list or a mapping")
            return {}
        for name, item in tree.members.items():
            if name not in self.features:
                guess = did_you_mean(name, self.features)
                hint = f"; did you mean '{guess}'" if guess else ""
                self._refuse(item.line, f"there is no feature '{name}'{hint}")
        return {name: item.text for name, item in tree.members.items()}


# ---- parts and samples ---------------------------------------------------------------------------


def _split(tree: Tree | None, count: int, problems: Problems) -> dict[int, str]:
    """The part of each image that is in one, by the image's number."""
    if tree is None or tree.content == "":
        return dict.fromkeys(range(count), "train")
    if tree.members is None:
        problems.add(f"line {tree.line}: 'split' must be a mapping from parts to lists of numbers.")
    parts: dict[int, str] = {}
    for name, own in (tree.members or {}).items():
        if own.items is None and own.content != "":
            problems.add(f"line {own.line}: the split '{name}' must be a list of numbers.")
        for item in own.items or ():
            number = item.index
            if number is None or number >= count:
                text = f"'{name}' has '{item.text or ''}'; images are 0 to {count - 1}"
                problems.add(f"line {item.line}: {text}.")
            elif number in parts:
                text = f"image {number} is in '{parts[number]}' and in '{name}'"
                problems.add(f"line {item.line}: {text}.")
            else:
                parts[number] = SPLITS.get(name, name)
    return parts


def _check_masks(used: Sequence[_Entry], classes: Sequence[str], problems: Problems) -> None:
    """Refuses masks for some images only; an image without a finding has an empty one."""
    if classes or all(entry.label is None for entry in used):
        return
    for entry in used:
        if entry.label is None:
            problems.add(f"line {entry.line}: the mask is missing, though other images have one.")


def _dataset(
    name: str, entries: Sequence[_Entry], classes: tuple[str, ...], parts: Mapping[int, str]
) -> DataSet:
    used = [(parts[k], entry) for k, entry in enumerate(entries) if k in parts]
    group = next((name for name in GROUPS if any(name in e.features for _, e in used)), "")
    numbers = _numeric([entry.features for _, entry in used], group)
    truth = _truth([entry.label for _, entry in used], classes)
    fields: dict[str, Kind] = {"image": "image"}
    fields |= {truth: truth} if truth else {}
    fields |= {"values": "numbers"} if numbers else {}
    found = [
        (part, _sample(entry, truth, numbers, entry.features.get(group) or ""))
        for part, entry in used
    ]
    return DataSet(name, fields, classes, in_parts(found))


def _truth(labels: Sequence[Value | None], classes: Sequence[str]) -> Kind | None:
    """What is to be learnt."""
    if not classes:
        return "mask" if labels and all(label is not None for label in labels) else None
    counts = [float(label.sum()) for label in labels if isinstance(label, np.ndarray)]
    return "label" if all(count == 1 for count in counts) else "labels"


def _sample(entry: _Entry, truth: Kind | None, numbers: Sequence[str], group: str) -> Sample:
    values: dict[str, Value] = {"image": entry.image}
    label = entry.label
    if truth is not None and label is not None:
        if truth == "label" and isinstance(label, np.ndarray):
            label = int(np.flatnonzero(label)[0])
        values[truth] = label
    if numbers:
        known = [float(entry.features[name] or "nan") for name in numbers]
        values["values"] = np.array(known, np.float32)
    return Sample(entry.name, values, group)


def _numeric(features: Sequence[Features], group: str) -> list[str]:
    """The features that are finite numbers for every image."""
    names = [name for name in (features[0] if features else ()) if name != group]
    return [name for name in names if all(_is_number(own.get(name)) for own in features)]


def _is_number(text: str | None) -> bool:
    try:
        return text is not None and bool(np.isfinite(float(text)))
    except ValueError:
        return False
