"""Hostile artifacts end in a diagnostic: nothing in them is run, and nothing grows without end."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

import dhc
from dhc.errors import DhcError
from dhc.ir.graph import Array, Constant, Graph, Input, Op
from dhc.ir.scalar import Scalar
from dhc.ir.size import Size, symbol
from dhc.ir.types import DType, Tensor
from dhc.opening import open_program
from dhc.ops.activation import Relu
from dhc.ops.base import Index, Operand, Operator, Structured, forget, op
from dhc.ops.conv_transpose import ConvTranspose
from dhc.ops.elementwise import Add
from dhc.ops.movement import Expand
from dhc.ops.region import Region
from dhc.runtime import artifact
from dhc.runtime.artifact import Artifact, ArtifactFile, write_artifact
from dhc.runtime.cache import ObjectCache

X = np.random.default_rng(0).standard_normal((1, 1, 5, 6)).astype(np.float32)
PARTS = ("manifest.json", "program.txt", "weights.safetensors", "constants.safetensors")

pytestmark = pytest.mark.usefixtures("cache_folder")


def _parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _pack(path: Path, parts: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def _replace(path: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    parts = _parts(path)
    parts[name] = change(parts[name])
    _pack(path, parts)


def _refused(path: Path) -> DhcError:
    """What opening, running and reading the weights say."""
    with pytest.raises(DhcError) as caught:
        _use(path)
    return caught.value


def _use(path: Path) -> dict[str, Array]:
    program = open_program(path)
    found = program(**dict.fromkeys(program.inputs, X))
    program.parameters()
    return found


def _code(path: Path) -> str:
    (diagnostic,) = _refused(path).diagnostics
    assert diagnostic.message.endswith(".")
    return diagnostic.code


# ---- damaged and hostile files -------------------------------------------------------------------


def test_missing_files_and_folders(tmp_path: Path) -> None:
    assert _code(tmp_path / "no.dhx") == "artifact-file"
    (tmp_path / "folder.dhx").mkdir()
    assert _code(tmp_path / "folder.dhx") == "artifact-file"


@pytest.mark.parametrize("content", [b"", b"dhm 1\n", b"PK\x05\x06" + bytes(18), b"\x7fELF" * 99])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.dhx").write_bytes(content)
    assert _code(tmp_path / "net.dhx") == "artifact-damaged"


@pytest.mark.parametrize("name", PARTS)
def test_missing_parts_are_noticed(path: Path, name: str) -> None:
    parts = _parts(path)
    del parts[name], parts["weights.image"]
    parts["manifest.json"] = parts.get("manifest.json", b"").replace(b"image_of", b"image_off")
    if name == "manifest.json":
        del parts[name]
    _pack(path, parts)
    assert _code(path) == "artifact-damaged"


def test_truncated_files_are_refused(path: Path) -> None:
    content = path.read_bytes()
    for length in range(0, len(content), max(1, len(content) // 40)):
        path.write_bytes(content[:length])
        assert _code(path) == "artifact-damaged"


def test_flipped_bits_are_noticed_or_change_nothing(path: Path) -> None:
    content = path.read_bytes()
    expected = open_program(path)(x=X)["y"]
    random = np.random.default_rng(0)
    for place in random.integers(0, len(content), 150).tolist():
        flipped = content[place] ^ (1 << int(random.integers(8)))
        path.write_bytes(content[:place] + bytes([flipped]) + content[place + 1 :])
        found = None
        with suppress(DhcError):
            found = _use(path)["y"]
        if found is not None:
            np.testing.assert_array_equal(found, expected)


MANIFEST = {
    "format": "dhx", "version": 1, "entry": "g", "target": "cpu", "threads": 0,
    "precision": "f32", "options": {}, "image_of": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"version": 2}, "artifact-version"),
        ({"version": "1"}, "artifact-damaged"),
        ({"version": True}, "artifact-damaged"),
        ({"version": None}, "artifact-damaged"),
        ({"format": "zip"}, "artifact-damaged"),
        ({"target": 3}, "artifact-damaged"),
        ({"target": "cupu"}, "unknown-target"),
        ({"target": "../../evil"}, "unknown-target"),
        ({"threads": "4"}, "artifact-damaged"),
        ({"threads": 1e300}, "artifact-damaged"),
        ({"threads": -1}, "target-threads"),
        ({"threads": 10**9}, "target-threads"),
        ({"precision": ["f32"]}, "artifact-damaged"),
        ({"precision": "f8"}, "target-precision"),
        ({"options": []}, "artifact-damaged"),
        ({"options": {"isa": ["avx2"]}}, "artifact-damaged"),
        ({"options": {"isa": None}}, "artifact-damaged"),
        ({"options": {"isa": 3}}, "target-option"),
        ({"options": {"command": "rm"}}, "target-option"),
    ],
    ids=str,
)
def test_manifests_of_the_wrong_kind(path: Path, change: dict[str, object], code: str) -> None:
    text = json.dumps({**MANIFEST, **change}).encode()
    _replace(path, "manifest.json", lambda _: text)
    assert _code(path) == code


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"3", b"null", b"{", b"\xff\xfe", b"{}", b"[" * 200_000, b"9" * 100_000],
    ids=lambda text: repr(text[:6]),
)
def test_manifests_that_are_none(path: Path, text: bytes) -> None:
    _replace(path, "manifest.json", lambda _: text)
    assert _code(path) == "artifact-damaged"


def _tensors(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        struct.pack("<Q", 1 << 62),
        b"\x80\x04\x95",
        _tensors([]),
        _tensors({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}}, bytes(4)),
        _tensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 1 << 40]}}, bytes(4)),
        _tensors({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}, bytes(4)),
        _tensors({"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}, bytes(4)),
    ],
)
@pytest.mark.parametrize("name", ["weights.safetensors", "constants.safetensors"])
def test_tensors_of_the_wrong_kind(path: Path, name: str, content: bytes) -> None:
    parts = {k: v for k, v in _parts(path).items() if k != "weights.image"}
    manifest = json.loads(parts["manifest.json"])
    parts["manifest.json"] = json.dumps({**manifest, "image_of": ""}).encode()
    _pack(path, {**parts, name: content})
    assert _code(path) == "artifact-damaged"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda w: {}, "weights-missing"),
        (lambda w: {**w, "more": np.zeros(3)}, "weights-extra"),
        (lambda w: {k: np.zeros((9, 9)) for k in w}, "weights-shape"),
        (lambda w: {k: v.astype(np.complex64) for k, v in w.items()}, "weights-type"),
    ],
)
def test_weights_of_another_program(
    path: Path, change: Callable[[dict[str, Array]], dict[str, Array]], code: str
) -> None:
    program = open_program(path)
    parts = _parts(path)
    manifest = json.loads(parts["manifest.json"])
    parts["manifest.json"] = json.dumps({**manifest, "image_of": ""}).encode()
    parts["weights.safetensors"] = save(change(program.parameters()))
    _pack(path, parts)
    assert {d.code for d in _refused(path).diagnostics} == {code}


# ---- sizes that lie ------------------------------------------------------------------------------


def _bomb(size: int) -> bytes:
    """A zip archive whose members are zeros."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in PARTS:
            archive.writestr(name, bytes(size))
    return stream.getvalue()


