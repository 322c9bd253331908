"""A run that is killed at any moment goes on as if nothing had been."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

DHC = (sys.executable, "-c", "from dhc.cli import main; main()")
PROGRAM = """
pipeline varied(image: image[1]) { to_float() rotate(-10deg .. 10deg) normalize(mean=0.5, std=0.3) }
pipeline plain(image: image[1]) { to_float() normalize(mean=0.5, std=0.3) }

model Net() {
    input image: f32[N, 1, H, W]
    output logits = image -> conv(4, kernel=3, pad=1) -> batchnorm() -> relu() -> dropout(0.2)
        -> global_avgpool() -> flatten() -> dense(2)
}

train spots {
    model = Net
    data = dataset("spots.npz", train=varied, val=plain)
    loss = cross_entropy(out.logits, data.label)
    metrics = [accuracy(out.logits, data.label)]
    optimizer = adam(lr=cosine(1e-2 .. 1e-4, warmup=20))
    epochs = 25
    batch = 8
    seed = 1
    checkpoint = 2
}
"""
COUNT = 20  # of a whole command each; test_trainer.py kills a hundred runs in their steps
FILES = ("last.ckpt", "best.ckpt", "weights.safetensors", "results.json")


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    (tmp_path / "spots.dhm").write_text(PROGRAM)
    draws = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 60), ("val", 16)):
        labels = draws.integers(0, 2, count)
        images = draws.normal(100 + 30 * labels[:, None, None], 20, (count, 8, 8))
        arrays[f"{part}_images"] = np.clip(images, 0, 255).astype(np.uint8)
        arrays[f"{part}_labels"] = labels[:, None].astype(np.uint8)
    np.savez(tmp_path / "spots.npz", **arrays)
    return tmp_path / "spots.dhm"


def _command(experiment: Path, out: Path) -> list[str]:
    resume = ["--resume"] if (out / "last.ckpt").exists() else []
    return [*DHC, "train", str(experiment), "--out", str(out), *resume]


def _finish(experiment: Path, out: Path) -> float:
    """Lets a run end; returns how long that took."""
    began = time.monotonic()
    command = _command(experiment, out)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began


def _content(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in FILES}


def _losses(out: Path) -> list[str]:
    """The history without the times that steps took."""
    lines = (out / "history.jsonl").read_text().splitlines()
    return [line.split('"seconds"')[0] for line in lines]


def _kills(experiment: Path, folder: Path, seconds: float) -> Iterator[Path]:
    """Kills runs at random points, each up to the length of a whole run; yields ended ones."""
    draws = random.Random(5)
    for number in range(1000):
        out = folder / f"run{number}"
        while True:
            process = subprocess.Popen(
                _command(experiment, out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            try:
                _, errors = process.communicate(timeout=draws.uniform(0, seconds))
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                yield out
                continue
            assert process.returncode == 0, errors.decode()
            break


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_kills_at_random_points_change_no_byte(experiment: Path, tmp_path: Path) -> None:
    _finish(experiment, tmp_path / "first")  # it also fills the cache of compiled programs
    whole = tmp_path / "whole"
    seconds = _finish(experiment, whole)
    killed = list(islice(_kills(experiment, tmp_path, seconds), COUNT))
    if not (killed[-1] / "results.json").exists():
        _finish(experiment, killed[-1])
    for out in dict.fromkeys(killed):
        assert _content(out) == _content(whole)
        assert _losses(out) == _losses(whole)
