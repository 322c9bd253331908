"""Data sets whose folders are the classes: `train/glioma/1.jpg`, or `glioma/1.jpg`."""

from __future__ import annotations

from pathlib import Path

from dhc.runtime.data.dataset import PARTS, DataSet, Problems, Sample, in_parts
from dhc.runtime.data.images import DICOM_SUFFIXES

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".npy", *DICOM_SUFFIXES)
MAX_FILES = 10_000_000


def open_folders(path: Path) -> DataSet:
    """Opens a folder of classes, or of parts that hold folders of classes.

    The classes are the names of the folders in alphabetic order, the same for all parts.

    Raises:
        DhcError: if there are no images, or a part has a class that the others lack.
    """
    parts = [part for part in PARTS if (path / part).is_dir()]
    roots = {part: path / part for part in parts} or {"train": path}
    problems = Problems()
    classes = _classes(roots, problems)
    found: list[tuple[str, Sample]] = []
    for part, root in roots.items():
        for number, name in enumerate(classes):
            for file in _images(root / name):
                if file.is_symlink() and not file.resolve().is_relative_to(path.resolve()):
                    problems.add(f"'{file.name}' is a link that leads out of the folder.")
                label = f"{part}/{name}/{file.name}"
                found.append((part, Sample(label, {"image": file, "label": number})))
    if not found and not problems.found:
        problems.add("it holds no images in folders named after their classes.")
    problems.report(path)
    return DataSet(path.name, {"image": "image", "label": "label"}, classes, in_parts(found))


def _classes(roots: dict[str, Path], problems: Problems) -> tuple[str, ...]:
    names = {
        part: {folder.name for folder in root.iterdir() if folder.is_dir()}
        for part, root in roots.items()
    }
    everywhere = set().union(*names.values())
    for part, own in names.items():
        for name in sorted(everywhere - own):
            problems.add(f"the part '{part}' has no folder '{name}'.")
    return tuple(sorted(everywhere))


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = (file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    return sorted(files, key=lambda file: file.name)
