"""The experiments of `models/` that need no data of one's own, as a newcomer runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PIPELINES = "train=varied, val=plain, test=plain"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def _train(cache: Path, *arguments: str | Path) -> str:
    command = [sys.executable, "-c", "from dhc.cli import main; main()", "train"]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=600,
        env={**os.environ, "DHC_CACHE": str(cache)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_command_of_the_readme_trains(cache: Path, tmp_path: Path) -> None:
    command = re.search(r"&& dhc train (\S+)\n", README)
    assert command is not None
    tiny = f'lung.data=dataset("phantom:lung_nodules_tiny", {PIPELINES})'
    printed = _train(
        cache, command[1], "--set", "lung.epochs=1", "--set", tiny, "--out", tmp_path / "run"
    )
    assert "lung: 3 train, 1 val synthetic samples" in printed
    assert "The best weights, on synthetic data" in printed
    assert re.search(r"iou .*\d\.\d{4}", printed)
    assert "report.html" in printed
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["test"]["groups"] == 2
    assert results["test"]["synthetic"] is True
    assert "synthetic" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "name", "metric", "least"),
    [
        ("lung_nodules", "lung", "iou", 0.02),
        ("ct_perfusion", "perfusion", "pearson_cbf", 0.6),
        ("tissue_textures", "textures", "accuracy", 0.5),
    ],
)
def test_each_learns_in_a_few_epochs(
    cache: Path, tmp_path: Path, file: str, name: str, metric: str, least: float
) -> None:
    epochs = "1" if name == "lung" else "3"
    printed = _train(
        cache, f"models/{file}.dhm", "--set", f"{name}.epochs={epochs}", "--json",
        "--out", tmp_path / "run",
    )  # fmt: skip
    found = json.loads(printed)["results"]["test"]
    assert found["synthetic"] is True
    assert found["metrics"][metric]["value"] > least
