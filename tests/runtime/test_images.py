"""Images of every kind are read as they are meant; hostile ones end in a diagnostic."""

from __future__ import annotations

import io
import os
import sys
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow
from pydicom.data import get_testdata_file

from dhc.errors import DhcError
from dhc.ir.graph import Array
from dhc.runtime.data import images
from dhc.runtime.data.images import Image, read_image

posix = pytest.mark.skipif(sys.platform == "win32", reason="files of POSIX systems")

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4)


def _code(path: str | Path) -> str:
    with pytest.raises(DhcError) as caught:
        read_image(path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.message.endswith(".")
    return diagnostic.code


def _example(name: str) -> Path:
    found = get_testdata_file(name, download=False)
    if not isinstance(found, str):
        pytest.skip(f"the DICOM library has no {name}")
    return Path(found)


def _check(image: Image, expected: Array) -> None:
    np.testing.assert_array_equal(image.array, expected)
    assert image.array.dtype == expected.dtype
    assert image.array.flags.c_contiguous
    assert image.array.dtype.isnative


# ---- DICOM ---------------------------------------------------------------------------------------


def test_ct_is_in_hounsfield_units() -> None:
    image = read_image("example:ct")
    dataset = pydicom.dcmread(_example("CT_small.dcm"))
    stored = np.frombuffer(dataset.PixelData, "<i2").reshape(1, 128, 128)
    _check(image, (stored * 1.0 - 1024).astype(np.float32))
    assert image.spacing == tuple(dataset.PixelSpacing)
    assert (image.name, image.modality) == ("CT_small.dcm", "CT")


def test_rescale_tags_are_applied(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(_example("CT_small.dcm"))
    dataset.RescaleSlope, dataset.RescaleIntercept = "0.5", "-100"
    dataset.save_as(tmp_path / "a.dcm")
    stored = dataset.pixel_array
    _check(read_image(tmp_path / "a.dcm"), (stored * 0.5 - 100).astype(np.float32)[None])


@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [
        ("MR_small.dcm", (1, 64, 64), np.float32),
        ("MR_small_RLE.dcm", (1, 64, 64), np.float32),
        ("MR_small_bigendian.dcm", (1, 64, 64), np.float32),
        ("MR_small_implicit.dcm", (1, 64, 64), np.float32),
        ("image_dfl.dcm", (1, 512, 512), np.float32),
        ("JPEG2000.dcm", (1, 1024, 256), np.float32),
        ("rtdose.dcm", (1, 15, 10, 10), np.float32),
        ("SC_rgb_small_odd.dcm", (3, 3, 3), np.uint8),
        ("SC_rgb_rle_16bit.dcm", (3, 100, 100), np.uint16),
        ("SC_rgb_rle_2frame.dcm", (3, 2, 100, 100), np.uint8),
        ("examples_palette.dcm", (3, 350, 800), np.uint16),
    ],
)
def test_kinds_of_dicom(name: str, shape: tuple[int, ...], dtype: type) -> None:
    image = read_image(_example(name))
    assert (image.array.shape, image.array.dtype) == (shape, dtype)


def test_byte_order_and_packing_do_not_matter() -> None:
    expected = read_image("example:mr").array
    for name in ("MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm"):
        _check(read_image(_example(name)), expected)


def test_ultrasound_is_in_rgb() -> None:
    from pydicom.pixels import pixel_array

    expected = pixel_array(_example("examples_ybr_color.dcm"), raw=False)
    _check(read_image("example:us"), np.moveaxis(expected, -1, 0))


def test_colours_of_a_palette_are_looked_up() -> None:
    dataset = pydicom.dcmread(_example("examples_palette.dcm"))
    red = np.frombuffer(dataset.RedPaletteColorLookupTableData, "<u2")
    found = read_image(_example("examples_palette.dcm")).array
    np.testing.assert_array_equal(found[0], red[dataset.pixel_array])


def test_only_what_comes_with_the_library_is_an_example() -> None:
    assert _code("example:pet") == "unknown-example"


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "rtplan.dcm", "test-SR.dcm", "rtstruct.dcm"])
def test_dicom_without_a_whole_image(name: str) -> None:
    assert _code(_example(name)) == "image-decode"