def test_bombs_are_not_unpacked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "MAX_MANIFEST", 1 << 16)
    path.write_bytes(_bomb((1 << 16) + 1))
    assert _code(path) == "artifact-damaged"


@pytest.mark.parametrize("limit", ["MAX_PROGRAM", "MAX_WEIGHTS"])
def test_every_part_has_a_limit(path: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(artifact, limit, 10)
    assert _code(path) == "artifact-damaged"


@pytest.mark.parametrize("claimed", [0, 5, 1 << 31])
def test_members_have_the_size_that_they_say(path: Path, claimed: int) -> None:
    parts = _parts(path)
    _pack(path, parts, zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = content.find(signature)
        content[place + offset : place + offset + 4] = struct.pack("<I", claimed)
    path.write_bytes(content)
    assert _code(path) == "artifact-damaged"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED])
def test_weights_are_never_unpacked(path: Path, method: int) -> None:
    _pack(path, _parts(path), method)
    assert "packed in an unexpected way" in str(_refused(path))


# ---- programs that lie ---------------------------------------------------------------------------

LIES = {
    "another operator": ("relu(", "explode("),
    "another type": ("f32[1, 2, 5, 6]  ", "f32[1, 2, 500, 6]"),
    "no text": ("dhc-graph 1", "\x00\x01"),
    "newer text": ("dhc-graph 1", "dhc-graph 2"),
    "another input": ("f32[1, 1, 5, 6]", "f32[1, 3, 5, 6]"),
    "a negative size": ("f32[1, 1, 5, 6]", "f32[1, 1, -5, 6]"),
    "another stride": ("stride: (1, 1)", "stride: (0, 0)"),
    "a missing input": ("inputs (%x)", "inputs ()"),
    "no end": ("}", ""),
}


