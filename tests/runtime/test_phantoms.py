"""Phantom data sets: the same bytes on every run, labelled synthetic, whole or not there."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dhc.errors import DhcError
from dhc.runtime.data.dataset import DataSet, open_dataset
from dhc.runtime.data.images import read_image
from dhc.runtime.synthetic import catalog
from dhc.runtime.synthetic.catalog import CATALOG, clear_phantoms, kept_phantoms
from dhc.runtime.synthetic.phantom import Tell

TINY = "lung_nodules_tiny"
QUICK = "ct_perfusion_tiny"
# If a drawing changes on purpose, its version in the catalog must, and then its digest here.
DIGESTS = {
    "lung_nodules_tiny": "9b0e0508a2d8308f36b11a799fcab3f2724d5675f5330d6226f197995571afa9",
    "ct_perfusion_tiny": "d8d48fd7f5649c80a454058bd563f201c4d55ec660b3b8748b477391e8d35e36",
    "tissue_textures_tiny": "b7383ceecbdd1ad80a980dca2f02e57cb6fa9e9ed414b91bc2498ed32c2504f2",
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def use_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DHC_CACHE", str(cache))


@pytest.fixture
def tiny() -> DataSet:
    return open_dataset(f"phantom:{TINY}")


def _content(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _pixels(dataset: DataSet) -> str:
    """A digest of all values, whatever library wrote the files."""
    digest = hashlib.sha256()
    for part, samples in dataset.parts.items():
        for sample in samples:
            digest.update(f"{part} {sample.name} {sample.group}".encode())
            for name, array in sorted(sample.read().items()):
                digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


# ---- content -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIGESTS)
def test_the_same_bytes_on_every_run(name: str, cache: Path, tmp_path: Path) -> None:
    open_dataset(f"phantom:{name}")
    CATALOG[name].write(tmp_path, lambda done: None)
    kept = _content(cache / "phantoms" / f"{name}-{CATALOG[name].version}")
    kept.pop(catalog.CONTENT)
    assert kept == _content(tmp_path)


@pytest.mark.parametrize("name", DIGESTS)
def test_the_same_values_on_every_machine(name: str) -> None:
    assert _pixels(open_dataset(f"phantom:{name}")) == DIGESTS[name]


def test_it_is_synthetic_and_says_so(tiny: DataSet) -> None:
    assert tiny.synthetic
    for samples in tiny.parts.values():
        for sample in samples:
            file = pydicom.dcmread(sample.values["image"])  # type: ignore[arg-type]
            assert "SYNTHETIC" in file.ImageComments
            assert "SYNTHETIC" in file.SeriesDescription
            assert str(file.PatientName).startswith("Phantom")


def test_slices_are_ct_in_hounsfield_units(tiny: DataSet) -> None:
    for sample in tiny.part("train"):
        path = sample.values["image"]
        assert isinstance(path, Path)
        image = read_image(path)
        assert image.modality == "CT"
        assert image.array.shape == (1, 256, 256)
        assert image.spacing == pytest.approx((1.484375, 1.484375))
        middle = image.array[0, 96:176, 32:224]
        assert -1024 <= middle.min() < -800  # lungs
        assert np.median(image.array[0, :16]) == pytest.approx(-1000, abs=30)  # air around
        assert 30 < np.percentile(middle, 90) < 800  # muscle, blood and bone


def test_masks_mark_nodules_within_the_body(tiny: DataSet) -> None:
    areas = []
    for samples in tiny.parts.values():
        for sample in samples:
            found = sample.read()
            assert set(np.unique(found["mask"])) <= {0, 255}
            inside = found["image"][found["mask"] > 0]
            areas.append(inside.size)
            assert inside.size == 0 or inside.mean() > -700  # denser than a lung
    assert max(areas) > 10
    assert len(set(areas)) > 2


def test_patients_are_in_one_part_each(tiny: DataSet) -> None:
    groups = {part: {s.group for s in samples} for part, samples in tiny.parts.items()}
    assert {part: len(own) for part, own in groups.items()} == {"train": 3, "val": 1, "test": 2}
    assert len(set().union(*groups.values())) == 6


def test_a_series_rises_where_blood_flows() -> None:
    sample = open_dataset(f"phantom:{QUICK}").part("train")[0].read()
    assert sample["series"].shape == (20, 32, 32)
    brain = sample["cbf"][0] > 30
    rise = sample["series"][:, brain].mean(axis=1) - sample["series"][:3, brain].mean()
    assert rise.max() > 4
    assert 3 < rise.argmax() < 17
    assert 0 <= sample["cbf"].min() < sample["cbf"].max() < 120  # ml / 100 g / min
    assert 0 <= sample["cbv"].min() < sample["cbv"].max() < 8  # ml / 100 g


def test_slides_have_tiles_of_all_kinds() -> None:
    found = open_dataset("phantom:tissue_textures_tiny")
    assert found.classes == ("fat", "fibres", "glands", "lymphocytes", "muscle")
    brightness: dict[int, list[float]] = {}
    for sample in found.part("train"):
        label = sample.values["label"]
        assert isinstance(label, int)
        brightness.setdefault(label, []).append(float(sample.read()["image"].mean()))
    assert {len(own) for own in brightness.values()} == {4}
    means = [float(np.mean(own)) for _, own in sorted(brightness.items())]
    assert means[0] == max(means)  # fat
    assert means[3] < means[2]  # lymphocytes are darker than glands


@pytest.mark.parametrize("name", CATALOG)
def test_every_phantom_is_described(name: str) -> None:
    assert CATALOG[name].version >= 1
    assert CATALOG[name].about


# ---- whole or not there --------------------------------------------------------------------------


def test_unknown_names_are_guessed() -> None:
    with pytest.raises(DhcError) as caught:
        open_dataset("phantom:lung_nodule")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.message == "There is no phantom 'lung_nodule'."
    assert diagnostic.hints == ("did you mean 'phantom:lung_nodules'?",)


def test_it_is_made_once_and_again_when_damaged(cache: Path) -> None:
    open_dataset(f"phantom:{QUICK}")
    (path,) = cache.glob(f"phantoms/{QUICK}-*/*.npz")
    before, stamp = path.read_bytes(), path.stat().st_mtime_ns
    open_dataset(f"phantom:{QUICK}")
    assert path.stat().st_mtime_ns == stamp
    path.write_bytes(before[:100])
    open_dataset(f"phantom:{QUICK}")
    assert path.read_bytes() == before
    assert not list(cache.glob("phantoms/.*"))


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DHC_CACHE", str(tmp_path))

    @dataclass(frozen=True)
    class Broken:
        version: int = 1
        about: str = "an interruption"
        pieces: int = 3
        entry: str = ""

        def write(self, folder: Path, tell: Tell) -> None:
            (folder / "1.png").write_bytes(b"half")
            raise KeyboardInterrupt

    monkeypatch.setitem(CATALOG, "broken", Broken())
    with pytest.raises(KeyboardInterrupt):
        open_dataset("phantom:broken")
    assert _content(tmp_path) == {}


def test_several_processes_make_one(tmp_path: Path) -> None:
    lines = "from dhc.runtime.data.dataset import open_dataset\n"
    lines += f"print(len(open_dataset('phantom:{QUICK}').part('train')))"
    environment = {**os.environ, "DHC_CACHE": str(tmp_path)}
    running = [
        subprocess.Popen([sys.executable, "-c", lines], env=environment, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    assert [process.communicate(timeout=60)[0] for process in running] == [b"3\n"] * 3
    assert [each.name for each in (tmp_path / "phantoms").iterdir()] == [f"{QUICK}-1"]


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DHC_CACHE", str(tmp_path / "file"))
    with pytest.raises(DhcError) as caught:
        open_dataset(f"phantom:{QUICK}")
    (diagnostic,) = caught.value.diagnostics
    assert str(tmp_path / "file") in diagnostic.message
    assert "DHC_CACHE" in diagnostic.hints[0]


def test_the_cache_knows_them_and_forgets_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DHC_CACHE", str(tmp_path))
    open_dataset(f"phantom:{QUICK}")
    (size,) = kept_phantoms().values()
    assert size > 6 * 20 * 32 * 32 * 4
    clear_phantoms()
    assert kept_phantoms() == {}
