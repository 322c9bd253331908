"""Data sets in one .npz file: arrays of each part, as MedMNIST has them, or of all samples."""

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
from dhc.runtime.data.dataset import PARTS, DataSet, Kind, Problems, Sample, in_parts

MAX_BYTES = 8 << 30
MAX_CLASSES = 1 << 16
MAX_CHANNELS = 4  # a longer last axis of four is the third of a volume
MAX_NAME = 100

LABELS, GROUPS, SPLIT = "labels", "groups", "split"
PICTURES: Mapping[str, Kind] = {"images": "image", "masks": "mask"}
SERIES, MAPS = "series", "_maps"
TRUTHS = ("labels", "masks", "NAME_maps")

Part = Mapping[str, Array]
"""The arrays of a part by their names without the part's."""


def open_npz(path: Path) -> DataSet:
    """Opens a file with arrays of samples.

    Arrays are those of a part, `train_images`, `val_images` and so on, or of all samples, `images`;
    then `split` may say where each belongs, else all are for training. There are `images` or
    `series`, and something to learn:

    - `images` are [n, H, W] or [n, H, W, C] with up to four channels, volumes [n, D, H, W] or
      [n, D, H, W, C]; `masks` have the same form, and what is not 0 in them is the finding;
    - `series` are [n, T, H, W]: pictures of one place, whose channels are the moments;
    - `NAME_maps` are numbers [n, H, W] to be predicted, the field NAME;
    - `labels` are [n] or [n, 1], or [n, L] of 0 and 1 for several at once;
    - `groups` are names or numbers [n] of what belongs together, such as patients.

    Raises:
        DhcError: if arrays are missing, do not fit, or hold anything but numbers.
    """
    problems = Problems()
    found = _parts(_read(path), problems)
    problems.report(path)
    for part, arrays in found.items():
        _check_part(part, arrays, problems)
    problems.report(path)
    _check_agreement(found, problems)
    problems.report(path)
    return _dataset(path.stem, found)


# ---- reading -------------------------------------------------------------------------------------


