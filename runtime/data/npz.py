"""Data sets in the form of MedMNIST: one .npz file with images and labels of each part."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Array
from dhc.runtime.data.dataset import PARTS, DataSet, Kind, Problems, Sample

MAX_BYTES = 8 << 30


def open_npz(path: Path) -> DataSet:
    """Opens a file with `train_images`, `train_labels` and so on.

    Images are [n, H, W] or [n, H, W, C] of u8; labels [n, 1], or [n, L] for several at once.

    Raises:
        DhcError: if arrays are missing, do not fit, or hold anything but numbers.
    """
    arrays = _read(path)
    parts: dict[str, tuple[Sample, ...]] = {}
    problems = Problems()
    several = False
    for part in PARTS:
        images, labels = (arrays.get(f"{part}_{what}") for what in ("images", "labels"))
        if images is None and labels is None:
            continue
        problem = _misfit(part, images, labels)
        if problem or images is None or labels is None:
            problems.add(problem)
            continue
        several = several or labels.shape[1] > 1
        parts[part] = _samples(part, images, labels)
    if not parts and not problems.found:
        problems.add("it has none of the arrays train_images, val_images and test_images.")
    problems.report(path)
    kind: Kind = "labels" if several else "label"
    return DataSet(path.stem, {"image": "image", kind: kind}, _classes(parts, kind), parts)


def _read(path: Path) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_BYTES} bytes")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        text = f"The data set '{path}' cannot be read: {reason}."
        raise DhcError(Diagnostic("data", text)) from error


def _misfit(part: str, images: Array | None, labels: Array | None) -> str:
    """What is wrong with the arrays of a part, or nothing."""
    if images is None or labels is None:
        missing = "images" if images is None else "labels"
        return f"the array '{part}_{missing}' is missing."
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] > 4):
        return f"'{part}_images' has shape {list(images.shape)}, not [n, H, W] or [n, H, W, C]."
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        return f"'{part}_labels' is {labels.dtype}{list(labels.shape)}, not integers [n, L]."
    if len(images) != len(labels):
        return f"'{part}' has {len(images)} images and {len(labels)} labels."
    return ""


def _samples(part: str, images: Array, labels: Array) -> tuple[Sample, ...]:
    planes = np.moveaxis(images, -1, 1) if images.ndim == 4 else images[:, None]
    planes = np.ascontiguousarray(planes)
    single = labels.shape[1] == 1
    return tuple(
        Sample(
            f"{part}/{k}",
            {"image": planes[k], "label": int(labels[k, 0])}
            if single
            else {"image": planes[k], "labels": labels[k].astype(np.float32)},
        )
        for k in range(len(planes))
    )


def _classes(parts: dict[str, tuple[Sample, ...]], kind: Kind) -> tuple[str, ...]:
    values = [sample.values[kind] for samples in parts.values() for sample in samples]
    if kind == "label":
        return tuple(map(str, range(1 + max(v for v in values if isinstance(v, int)))))
    first = values[0]
    assert isinstance(first, np.ndarray)
    return tuple(map(str, range(len(first))))
