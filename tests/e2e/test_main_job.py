"""What the README promises: a DICOM image in, a picture and a table out, from one file."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LABELS = ["air", "lung", "fat", "soft tissue", "bone"]


def _dhc(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from dhc.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def _expected() -> np.ndarray:  # type: ignore[type-arg]
    """The classifier of ct_tissue.dhm written once more, in numpy and float64."""
    from pydicom import dcmread
    from pydicom.data import get_testdata_file

    dataset = dcmread(get_testdata_file("CT_small.dcm"))
    hounsfield = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    window = np.clip((hounsfield + 1000) / 3000, 0, 1)
    place = np.clip((np.arange(256) + 0.5) / 2 - 0.5, 0, 127)
    low = np.floor(place).astype(int)
    high, part = np.minimum(low + 1, 127), place - np.floor(place)
    rows = window[low] * (1 - part)[:, None] + window[high] * part[:, None]
    image = rows[:, low] * (1 - part) + rows[:, high] * part
    padded = np.pad(image, 1, mode="edge")
    smooth = sum(padded[i : i + 256, j : j + 256] for i in range(3) for j in range(3)) / 9
    hu = smooth * 3000 - 1000
    classes = ((-1000, 40), (-750, 120), (-100, 40), (45, 40), (700, 300))
    scores = np.stack([-(((hu - m) / d) ** 2) / 2 - np.log(d) for m, d in classes])
    powers = np.exp(scores - scores.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0))


def test_the_command_of_the_readme_writes_picture_array_and_table(tmp_path: Path) -> None:
    command = re.search(r"&& dhc (run .*) -o out\n", README)
    assert command is not None
    done = _dhc(*command[1].split(), "-o", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "soft tissue" in done.stdout
    found = np.load(tmp_path / "out" / "CT_small_tissue.npy")
    np.testing.assert_allclose(found[0], _expected(), atol=2e-4)
    with (tmp_path / "out" / "table.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["label"] for row in rows] == LABELS
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1)
    with Image.open(tmp_path / "out" / "CT_small_tissue.png") as picture:
        assert picture.size == (2 * 384 + 4, 384)


def test_the_python_lines_of_the_readme_do_the_same() -> None:
    lines = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert lines is not None
    check = "assert tissue.shape == (1, 5, 256, 256) and tissue.argmax(1).max() == 4"
    done = subprocess.run(
        [sys.executable, "-c", lines[1] + check],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("target", ["opencl", "reference", "fpga"])
def test_other_targets_find_the_same(tmp_path: Path, target: str) -> None:
    done = _dhc(
        "run", "models/ct_tissue.dhm", "Tissue", "example:ct", "--pipeline", "prepare",
        "--target", target, "-o", str(tmp_path / "map.npy"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "map.npy")[0], _expected(), atol=2e-4)