def _read(path: Path) -> dict[str, Array]:
    """The arrays that a data set has; others are left alone."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {
                entry.filename.removesuffix(".npy"): entry
                for entry in archive.infolist()
                if entry.filename.endswith(".npy") and _is_known(entry.filename[:-4])
            }
            if sum(entry.file_size for entry in entries.values()) > MAX_BYTES:
                raise ValueError(f"it unpacks to more than {MAX_BYTES} bytes")
            return {name: _array(archive, entry) for name, entry in entries.items()}
    except Exception as error:  # archives and headers may be anything
        reason = str(getattr(error, "strerror", None) or error).rstrip(".") or repr(error)
        text = f"The data set '{path}' cannot be read: {reason}."
        raise DhcError(Diagnostic("data", text)) from error


def _is_known(name: str) -> bool:
    own = name.partition("_")[2] if name.partition("_")[0] in PARTS else name
    if own.endswith(MAPS):
        return own.removesuffix(MAPS).isidentifier() and len(own) <= MAX_NAME
    return own in (*PICTURES, SERIES, LABELS, GROUPS, SPLIT)


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


def _parts(arrays: Mapping[str, Array], problems: Problems) -> dict[str, Part]:
    """The arrays of each part; those of all samples are taken apart by `split`."""
    found: dict[str, Part] = {
        part: {
            name.removeprefix(f"{part}_"): array
            for name, array in arrays.items()
            if name.startswith(f"{part}_")
        }
        for part in PARTS
    }
    found = {part: own for part, own in found.items() if own}
    whole = {name: array for name, array in arrays.items() if name.partition("_")[0] not in PARTS}
    if found and whole:
        problems.add(f"it has '{next(iter(whole))}' of all samples besides arrays of parts.")
    if not found and not whole:
        problems.add("it has no array 'images' or 'series', nor 'train_images' or 'train_series'.")
    if found or SPLIT not in whole:
        return found or {"train": whole}
    return _split(whole, problems)


def _split(whole: Mapping[str, Array], problems: Problems) -> dict[str, Part]:
    names = whole[SPLIT]
    others = {name: array for name, array in whole.items() if name != SPLIT}
    for name, array in others.items():
        if names.ndim != 1 or array.ndim == 0 or len(array) != len(names):
            problems.add(f"'{name}' has shape {list(array.shape)}, 'split' {list(names.shape)}.")
            return {}
    for name in sorted(set(names.astype(str).tolist()) - set(PARTS)):
        problems.add(f"'split' holds '{name}', not {', '.join(PARTS)}.")
    chosen = {part: names.astype(str) == part for part in PARTS}
    return {
        part: {name: array[own] for name, array in others.items()}
        for part, own in chosen.items()
        if own.any()
    }


# ---- checks --------------------------------------------------------------------------------------


def _check_part(part: str, arrays: Part, problems: Problems) -> None:
    if "images" not in arrays and SERIES not in arrays:
        problems.add(f"the array '{part}_images' is missing.")
    if not any(name in (LABELS, "masks") or name.endswith(MAPS) for name in arrays):
        problems.add(f"'{part}' has nothing to learn: no {', '.join(TRUTHS)}.")
    for name, array in arrays.items():
        label = f"{part}_{name}"
        if name == LABELS:
            _check_labels(label, array, problems)
        elif name == GROUPS:
            if array.ndim != 1 or array.dtype.kind not in "iuU":
                problems.add(f"'{label}' is {array.dtype}{list(array.shape)}, not names [n].")
        else:
            _check_pictures(label, name, array, problems)
    counts = {name: len(array) for name, array in arrays.items() if array.ndim}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{count} {name}" for name, count in counts.items())
        problems.add(f"'{part}' has {listed}.")


def _check_pictures(label: str, name: str, array: Array, problems: Problems) -> None:
    if name in PICTURES:
        fits = array.ndim in (3, 4) or (array.ndim == 5 and array.shape[4] <= MAX_CHANNELS)
        text = "not [n, H, W], [n, H, W, C] or a volume's [n, D, H, W]"
    else:
        fits = array.ndim == (4 if name == SERIES else 3)
        text = "not [n, T, H, W]" if name == SERIES else "not [n, H, W]"
    if not fits or array.size == 0:
        problems.add(f"'{label}' has shape {list(array.shape)}, {text}.")
    try:
        dtype_of(array)
    except ValueError:
        problems.add(f"'{label}' has elements of type {array.dtype}.")
        return
    if name.endswith(MAPS) and array.dtype.kind != "f":
        problems.add(f"'{label}' has elements of type {array.dtype}, not of floats.")
    if array.dtype.kind == "f" and not bool(np.isfinite(array).all()):
        problems.add(f"'{label}' holds values that are no numbers.")


def _check_labels(name: str, labels: Array, problems: Problems) -> None:
    fits = labels.ndim in (1, 2) and labels.size > 0
    if not fits or not np.issubdtype(labels.dtype, np.integer):
        problems.add(f"'{name}' is {labels.dtype}{list(labels.shape)}, not integers [n, L].")
        return
    most = 1 if _is_several(labels) else MAX_CLASSES - 1
    for found in (int(labels.min()), int(labels.max())):
        if not 0 <= found <= most:
            problems.add(f"'{name}' holds {found}; it must be from 0 to {most}.")


def _check_agreement(found: Mapping[str, Part], problems: Problems) -> None:
    """Finds parts whose samples differ from those of the first part."""
    (first, wanted), *others = found.items()
    for part, arrays in others:
        for name in sorted(wanted.keys() ^ arrays.keys()):
            owner, lacking = (first, part) if name in wanted else (part, first)
            problems.add(f"'{owner}' has {name}, '{lacking}' has none.")
        for name in wanted.keys() & arrays.keys() - {GROUPS}:
            mine, theirs = arrays[name], wanted[name]
            if mine.shape[1:] != theirs.shape[1:]:
                shapes = f"{list(mine.shape[1:])}, those in '{first}' {list(theirs.shape[1:])}"
                problems.add(f"{name} in '{part}' have shape {shapes}.")
            if mine.dtype != theirs.dtype and name != LABELS:
                types = f"{mine.dtype}, those in '{first}' {theirs.dtype}"
                problems.add(f"{name} in '{part}' are {types}.")


# ---- samples -------------------------------------------------------------------------------------


def _dataset(name: str, found: Mapping[str, Part]) -> DataSet:
    fields: dict[str, Kind] = {}
    classes = 0
    for own in next(iter(found.values())):
        if own in PICTURES:
            fields[PICTURES[own]] = PICTURES[own]
        elif own == SERIES:
            fields[own] = "image"
        elif own.endswith(MAPS):
            fields[own.removesuffix(MAPS)] = "map"
    if all(LABELS in arrays for arrays in found.values()):
        labels = [arrays[LABELS] for arrays in found.values()]
        kind: Kind = "labels" if _is_several(labels[0]) else "label"
        fields[kind] = kind
        greatest = max(int(each.max()) for each in labels)
        classes = labels[0].shape[1] if kind == "labels" else greatest + 1
    samples = [
        (part, sample) for part, arrays in found.items() for sample in _samples(part, arrays)
    ]
    return DataSet(name, fields, tuple(map(str, range(classes))), in_parts(samples))


def _samples(part: str, arrays: Part) -> list[Sample]:
    columns: dict[str, Array] = {}
    for name, array in arrays.items():
        if name in PICTURES:
            columns[PICTURES[name]] = _channels_first(array)
        elif name == SERIES:
            columns[name] = array
        elif name.endswith(MAPS):
            columns[name.removesuffix(MAPS)] = array[:, None]
    count = len(next(iter(columns.values())))
    groups = arrays[GROUPS].astype(str).tolist() if GROUPS in arrays else [""] * count
    found = []
    for k in range(count):
        values = {name: column[k] for name, column in columns.items()}
        found.append(Sample(f"{part}/{k}", {**values, **_truth(arrays, k)}, groups[k]))
    return found


def _truth(arrays: Part, k: int) -> dict[str, Array | int]:
    if LABELS not in arrays:
        return {}
    labels = arrays[LABELS]
    if _is_several(labels):
        return {"labels": labels[k].astype(np.float32)}
    return {"label": int(labels[k].reshape(()))}


def _is_several(labels: Array) -> bool:
    return labels.ndim == 2 and labels.shape[1] > 1


def _channels_first(images: Array) -> Array:
    """Images as [n, C, H, W] and volumes as [n, C, D, H, W]."""
    if images.ndim == 3 or (images.ndim == 4 and images.shape[3] > MAX_CHANNELS):
        return np.ascontiguousarray(images[:, None])
    return np.ascontiguousarray(np.moveaxis(images, -1, 1))
