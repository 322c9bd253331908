"""`mpiexec -n N dhc train`: the same run on several processes, however it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("mpi4py", reason="pip install 'dhc[mpi]'")

PLACES = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
MPIEXEC = shutil.which("mpiexec", path=PLACES) or ""
pytestmark = pytest.mark.skipif(not MPIEXEC, reason="pip install mpich brings mpiexec")


def _version() -> str:
    return subprocess.run([MPIEXEC, "--version"], capture_output=True, text=True).stdout


# Open MPI wants to be told that a container's root may start it, and more ranks than processors.
ENVIRONMENT = {
    **os.environ,
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}
OPEN_MPI = bool(MPIEXEC) and "Open MPI" in _version()
DHC = (sys.executable, "-c", "from dhc.cli import main; main()")
PROGRAM = """
pipeline plain(image: image[1]) { to_float() normalize(mean=0.5, std=0.3) }

model Net() {
    input image: f32[N, 1, H, W]
    output logits = image -> conv(4, kernel=3, stride=2) -> batchnorm() -> relu()
        -> global_avgpool() -> flatten() -> dropout(0.2) -> dense(2)
}

train spots {
    model = Net
    data = dataset("spots", train=plain, val=plain)
    loss = cross_entropy(out.logits, data.label)
    metrics = [accuracy(out.logits, data.label), auc(out.logits, data.label)]
    optimizer = sgd(lr=0.05, momentum=0.9)
    epochs = 2
    batch = 5
    seed = 1
    distribute { mode = data_parallel() sync_batchnorm = true }
}
"""
COUNTS = {"train": 16, "val": 7}  # three batches of 5 and one of 1


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for part, count in COUNTS.items():
        for k in range(count):
            folder = tmp_path / "spots" / part / ("bright" if k % 2 else "dark")
            folder.mkdir(parents=True, exist_ok=True)
            pixels = np.clip(random.normal(100 + 60 * (k % 2), 20, (8, 8)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{part}{k}.png")
    (tmp_path / "spots.dhm").write_text(PROGRAM)
    return tmp_path / "spots.dhm"


def _started(ranks: int, *command: str | Path) -> subprocess.Popen[str]:
    given = [MPIEXEC, "-n", str(ranks), *map(str, command)]
    return subprocess.Popen(
        given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT
    )


def _run(ranks: int, *command: str | Path, status: int = 0) -> str:
    process = _started(ranks, *command)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == status, printed
    return printed


CONTRACT = """
import numpy as np
from dhc.runtime.comm.mpi import open_communicator

ranks = open_communicator()
first, second = np.array([1.0 + ranks.rank], np.float32), np.array([10.0])
pending = [ranks.start(first), ranks.start(second)]
for each in reversed(pending):
    each.wait()
assert (first[0], second[0]) == (6.0, 30.0)
assert ranks.allgather(b"x" * ranks.rank) == [b"", b"x", b"xx"]
assert ranks.allgather(b"") == [b""] * 3
assert ranks.broadcast(bytes([ranks.rank]) * 3) == bytes(3)
assert (ranks.size, ranks.neighbours) == (3, 3)
print(f"[{ranks.rank}]", end="")
"""


def test_processes_speak_as_threads_do() -> None:
    printed = _run(3, sys.executable, "-c", CONTRACT)
    assert sorted(re.findall(r"\[(\d)\]", printed)) == ["0", "1", "2"]


def _history(folder: Path, kind: str) -> list[dict[str, object]]:
    lines = map(json.loads, (folder / "history.jsonl").read_text().splitlines())
    return [line for line in lines if line["kind"] == kind]


@pytest.mark.slow
def test_two_processes_end_as_one_does(experiment: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    _run(2, *DHC, "train", experiment, "--out", two)
    subprocess.run([*DHC, "train", experiment, "--out", one], check=True, timeout=120)
    results = [json.loads((folder / "results.json").read_text()) for folder in (one, two)]
    metrics = [found["val"]["metrics"] for found in results]
    assert [m["accuracy"] for m in metrics] == [metrics[0]["accuracy"]] * 2
    assert [m["auc"] for m in metrics] == [metrics[0]["auc"]] * 2
    assert results[1]["val"]["loss"] == pytest.approx(results[0]["val"]["loss"], rel=1e-4)
    for here, there in zip(_history(one, "step"), _history(two, "step"), strict=True):
        assert there["loss"] == pytest.approx(here["loss"], rel=1e-4)
        assert there["samples"] == here["samples"]
    assert {path.name.split(".")[0] for path in one.iterdir()} == {
        path.name.split(".")[0] for path in two.iterdir()
    }


def test_a_sample_that_one_rank_cannot_read_ends_all(experiment: Path, tmp_path: Path) -> None:
    (tmp_path / "spots" / "train" / "dark" / "train8.png").write_bytes(b"no picture")
    printed = _run(2, *DHC, "train", experiment, "--out", tmp_path / "run", status=1)
    assert len(re.findall(r"^error\[", printed, re.MULTILINE)) == 1
    assert "train8.png" in printed
    assert "BAD TERMINATION" not in printed


@pytest.mark.slow
def test_ranks_that_would_all_do_the_same_are_refused(experiment: Path, tmp_path: Path) -> None:
    experiment.write_text(re.sub(r"distribute .*\n", "\n", PROGRAM))
    printed = _run(2, *DHC, "train", experiment, "--out", tmp_path / "run", status=1)
    assert printed.count("error[") == 1
    assert "distribute { mode = data_parallel() }" in printed
    assert not (tmp_path / "run").exists()


# ---- ends from outside -----------------------------------------------------------------------

LONG = ("--set", "spots.epochs=100000")


@pytest.fixture
def running(experiment: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run of two processes that has saved something and has far to go."""
    process = _started(2, *DHC, "train", experiment, "--out", tmp_path / "run", *LONG)
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
def test_an_interrupted_run_goes_on_with_other_ranks(
    running: subprocess.Popen[str], experiment: Path, tmp_path: Path
) -> None:
    running.send_signal(signal.SIGINT)
    printed, _ = running.communicate(timeout=60)
    if OPEN_MPI:  # its launcher kills the ranks at once, so that they go on from a checkpoint
        assert running.returncode == 1
    else:
        assert running.returncode == 128 + signal.SIGINT
        assert printed.count("--resume") == 1
    done = len(_history(tmp_path / "run", "step"))
    more = ("--set", f"spots.epochs={done // 4 + 2}", "--resume")
    _run(3, *DHC, "train", experiment, "--out", tmp_path / "run", *more)
    steps = [line["step"] for line in _history(tmp_path / "run", "step")]
    assert steps == list(range(1, 4 * (done // 4 + 2) + 1))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds children in /proc")
def test_a_killed_rank_ends_the_others(running: subprocess.Popen[str]) -> None:
    ranks = _ranks(running.pid)
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    running.communicate(timeout=60)
    assert running.returncode != 0
    assert not [rank for rank in ranks if _runs(rank)]


def _ranks(launcher: int) -> list[int]:
    """The processes that run Python: children of the launcher, or of a helper that it starts."""
    found: list[int] = []
    for child in _children(launcher):
        command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0].decode()
        found += [child] if command == sys.executable else _ranks(child)
    return found


def _runs(process: int) -> bool:
    """Whether a process is there, and not only what is left of it until somebody asks."""
    command = Path(f"/proc/{process}/cmdline")
    return command.exists() and bool(command.read_bytes())


def _children(process: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found
