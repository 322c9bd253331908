"""Data sets whose folders are the classes: `train/glioma/1.jpg`, or `glioma/1.jpg`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dhc.runtime.data.dataset import PARTS, DataSet, Problems, Sample, in_parts
from dhc.runtime.data.images import DICOM_SUFFIXES

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".jp2",
    ".npy", ".nii", ".nii.gz", *DICOM_SUFFIXES,
)  # fmt: skip


def open_folders(path: Path) -> DataSet:
    """Opens a folder of classes, or of parts that hold folders of classes.

    The classes are the names of the folders in alphabetic order, the same for all parts. What
    begins with a dot is left alone; files without a suffix are images, as DICOM files often are.

    Raises:
        DhcError: if there are no images, a part lacks a class that another has, or anything else
            lies among classes and images.
    """
    path = path.resolve()
    problems = Problems()
    roots = _parts(path, problems)
    classes = _classes(path, roots, problems)
    found: list[tuple[str, Sample]] = []
    for part, root in roots.items():
        for number, name in enumerate(classes):
            for own, file in _images(path, root / name, problems):
                sample = Sample(f"{part}/{name}/{own}", {"image": file, "label": number})
                found.append((part, sample))
    if not found and not problems.found:
        problems.add("it holds no images in folders named after their classes.")
    problems.report(path)
    return DataSet(path.name, {"image": "image", "label": "label"}, classes, in_parts(found))


def _parts(path: Path, problems: Problems) -> dict[str, Path]:
    """The folder of each part; all is for training where there are no parts."""
    roots = {part: path / part for part in PARTS if (path / part).is_dir()}
    if not roots:
        return {"train": path}
    for folder in _entries(path):
        if folder.is_dir() and folder.name not in PARTS:
            problems.add(f"the folder '{folder.name}' is none of {', '.join(PARTS)}.")
    return roots


def _classes(path: Path, roots: dict[str, Path], problems: Problems) -> tuple[str, ...]:
    names: dict[str, set[str]] = {}
    for part, root in roots.items():
        entries = list(_entries(root))
        names[part] = {entry.name for entry in entries if entry.is_dir()}
        for file in entries:
            if file.name.lower().endswith(SUFFIXES):
                problems.add(f"the image '{file.relative_to(path)}' lies in no folder of a class.")
    everywhere = set().union(*names.values())
    for part, own in names.items():
        for name in sorted(everywhere - own):
            problems.add(f"the part '{part}' has no folder '{name}'.")
    return tuple(sorted(everywhere))


def _images(path: Path, folder: Path, problems: Problems) -> list[tuple[str, Path]]:
    """The images of a class in a part: their names, and the files that links lead to."""
    if not folder.is_dir():
        return []  # it is a problem already
    if not _is_within(path, folder):
        problems.add(f"'{folder.relative_to(path)}' is a link that leads out of the folder.")
        return []
    found: list[tuple[str, Path]] = []
    entries = list(_entries(folder.resolve()))
    if not entries:
        problems.add(f"the folder '{folder.relative_to(path)}' is empty.")
    for entry in entries:
        text = f"'{folder.relative_to(path) / entry.name}'"
        if entry.is_symlink() and not _is_within(path, entry):
            problems.add(f"{text} is a link that leads out of the folder or nowhere.")
        elif not entry.is_file():
            problems.add(f"{text} lies among images and is no file.")
        elif entry.suffix and not entry.name.lower().endswith(SUFFIXES):
            problems.add(f"{text} is no image by its suffix.")
        else:
            found.append((entry.name, entry.resolve() if entry.is_symlink() else entry))
    return found


def _entries(folder: Path) -> Iterator[Path]:
    """What a folder holds, in alphabetic order."""
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    return (entry for entry in entries if not entry.name.startswith("."))


def _is_within(path: Path, entry: Path) -> bool:
    try:
        return entry.resolve(strict=True).is_relative_to(path)
    except (OSError, RuntimeError):  # links that lead nowhere, or to themselves
        return False
