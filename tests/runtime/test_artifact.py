"""Artifacts: what is saved comes back, on this machine and on others."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

import dhc
from dhc.api import Model
from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.ir.graph import Constant, Graph, Input
from dhc.ir.types import DType, Tensor
from dhc.opening import open_program
from dhc.ops.elementwise import Add
from dhc.runtime.cache import ObjectCache
from dhc.runtime.program import Program

SIZES = {"N": 1, "H": 5, "W": 6}
X = np.random.default_rng(0).standard_normal((1, 1, 5, 6)).astype(np.float32)

pytestmark = pytest.mark.usefixtures("cache_folder")


def _parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _pack(path: Path, parts: Mapping[str, bytes], packed: Sequence[str] = ()) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            method = zipfile.ZIP_DEFLATED if name in packed else zipfile.ZIP_STORED
            archive.writestr(name, content, method)


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
    _pack(path, parts, ("weights.image",) if what == "packed" else ())
    np.testing.assert_array_equal(open_program(path)(x=X)["y"], expected)
    assert len(loads) == 1


def test_a_damaged_image_is_found(path: Path) -> None:
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("weights.image").header_offset
    place = start + 30 + len("weights.image") + 5
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(DhcError, match="is not a whole"):
        open_program(path)