@pytest.mark.parametrize(
    ("tag", "value", "code"),
    [
        ("Rows", 0, "image-decode"),
        ("Rows", 65535, "image-decode"),
        ("BitsAllocated", 7, "image-decode"),
        ("NumberOfFrames", "1000000", "image-size"),
        ("NumberOfFrames", "-1", "image-decode"),
        ("SamplesPerPixel", 65535, "image-size"),
        ("PhotometricInterpretation", "PALETTE COLOR", "image-decode"),
    ],
)
def test_dicom_with_tags_that_lie(tmp_path: Path, tag: str, value: object, code: str) -> None:
    dataset = pydicom.dcmread(_example("CT_small.dcm"))
    setattr(dataset, tag, value)
    dataset.save_as(tmp_path / "a.dcm")
    assert _code(tmp_path / "a.dcm") == code


def test_large_deflated_dicom_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MAX_DEFLATED", 1000)
    assert _code(_example("image_dfl.dcm")) == "image-size"
    read_image("example:ct")


# ---- pictures ------------------------------------------------------------------------------------


def _save(path: Path, picture: Pillow.Image) -> Path:
    picture.save(path)
    return path


@pytest.mark.parametrize("suffix", ["png", "tiff", "bmp", "pgm"])
def test_grey_pictures_keep_their_bytes(tmp_path: Path, suffix: str) -> None:
    path = _save(tmp_path / f"a.{suffix}", Pillow.fromarray(RAMP))
    _check(read_image(path), RAMP[None])


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_grey_pictures_of_16_bits_keep_them(tmp_path: Path, suffix: str) -> None:
    deep = RAMP.astype(np.uint16) * 5001
    path = _save(tmp_path / f"a.{suffix}", Pillow.fromarray(deep))
    _check(read_image(path), deep[None])


def test_pictures_of_the_other_byte_order(tmp_path: Path) -> None:
    deep = RAMP.astype(np.uint16) * 5001
    picture = Pillow.frombytes("I;16B", (4, 3), deep.astype(">u2").tobytes())
    _check(read_image(_save(tmp_path / "a.tiff", picture)), deep[None])


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp", "ppm"])
def test_colour_pictures(tmp_path: Path, suffix: str) -> None:
    colors = np.stack([RAMP, 3 * RAMP, 255 - RAMP], axis=-1)
    options = {"lossless": True} if suffix == "webp" else {}
    Pillow.fromarray(colors).save(tmp_path / f"a.{suffix}", **options)
    _check(read_image(tmp_path / f"a.{suffix}"), np.moveaxis(colors, -1, 0))


def test_jpeg_is_close(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(32), np.arange(32)).astype(np.uint8) * 4
    path = _save(tmp_path / "a.jpg", Pillow.fromarray(smooth))
    found = read_image(path).array.astype(int)
    assert found.shape == (1, 32, 32)
    assert np.abs(found - smooth).max() < 10


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("LA", 1), ("RGBA", 3), ("P", 3), ("CMYK", 3)]
)
def test_other_modes_become_grey_or_rgb(tmp_path: Path, mode: str, channels: int) -> None:
    picture = Pillow.fromarray(np.stack([RAMP * 20] * 3, axis=-1)).convert(mode)
    suffix = "tiff" if mode == "CMYK" else "png"
    found = read_image(_save(tmp_path / f"a.{suffix}", picture)).array
    assert found.shape == (channels, 3, 4)
    assert found.dtype == np.uint8


def test_float_pictures_keep_their_values(tmp_path: Path) -> None:
    values = RAMP.astype(np.float32) / 7
    path = _save(tmp_path / "a.tiff", Pillow.fromarray(values))
    _check(read_image(path), values[None])


def test_postscript_runs_nothing(tmp_path: Path) -> None:
    """Pillow would start Ghostscript for it."""
    text = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    (tmp_path / "a.eps").write_text(text)
    (tmp_path / "a.png").write_text(text)
    assert _code(tmp_path / "a.eps") == _code(tmp_path / "a.png") == "image-decode"


# ---- arrays and volumes --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">i2", "u1", "?"])
def test_arrays_keep_their_type(tmp_path: Path, dtype: str) -> None:
    values = RAMP.astype(dtype)
    np.save(tmp_path / "a.npy", values)
    _check(read_image(tmp_path / "a.npy"), values.astype(values.dtype.newbyteorder("=")))


