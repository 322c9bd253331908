"""Reads images: DICOM with its rescale tags, plain pictures, NIfTI volumes and .npy arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Array

if TYPE_CHECKING:
    from pydicom import Dataset

MAX_BYTES = 1 << 31
MAX_ELEMENTS = 1 << 29

EXAMPLES = ("ct", "mr", "us")


@dataclass(frozen=True)
class Image:
    """One image with what is needed to interpret it.

    Attributes:
        array: [channels, height, width], or [channels, depth, height, width] for a volume. DICOM
            values are rescaled, so CT is in Hounsfield units; pictures keep their integers.
        spacing: Millimetres between elements along each spatial axis, if the file says so.
        name: For people.
        modality: DICOM's word for the kind of image, such as CT, or "".
    """

    array: Array
    spacing: tuple[float, ...] | None
    name: str
    modality: str = ""


def read_image(source: str | Path) -> Image:
    """Reads an image file.

    Args:
        source: A path, or `example:ct`, `example:mr`, `example:us` for a real image that comes with
            the DICOM library.

    Raises:
        DhcError: if the file is missing, too large, of an unknown kind, or cannot be decoded.
    """
    path = _example(str(source)) if str(source).startswith("example:") else Path(source)
    _check_file(path)
    suffixes = "".join(path.suffixes[-2:]).lower()
    if suffixes.endswith(".npy"):
        return _read_npy(path)
    if suffixes.endswith((".nii", ".nii.gz")):
        return _read_nifti(path)
    if _is_dicom(path):
        return _read_dicom(path)
    return _read_picture(path)


def _fail(code: str, message: str, *hints: str) -> DhcError:
    return DhcError(Diagnostic(code, message, hints=hints))


def _example(source: str) -> Path:
    from pydicom.data import get_testdata_file

    kind = source.removeprefix("example:")
    names = {"ct": "CT_small.dcm", "mr": "MR_small.dcm", "us": "examples_ybr_color.dcm"}
    if kind not in names:
        raise _fail("unknown-example", f"There is no example '{kind}'.", f"use {', '.join(names)}")
    found = get_testdata_file(names[kind], download=False)
    if not isinstance(found, str):
        raise _fail("unknown-example", f"The installed DICOM library has no '{names[kind]}'.")
    return Path(found)


def _check_file(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise _fail(
            "image-file", f"The image '{path}' cannot be read: {error.strerror}."
        ) from error
    if path.is_dir() or size > MAX_BYTES:
        what = "is a folder" if path.is_dir() else f"has more than {MAX_BYTES} bytes"
        raise _fail("image-file", f"'{path}' {what}.")


def _check_elements(path: Path, count: int) -> None:
    if count > MAX_ELEMENTS:
        raise _fail("image-size", f"'{path}' has more than {MAX_ELEMENTS} elements.")


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _read_dicom(path: Path) -> Image:
    import pydicom
    from pydicom.pixels.processing import apply_modality_lut

    try:
        dataset = pydicom.dcmread(path)
        _check_elements(path, _declared_elements(dataset))
        stored = dataset.pixel_array
        values = np.asarray(apply_modality_lut(stored, dataset))
    except DhcError:
        raise
    except Exception as error:  # decoders raise whatever they like on damaged files
        hint = "install the extra 'formats' for compressed DICOM"
        raise _fail(
            "image-decode", f"The DICOM file '{path}' cannot be decoded: {error}", hint
        ) from error
    color = int(dataset.get("SamplesPerPixel", 1)) > 1
    array = np.moveaxis(values, -1, 0) if color else values[None].astype(np.float32)
    return Image(
        np.ascontiguousarray(array),
        _dicom_spacing(dataset),
        path.name,
        str(dataset.get("Modality", "")),
    )


def _declared_elements(dataset: Dataset) -> int:
    names = ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames")
    return int(np.prod([max(int(dataset.get(name, 1) or 1), 1) for name in names], dtype=object))


def _dicom_spacing(dataset: Dataset) -> tuple[float, ...] | None:
    spacing = dataset.get("PixelSpacing")
    return None if spacing is None else tuple(float(value) for value in spacing)


def _read_picture(path: Path) -> Image:
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    try:
        with Pillow.open(path) as picture:
            _check_elements(path, picture.width * picture.height * 4)
            grey = picture.mode in ("1", "L", "I;16", "I", "F")
            array = np.asarray(picture if grey else picture.convert("RGB"))
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        Pillow.DecompressionBombError,
    ) as error:
        raise _fail("image-decode", f"The picture '{path}' cannot be decoded: {error}.") from error
    return Image(np.ascontiguousarray(np.moveaxis(np.atleast_3d(array), -1, 0)), None, path.name)


def _read_npy(path: Path) -> Image:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        _check_elements(path, array.size)
        return Image(np.array(array), None, path.name)
    except (ValueError, OSError, EOFError) as error:
        raise _fail("image-decode", f"The array '{path}' cannot be read: {error}.") from error


def _read_nifti(path: Path) -> Image:
    try:
        import nibabel
    except ImportError as error:
        raise _fail(
            "missing-library", "NIfTI needs the extra 'formats'.", "pip install dhc[formats]"
        ) from error
    try:
        volume = nibabel.load(path)
        _check_elements(path, int(np.prod(volume.shape, dtype=object)))
        values = np.asarray(volume.dataobj, np.float32)
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise _fail("image-decode", f"The volume '{path}' cannot be read: {error}.") from error
    spacing = tuple(float(v) for v in volume.header.get_zooms()[:3])
    return Image(np.ascontiguousarray(values.T[None]), spacing[::-1], path.name)
