"""Reads images: DICOM with its rescale tags, plain pictures, NIfTI volumes and .npy arrays."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Array
from dhc.ir.types import dtype_of

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from pydicom import Dataset

MAX_BYTES = 1 << 31
MAX_ELEMENTS = 1 << 29
MAX_DEFLATED = 1 << 22  # bytes of a deflated DICOM file, which may unpack to a thousand times that

EXAMPLES = {"ct": "CT_small.dcm", "mr": "MR_small.dcm", "us": "examples_ybr_color.dcm"}
# Without those that Pillow hands to other programs, such as EPS to Ghostscript.
PICTURE_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000")
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")


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
    name = path.name.lower()
    if name.endswith(".npy"):
        return _read_npy(path)
    if name.endswith((".nii", ".nii.gz")):
        return _read_nifti(path)
    if name.endswith(DICOM_SUFFIXES) or _is_dicom(path):
        return _read_dicom(path)
    return _read_picture(path)


def _image(
    path: Path, array: Array, spacing: tuple[float, ...] | None = None, modality: str = ""
) -> Image:
    """An image whose elements lie in order, in this machine's byte order.

    Raises:
        DhcError: if the language has no such elements.
    """
    native = array.astype(array.dtype.newbyteorder("="), order="C", copy=True)
    try:
        dtype_of(native)
    except ValueError as error:
        raise _fail("image-type", f"'{path}' has elements of type {array.dtype}.") from error
    return Image(native, spacing, path.name, modality)


def _undecodable(what: str, path: Path, error: Exception, *hints: str) -> DhcError:
    reason = str(error).rstrip(".") or type(error).__name__
    return _fail("image-decode", f"The {what} '{path}' cannot be decoded: {reason}.", *hints)


def _fail(code: str, message: str, *hints: str) -> DhcError:
    return DhcError(Diagnostic(code, message, hints=hints))


def _example(source: str) -> Path:
    from pydicom.data import get_testdata_file

    kind = source.removeprefix("example:")
    if kind not in EXAMPLES:
        hint = f"use {', '.join(EXAMPLES)}"
        raise _fail("unknown-example", f"There is no example '{kind}'.", hint)
    found = get_testdata_file(EXAMPLES[kind], download=False)
    if not isinstance(found, str):
        raise _fail("unknown-example", f"The installed DICOM library has no '{EXAMPLES[kind]}'.")
    return Path(found)


def _check_file(path: Path) -> None:
    try:
        found = path.stat()
        regular = stat.S_ISREG(found.st_mode)
        if regular:
            path.open("rb").close()
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error).lower()
        raise _fail("image-file", f"The image '{path}' cannot be read: {reason}.") from error
    if path.is_dir():
        raise _fail("image-file", f"'{path}' is a folder.", "name the files in it")
    if not regular:
        raise _fail("image-file", f"'{path}' is no ordinary file.")
    if found.st_size > MAX_BYTES:
        raise _fail("image-size", f"'{path}' has more than {MAX_BYTES} bytes.")


def _check_elements(path: Path, count: int) -> None:
    if count > MAX_ELEMENTS:
        raise _fail("image-size", f"'{path}' has more than {MAX_ELEMENTS} elements.")


# ---- DICOM ---------------------------------------------------------------------------------------


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _read_dicom(path: Path) -> Image:
    import pydicom
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

    try:
        _check_deflated(path)
        dataset = pydicom.dcmread(path, force=True)
        _check_elements(path, _declared_elements(dataset))
        stored = dataset.pixel_array
        palette = dataset.PhotometricInterpretation == "PALETTE COLOR"
        adjust = apply_color_lut if palette else apply_modality_lut
        values = np.asarray(adjust(stored, dataset))
        color = palette or int(dataset.get("SamplesPerPixel", 1)) > 1
        array = np.moveaxis(values, -1, 0) if color else values[None].astype(np.float32)
        spacing, modality = _dicom_spacing(dataset), str(dataset.get("Modality", ""))
    except DhcError:
        raise
    except Exception as error:  # decoders raise whatever they like on damaged files
        hint = "install the extra 'formats' for compressed DICOM"
        raise _undecodable("DICOM file", path, error, hint) from error
    return _image(path, array, spacing, modality)


def _check_deflated(path: Path) -> None:
    """Refuses large deflated files, because the library unpacks them whole before it looks."""
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    if not _is_dicom(path) or path.stat().st_size <= MAX_DEFLATED:
        return
    if read_file_meta_info(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        hint = "unpack it first, for example with dcmconv"
        raise _fail("image-size", f"The deflated '{path}' is larger than 4 MiB.", hint)


def _declared_elements(dataset: Dataset) -> int:
    names = ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames")
    return int(np.prod([max(int(dataset.get(name, 1) or 1), 1) for name in names], dtype=object))


def _dicom_spacing(dataset: Dataset) -> tuple[float, ...] | None:
    spacing = dataset.get("PixelSpacing")
    return None if not spacing else tuple(float(value) for value in spacing)


# ---- others --------------------------------------------------------------------------------------


def _read_picture(path: Path) -> Image:
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    try:
        with Pillow.open(path, formats=PICTURE_FORMATS) as picture:
            _check_elements(path, picture.width * picture.height * 4)
            array = np.asarray(_plain(picture))
    except DhcError:
        raise
    except UnidentifiedImageError as error:
        formats = ", ".join(PICTURE_FORMATS)
        text = f"The picture '{path}' cannot be decoded: it is of no known kind."
        raise _fail("image-decode", text, f"use DICOM, NIfTI, .npy, {formats}") from error
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise _undecodable("picture", path, error) from error
    return _image(path, np.moveaxis(np.atleast_3d(array), -1, 0))


def _plain(picture: Picture) -> Picture:
    """The picture with one channel of whatever depth, or three of 8 bits."""
    if picture.mode in ("L", "I", "F") or picture.mode.startswith("I;16"):
        return picture
    return picture.convert("L" if picture.mode in ("1", "LA", "La") else "RGB")


def _read_npy(path: Path) -> Image:
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # the header may be anything
        raise _undecodable("array", path, error) from error
    _check_elements(path, array.size)
    return _image(path, np.asarray(array))


def _read_nifti(path: Path) -> Image:
    try:
        import nibabel
    except ImportError as error:
        raise _fail(
            "missing-library", "NIfTI needs the extra 'formats'.", "pip install dhc[formats]"
        ) from error
    try:
        volume: Any = nibabel.load(path)  # its classes say nothing of volumes
        _check_elements(path, int(np.prod(volume.shape, dtype=object)))
        values = np.asarray(volume.dataobj, np.float32)
        spacing = tuple(float(v) for v in volume.header.get_zooms()[:3])
    except DhcError:
        raise
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise _undecodable("volume", path, error) from error
    if values.ndim not in (2, 3, 4):
        raise _fail("image-shape", f"The volume '{path}' has {values.ndim} axes; 2 to 4 are known.")
    array = values.T if values.ndim == 4 else values.T[None]  # the fourth axis holds channels
    return _image(path, array, spacing[::-1])