def test_arrays_in_column_order(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(RAMP))
    _check(read_image(tmp_path / "a.npy"), RAMP)


@pytest.mark.parametrize("dtype", ["c8", "U3", "S3", "M8[s]", "f4,f4"])
def test_arrays_of_other_things(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3, dtype))
    assert _code(tmp_path / "a.npy") == "image-type"


def _npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data


def _pickled() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], object), allow_pickle=True)
    return stream.getvalue()


def _zipped() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=RAMP)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        _pickled(),
        _zipped(),
        b"\x80\x04\x95\x00",
        _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }"),
        _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", bytes(5)),
        _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", bytes(64)),
        _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9e9,), }", bytes(64)),
        _npy("__import__('os').abort()"),
        _npy("(" * 5000),
        _npy("{'descr': 'O', 'fortran_order': False, 'shape': (2,), }", bytes(64)),
        _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", bytes(8), b"\x09\x00"),
    ],
)
def test_hostile_arrays(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    assert _code(tmp_path / "a.npy") == "image-decode"


def test_volumes_lie_depth_first(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)  # x, y, z
    volume = nibabel.Nifti1Image(values, np.diag([1.0, 2.0, 3.0, 1.0]))
    for name in ("a.nii", "a.nii.gz"):
        nibabel.save(volume, tmp_path / name)
        image = read_image(tmp_path / name)
        _check(image, values.T[None].astype(np.float32))
        assert image.spacing == (3.0, 2.0, 1.0)


def test_channels_of_a_volume_come_first(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    values = np.arange(48, dtype=np.int16).reshape(2, 3, 4, 2)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii")
    _check(read_image(tmp_path / "a.nii"), values.T.astype(np.float32))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("content", [b"", b"text", bytes(352), b"\x1f\x8b\x08" + bytes(40)])
def test_hostile_volumes(tmp_path: Path, name: str, content: bytes) -> None:
    pytest.importorskip("nibabel")
    (tmp_path / name).write_bytes(content)
    assert _code(tmp_path / name) == "image-decode"


# ---- whatever lies on a disk ---------------------------------------------------------------------


def test_what_is_no_file(tmp_path: Path) -> None:
    assert _code(tmp_path) == "image-file"
    assert _code(tmp_path / "missing.png") == "image-file"
    assert _code(tmp_path / "a\0b.png") == "image-file"


@posix
def test_pipes_and_devices_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert _code(tmp_path / "a.png") == "image-file"
    assert _code("/dev/zero") == "image-file"


@pytest.mark.parametrize("name", ["a.png", "a.dcm", "a.txt", "a"])
@pytest.mark.parametrize("content", [b"", b"some text\n" * 50, bytes(200), bytes(128) + b"DICM"])
def test_files_that_hold_no_image(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert _code(tmp_path / name) == "image-decode"


@pytest.mark.filterwarnings("ignore")  # of the decoders
@pytest.mark.parametrize("kind", ["png", "tiff", "jpg", "dcm", "npy"])
def test_truncated_files(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    noise = np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.uint8)
    if kind == "dcm":
        path.write_bytes(_example("CT_small.dcm").read_bytes())
    elif kind == "npy":
        np.save(path, noise)
    else:
        _save(path, Pillow.fromarray(noise))
    content = path.read_bytes()
    for part in (0.01, 0.1, 0.5, 0.9):
        path.write_bytes(content[: int(len(content) * part)])
        assert _code(path) == "image-decode"


def test_limits_of_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", RAMP)
    _save(tmp_path / "a.png", Pillow.fromarray(RAMP))
    monkeypatch.setattr(images, "MAX_ELEMENTS", 11)
    for path in (tmp_path / "a.npy", tmp_path / "a.png", _example("CT_small.dcm")):
        assert _code(path) == "image-size"
    monkeypatch.setattr(images, "MAX_BYTES", 10)
    assert _code(tmp_path / "a.npy") == "image-size"


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """A png of a few hundred bytes may say that it has 60000 x 60000 pixels."""
    stream = io.BytesIO()
    Pillow.new("L", (8, 8)).save(stream, "PNG")
    content = bytearray(stream.getvalue())
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(content)
    assert _code(tmp_path / "a.png") in ("image-size", "image-decode")
