"""Artifacts: what is saved comes back, and hostile files end in a diagnostic."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

import dhc
from dhc.api import Model
from dhc.driver import compile_graph, open_program
from dhc.errors import DhcError
from dhc.ir.graph import Array, Constant, Graph, Input
from dhc.ir.types import DType, Tensor
from dhc.ops.activation import Relu
from dhc.ops.elementwise import Add
from dhc.ops.region import Region
from dhc.runtime import artifact
from dhc.runtime.artifact import Artifact, ArtifactFile, write_artifact
from dhc.runtime.cache import ObjectCache
from dhc.runtime.program import Program

SIZES = {"N": 1, "H": 5, "W": 6}
X = np.random.default_rng(0).standard_normal((1, 1, 5, 6)).astype(np.float32)
PARTS = ("manifest.json", "program.txt", "weights.safetensors", "constants.safetensors")

pytestmark = pytest.mark.usefixtures("cache_folder")


@pytest.fixture
def path(model: Model, tmp_path: Path) -> Path:
    """An artifact of one size for the processor."""
    dhc.compile(model, "cpu", SIZES).save(tmp_path / "net.dhx")
    return tmp_path / "net.dhx"


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


# ---- round trip ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [SIZES, {}], ids=["one size", "open sizes"])
@pytest.mark.parametrize(
    "target",
    [
        dhc.Target("cpu", 1, options={"isa": "generic", "portable": True}),
        dhc.Target("reference", precision="f64"),
        dhc.Target("opencl", options={"threads": 32}),
    ],
    ids=["cpu", "reference", "opencl"],
)
def test_what_is_saved_comes_back(
    model: Model, tmp_path: Path, target: dhc.Target, sizes: dict[str, int]
) -> None:
    program = dhc.compile(model, target, sizes)
    program.load_parameters({path: 3 * v for path, v in program.parameters().items()})
    program.save(tmp_path / "net.dhx")
    opened = dhc.open(tmp_path / "net.dhx")
    assert opened.target == target
    assert opened.inputs == program.inputs
    assert opened.graph == program.graph
    np.testing.assert_array_equal(opened(x=X)["y"], program(x=X)["y"])
    for name, value in program.parameters().items():
        np.testing.assert_array_equal(opened.parameters()[name], value)


@pytest.mark.parametrize("target", ["cpu", "reference"])
def test_constants_come_back(tmp_path: Path, target: str) -> None:
    table = np.arange(6, dtype=np.float32).reshape(2, 3)
    x = Input("x", Tensor(DType.F32, (2, 3)))()
    total = Add()(x, Constant("abc", Tensor(DType.F32, (2, 3)))())
    graph = Graph("g", (x,), (("y", total),), constants={"abc": table})
    compile_graph(graph, target).save(tmp_path / "g.dhx")
    found = open_program(tmp_path / "g.dhx")
    np.testing.assert_array_equal(found(x=table)["y"], 2 * table)


def test_an_opened_program_can_be_saved_over_its_file(path: Path) -> None:
    program = open_program(path)
    expected = program(x=X)["y"]
    program.save(path)
    np.testing.assert_array_equal(open_program(path)(x=X)["y"], expected)


def test_a_machine_without_the_program_compiles_it(
    path: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = open_program(path)(x=X)["y"]
    monkeypatch.setenv("DHC_CACHE", str(tmp_path / "other"))
    np.testing.assert_array_equal(open_program(path)(x=X)["y"], expected)
    kept = ObjectCache(cache_folder).usage().entries
    assert ObjectCache(tmp_path / "other").usage().entries == kept == 1


def test_an_interrupted_save_leaves_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()
    program = open_program(path)

    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("safetensors.numpy.save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        program.save(path)
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == ["cache", "net.dhx"]


# ---- the weights as they lie in memory -----------------------------------------------------------


def _loads(monkeypatch: pytest.MonkeyPatch) -> list[Program]:
    """Programs that had to compute their weights, as they do so."""
    found: list[Program] = []
    load = Program._load

    def counted(self: Program, *rest: object) -> None:
        found.append(self)
        load(self, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Program, "_load", counted)
    return found


def test_the_image_of_weights_is_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = open_program(path)(x=X)["y"]
    loads = _loads(monkeypatch)
    np.testing.assert_array_equal(open_program(path)(x=X)["y"], expected)
    assert not loads


@pytest.mark.parametrize("what", ["another program", "another size", "none", "packed"])
def test_another_image_is_not_used(path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    expected = open_program(path)(x=X)["y"]
    loads = _loads(monkeypatch)
    parts = _parts(path)
    if what == "another program":
        manifest = json.loads(parts["manifest.json"])
        parts["manifest.json"] = json.dumps({**manifest, "image_of": "0" * 64}).encode()
    if what == "another size":
        parts["weights.image"] += bytes(64)
    if what == "none":
        manifest = json.loads(parts.pop("manifest.json"))
        parts = {"manifest.json": json.dumps({**manifest, "image_of": 3}).encode(), **parts}
        del parts["weights.image"]
    compression = zipfile.ZIP_STORED
    if what == "packed":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                packed = name == "weights.image"
                archive.writestr(name, content, zipfile.ZIP_DEFLATED if packed else compression)
    else:
        _pack(path, parts)
    np.testing.assert_array_equal(open_program(path)(x=X)["y"], expected)
    assert len(loads) == 1


def test_a_damaged_image_is_found(path: Path) -> None:
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("weights.image").header_offset
    place = start + 30 + len("weights.image") + 5
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    assert _code(path) == "artifact-damaged"


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
