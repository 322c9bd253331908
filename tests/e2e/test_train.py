"""`dhc train` and `dhc eval` as a user types them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import dhc

DHC = (sys.executable, "-c", "from dhc.cli import main; main()")
PROGRAM = """import "nets.dhm" as nets

pipeline plain(image: image[1]) { to_float() normalize(mean=0.5, std=0.3) }

train spots {
    model = nets.Net
    data = dataset("spots.npz", train=plain, val=plain, test=plain)
    loss = cross_entropy(out.logits, data.label)
    metrics = [accuracy(out.logits, data.label)]
    optimizer = adam(lr=1e-2)
    epochs = 3
    batch = 16
    seed = 1
}
"""
NETS = """
model Net() {
    input image: f32[N, 1, H, W]
    output logits = image -> conv(4, kernel=3, pad=1) -> relu() -> global_avgpool() -> flatten()
        -> dense(2)
}
"""


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    (tmp_path / "spots.dhm").write_text(PROGRAM)
    (tmp_path / "nets.dhm").write_text(NETS)
    random = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 48), ("val", 32), ("test", 24)):
        labels = random.integers(0, 2, count)
        images = random.normal(100 + 60 * labels[:, None, None], 20, (count, 8, 8))
        arrays[f"{part}_images"] = np.clip(images, 0, 255).astype(np.uint8)
        arrays[f"{part}_labels"] = labels[:, None].astype(np.uint8)
    np.savez(tmp_path / "spots.npz", **arrays)
    return tmp_path / "spots.dhm"


def _run(*arguments: str | Path, status: int = 0) -> str:
    command = [*DHC, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_training_leaves_a_folder_that_explains_itself(experiment: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    printed = _run("train", experiment, "--out", out)
    assert "epoch   3" in printed
    assert re.search(r"totm +│ [0-9.]+ s +│ measured", printed)
    assert re.search(r"test accuracy +│ [01].* measured", printed)
    assert re.search(r"test, 24 samples.*loss", printed)
    names = {path.name for path in out.iterdir()}
    assert names >= {"run.json", "environment.json", "history.jsonl", "results.json"}
    assert names >= {"last.ckpt", "best.ckpt", "weights.safetensors", "program"}
    assert names >= {"kpi.jsonl", "resolved.dhm", "data.json", "evidence.json", "report.html"}
    assert printed.splitlines()[-1] == f"The report is {out / 'report.html'}"
    assert "Confusion matrix of logits" in (out / "report.html").read_text()
    assert (out / "program" / "nets.dhm").read_text() == NETS
    assert "numpy" in json.loads((out / "environment.json").read_text())["packages"]


def test_a_run_is_measured_again_after_its_file_has_changed(
    experiment: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    first = json.loads(_run("train", experiment, "--out", out, "--json"))
    experiment.write_text("this is no program")
    again = json.loads(_run("eval", out, "--json"))
    assert again["results"] == first["results"]
    (out / "report.html").unlink()
    assert set(json.loads(_run("eval", out, "--part", "train", "--json"))["results"]) == {"train"}
    assert set(json.loads((out / "results.json").read_text())) == {"train", "val", "test"}
    assert "<h3>Training<small>48 samples" in (out / "report.html").read_text()


def test_what_people_declare_completes_the_indicators(experiment: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    _run("train", experiment, "--out", out)
    declared = [("design", "2h"), ("pipeline", "1h"), ("deployment", "30min")]
    options = [word for name, time in declared for word in ("--declare", f"{name}={time}")]
    found = json.loads(_run("kpi", out, *options, "--json"))
    measured = found["totm"]["seconds"] + found["pipelines"][0]["T2"]["seconds"]
    assert found["ttmip"]["label"] == "declared"
    assert 3.5 * 3600 + measured < found["ttmip"]["seconds"] < 3.5 * 3600 + 120
    assert found["quality"][str(out)]["test"].keys() == {"accuracy"}
    assert "2d" in _run("kpi", out, "--declare", "design=2d", status=1)


def test_the_weights_run(experiment: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    _run("train", experiment, "--out", out)
    program = dhc.load(tmp_path / "nets.dhm").model("Net")
    program.load_parameters(out / "weights.safetensors")
    bright = dhc.compile(program)(image=np.full((1, 1, 8, 8), 0.4, np.float32))["logits"]
    assert bright[0, 1] > bright[0, 0]


def test_settings_from_the_command_line(experiment: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    given = ("--set", "spots.epochs=1", "--set", "spots.optimizer=sgd(lr=cosine(0.1 .. 0.0))")
    _run("train", experiment, "spots", "--out", out, *given)
    lines = (out / "history.jsonl").read_text().splitlines()
    assert len(lines) == 3 + 1
    assert json.loads(lines[0])["rate"] == 0.1
    assert json.loads(_run("eval", out, "--json"))["results"]


def _refused(experiment: Path, *given: str, text: str) -> None:
    assert text in _run("train", experiment, *given, "--out", experiment.parent / "no", status=1)
    assert not (experiment.parent / "no").exists()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("spot",), "did you mean 'spots'?"),
        (("--set", "spots.epoch=1"), "did you mean 'epochs'?"),
        (("--set", "other.epochs=1"), "'spots' is trained"),
        (("--set", "epochs=1"), "is no setting"),
        (("--set", "spots.epochs="), "--set spots.epochs"),
        (("--set", "spots.epochs=1 batch=3"), "is no value"),
        (("--set", "spots.epochs=1 } train t {"), "is no value"),
        (("--resume",), "no checkpoint to go on from"),
    ],
)
def test_what_is_refused_leaves_nothing(experiment: Path, given: Sequence[str], text: str) -> None:
    _refused(experiment, *given, text=text)


def test_a_run_is_not_written_over(experiment: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    _run("train", experiment, "--out", out, "--set", "spots.epochs=1")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    printed = _run("train", experiment, "--out", out, status=1)
    assert "holds a run already" in printed
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
def test_an_interrupted_run_goes_on(experiment: Path, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    long = ("--set", "spots.epochs=100")
    command = [*DHC, "train", str(experiment), *long, "--out"]
    process = subprocess.Popen([*command, str(stopped)], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (stopped / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert "--resume" in printed
    assert "stopped by signal 2" in (stopped / "report.html").read_text()
    _run("train", experiment, *long, "--out", stopped, "--resume")
    _run("train", experiment, *long, "--out", whole)
    assert (whole / "last.ckpt").read_bytes() == (stopped / "last.ckpt").read_bytes()
    assert (whole / "weights.safetensors").read_bytes() == (
        stopped / "weights.safetensors"
    ).read_bytes()


def test_python_trains_the_same(experiment: Path, tmp_path: Path) -> None:
    _run("train", experiment, "--out", tmp_path / "command")
    found = dhc.train(dhc.load(experiment), "spots", out=tmp_path / "python")
    assert len(found.history) == 3
    assert found.results["test"].metrics["accuracy"].interval.value > 0.8
    weights = [tmp_path / name / "weights.safetensors" for name in ("command", "python")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
