"""Data sets in the form of MedMNIST: one .npz file with images and labels of each part."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Array
from dhc.ir.types import dtype_of
from dhc.runtime.data.dataset import PARTS, DataSet, Kind, Problems, Sample

MAX_BYTES = 8 << 30
MAX_CLASSES = 1 << 16
MAX_CHANNELS = 4  # a longer last axis of four is the third of a volume

Part = tuple[Array, Array]
"""Images and labels."""


def open_npz(path: Path) -> DataSet:
    """Opens a file with `train_images`, `train_labels` and so on.

    Images are [n, H, W] or [n, H, W, C] with up to four channels, volumes [n, D, H, W] or
    [n, D, H, W, C]; labels are [n, 1], or [n, L] of 0 and 1 for several at once.

    Raises:
        DhcError: if arrays are missing, do not fit, or hold anything but numbers.
    """
    arrays = _read(path)
    problems = Problems()
    found: dict[str, Part] = {}
    for part in PARTS:
        images, labels = (arrays.get(f"{part}_{what}") for what in ("images", "labels"))
        if images is not None and labels is not None:
            found[part] = images, labels
        elif images is not None or labels is not None:
            missing = "images" if images is None else "labels"
            problems.add(f"the array '{part}_{missing}' is missing.")
    if not found and not problems.found:
        problems.add("it has none of the arrays train_images, val_images and test_images.")
    for part, (images, labels) in found.items():
        _check_images(f"{part}_images", images, problems)
        _check_labels(f"{part}_labels", labels, problems)
        if images.ndim and labels.ndim and len(images) != len(labels):
            problems.add(f"'{part}' has {len(images)} images and {len(labels)} labels.")
    problems.report(path)
    _check_agreement(found, problems)
    problems.report(path)
    return _dataset(path.stem, found)


# ---- reading -------------------------------------------------------------------------------------


def _read(path: Path) -> dict[str, Array]:
    """The arrays that a data set has; others are left alone."""
    names = [f"{part}_{what}" for part in PARTS for what in ("images", "labels")]
    try:
        with zipfile.ZipFile(path) as archive:
            known = set(archive.namelist())
            entries = {
                name: archive.getinfo(f"{name}.npy") for name in names if f"{name}.npy" in known
            }
            if sum(entry.file_size for entry in entries.values()) > MAX_BYTES:
                raise ValueError(f"it unpacks to more than {MAX_BYTES} bytes")
            return {name: _array(archive, entry) for name, entry in entries.items()}
    except Exception as error:  # archives and headers may be anything
        reason = str(getattr(error, "strerror", None) or error).rstrip(".") or repr(error)
        text = f"The data set '{path}' cannot be read: {reason}."
        raise DhcError(Diagnostic("data", text)) from error


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    """One array in this machine's byte order.

    Raises:
        ValueError: if its header does not fit its size, before memory is taken.
    """
    with archive.open(entry) as stream:
        shape, dtype = _header(stream)
        declared = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or declared != entry.file_size - stream.tell():
            raise ValueError(f"'{entry.filename}' has a header that does not fit its content")
    with archive.open(entry) as stream:
        array = np.lib.format.read_array(stream, allow_pickle=False)
    return np.asarray(array, array.dtype.newbyteorder("="))


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"arrays of version {version} are not known")
    return shape, dtype


# ---- checks --------------------------------------------------------------------------------------


def _check_images(name: str, images: Array, problems: Problems) -> None:
    fits = images.ndim in (3, 4) or (images.ndim == 5 and images.shape[4] <= MAX_CHANNELS)
    if not fits or images.size == 0:
        text = "not [n, H, W], [n, H, W, C] or a volume's [n, D, H, W]"
        problems.add(f"'{name}' has shape {list(images.shape)}, {text}.")
    try:
        dtype_of(images)
    except ValueError:
        problems.add(f"'{name}' has elements of type {images.dtype}.")


def _check_labels(name: str, labels: Array, problems: Problems) -> None:
    if labels.ndim != 2 or labels.size == 0 or not np.issubdtype(labels.dtype, np.integer):
        problems.add(f"'{name}' is {labels.dtype}{list(labels.shape)}, not integers [n, L].")
        return
    most = 1 if labels.shape[1] > 1 else MAX_CLASSES - 1
    for found in (int(labels.min()), int(labels.max())):
        if not 0 <= found <= most:
            problems.add(f"'{name}' holds {found}; it must be from 0 to {most}.")


def _check_agreement(found: Mapping[str, Part], problems: Problems) -> None:
    """Finds parts whose samples differ from those of the first part."""
    (first, (images, labels)), *others = found.items()
    for part, (own_images, own_labels) in others:
        for what, mine, wanted in (
            ("images", own_images, images),
            ("labels", own_labels, labels),
        ):
            if mine.shape[1:] != wanted.shape[1:]:
                shapes = f"{list(mine.shape[1:])}, those in '{first}' {list(wanted.shape[1:])}"
                problems.add(f"{what} in '{part}' have shape {shapes}.")
        if own_images.dtype != images.dtype:
            types = f"{own_images.dtype}, those in '{first}' {images.dtype}"
            problems.add(f"images in '{part}' are {types}.")


# ---- samples -------------------------------------------------------------------------------------


def _dataset(name: str, found: Mapping[str, Part]) -> DataSet:
    columns = [labels.shape[1] for _, labels in found.values()]
    kind: Kind = "labels" if columns[0] > 1 else "label"
    greatest = max(int(labels.max()) for _, labels in found.values())
    count = columns[0] if kind == "labels" else greatest + 1
    parts = {part: _samples(part, images, labels) for part, (images, labels) in found.items()}
    return DataSet(name, {"image": "image", kind: kind}, tuple(map(str, range(count))), parts)


def _samples(part: str, images: Array, labels: Array) -> tuple[Sample, ...]:
    planes = _channels_first(images)
    if labels.shape[1] == 1:
        return tuple(
            Sample(f"{part}/{k}", {"image": planes[k], "label": int(labels[k, 0])})
            for k in range(len(planes))
        )
    several = labels.astype(np.float32)
    return tuple(
        Sample(f"{part}/{k}", {"image": planes[k], "labels": several[k]})
        for k in range(len(planes))
    )


def _channels_first(images: Array) -> Array:
    """Images as [n, C, H, W] and volumes as [n, C, D, H, W]."""
    if images.ndim == 3 or (images.ndim == 4 and images.shape[3] > MAX_CHANNELS):
        return np.ascontiguousarray(images[:, None])
    return np.ascontiguousarray(np.moveaxis(images, -1, 1))