@pytest.mark.parametrize("lie", LIES)
def test_programs_that_make_no_sense(path: Path, lie: str) -> None:
    old, new = (text.strip().encode() for text in LIES[lie])
    assert old in _parts(path)["program.txt"]
    _replace(path, "program.txt", lambda text: text.replace(old, new))
    assert _refused(path).diagnostics


def test_what_passes_make_is_refused(tmp_path: Path) -> None:
    """A fused region promises what cannot be checked, such as the types that its body reads."""
    large, small = (Input(name, Tensor(DType.F32, (n,)))() for name, n in (("0", 9999), ("x", 5)))
    region = Region(Graph("body", (large,), (("y", Relu()(large)),)))(small)
    graph = Graph("g", (small,), (("y", region),))
    write_artifact(tmp_path / "g.dhx", Artifact(graph, {}, dhc.Target("cpu")))
    with pytest.raises(DhcError, match="'region' cannot stand in a program"):
        open_program(tmp_path / "g.dhx")


def test_missing_constants_are_noticed(tmp_path: Path) -> None:
    x = Input("x", Tensor(DType.F32, (3,)))()
    total = Add()(x, Constant("abc", Tensor(DType.F32, (3,)))())
    graph = Graph("g", (x,), (("y", total),), constants={"abc": np.zeros(3, np.float32)})
    for constants in ({}, {"abc": np.zeros(4, np.float32)}, {"abc": np.zeros(3)}):
        changed = replace(graph, constants=constants)
        write_artifact(tmp_path / "g.dhx", Artifact(changed, {}, dhc.Target("cpu")))
        with pytest.raises(DhcError, match=r"The constant|The data of the constant"):
            ArtifactFile(tmp_path / "g.dhx").graph  # noqa: B018


def test_nothing_is_compiled_from_a_file_that_is_refused(path: Path, cache_folder: Path) -> None:
    ObjectCache(cache_folder).clear()
    _replace(path, "program.txt", lambda text: text.replace(b"f32[1, 2, 5, 6]", b"f32[1, 2, 9, 6]"))
    _refused(path)
    assert ObjectCache(cache_folder).usage().entries == 0


@pytest.fixture
def shift() -> Iterator[type[Operator]]:
    """An operator that believes its attribute."""

    @op("shift")
    class Shift(Structured):
        by: int = 0

        def infer(self, x: Tensor) -> Tensor:
            return x

        def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
            return x[(index[0] + self.by,)]

    yield Shift
    forget("shift")


@pytest.mark.parametrize("size", [8, symbol("N")])
def test_attributes_that_read_outside_are_refused(
    tmp_path: Path, shift: Callable[[int], Op], size: Size
) -> None:
    x = Input("x", Tensor(DType.F32, (size,)))()
    graph = Graph("g", (x,), (("y", shift(1)(x)),))
    write_artifact(tmp_path / "g.dhx", Artifact(graph, {}, dhc.Target("cpu")))
    with pytest.raises(DhcError, match="makes no sense") as caught:
        open_program(tmp_path / "g.dhx")(x=np.zeros(8, np.float32))
    assert "is outside 0..7" in caught.value.diagnostics[0].notes[0]


def test_attributes_that_backends_divide_by_are_refused(tmp_path: Path) -> None:
    x = Input("x", Tensor(DType.F32, (1, 1, 5)))()
    weight = Input("w", Tensor(DType.F32, (1, 1, 3)))()
    node = ConvTranspose((0,), ((1, 1),), (0,), (1,))(x, weight)
    graph = Graph("g", (x, weight), (("y", node),))
    write_artifact(tmp_path / "g.dhx", Artifact(graph, {}, dhc.Target("cpu")))
    with pytest.raises(DhcError, match="makes no sense"):
        open_program(tmp_path / "g.dhx")


@pytest.mark.parametrize("shape", [(-3, 8), (1 << 40, 8), (1 << 62, 1 << 62, 8)])
def test_results_that_no_memory_holds_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    x = Input("x", Tensor(DType.F32, (8,)))()
    graph = Graph("g", (x,), (("y", Expand(shape)(x)),))
    write_artifact(tmp_path / "g.dhx", Artifact(graph, {}, dhc.Target("cpu")))
    with pytest.raises(DhcError, match="cannot exist"):
        open_program(tmp_path / "g.dhx")
