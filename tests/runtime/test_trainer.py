"""A run that is stopped at any moment and resumed ends with the same bytes as one that was not.

The job is a small regression in numpy, so the loop is tested without a compiler. This file is also
a program: it trains in the folder that it is given and kills itself where it is told.
"""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

from dhc.errors import DhcError
from dhc.ir.graph import Array
from dhc.runtime import trainer as module
from dhc.runtime.checkpoint import read_checkpoint
from dhc.runtime.data.sampler import Sampler
from dhc.runtime.reporting.records import EpochRecord, RunPlan, StepRecord
from dhc.runtime.trainer import BEST, LAST, Outcome, Rules, Trainer, state_from

Batch = Mapping[str, Array]
FILES = (LAST, BEST)
PLAN = RunPlan("toy", 4, 5, {"train": 18, "val": 6})
RULES = Rules(epochs=4, every=2, program="p")

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX systems")


class ToyJob:
    """Linear regression by gradient descent with momentum, on 18 samples in batches of 4.

    Attributes:
        on_step: Called with the number of each step; what it returns takes the place of the loss.
        validation: What `validate` returns, epoch by epoch; computed if there is nothing.
    """

    def __init__(self) -> None:
        draws = np.random.default_rng(7)
        self.x = draws.standard_normal((24, 3)).astype(np.float32)
        self.y = self.x @ np.array([1, -2, 3], np.float32)
        self.values = {"w": np.zeros(3, np.float32), "momentum": np.zeros(3, np.float32)}
        self.sampler = Sampler(18, 4, seed=5)
        self.on_step: Callable[[int], float | None] = lambda number: None
        self.validation: list[dict[str, float]] = []
        self.restored = 0

    @property
    def steps_per_epoch(self) -> int:
        return self.sampler.batches

    def batches(self, epoch: int, first: int) -> Iterator[Batch]:
        for numbers in self.sampler.epoch(epoch, first):
            yield {"x": self.x[numbers], "y": self.y[numbers]}

    def step(self, number: int, rate: float, batch: Batch) -> float:
        w, momentum = self.values["w"], self.values["momentum"]
        error = batch["x"] @ w - batch["y"]
        momentum = np.float32(0.9) * momentum + batch["x"].T @ error / np.float32(len(error))
        self.values = {"w": w - np.float32(rate) * momentum, "momentum": momentum}
        other = self.on_step(number)
        return float(np.mean(error**2)) if other is None else other

    def size(self, batch: Batch) -> int:
        return len(batch["y"])

    def validate(self) -> dict[str, float]:
        if self.validation:
            return self.validation.pop(0)
        error = self.x[18:] @ self.values["w"] - self.y[18:]
        return {"loss": float(np.mean(error**2))}

    def arrays(self) -> dict[str, Array]:
        return dict(self.values)

    def restore(self, arrays: Mapping[str, Array]) -> None:
        self.restored += 1
        self.values = dict(arrays)

    def diagnose(self, batch: Batch) -> str:
        return "the result of 'matmul' is infinite."


@dataclass
class Witness:
    """Remembers what it is told."""

    began: list[int] = field(default_factory=list)
    steps: list[StepRecord] = field(default_factory=list)
    epochs: list[EpochRecord] = field(default_factory=list)
    saves: list[int] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def started(self, plan: RunPlan, done: int) -> None:
        assert plan == PLAN
        self.began.append(done)

    def step(self, record: StepRecord) -> None:
        self.steps.append(record)

    def epoch(self, record: EpochRecord) -> None:
        self.epochs.append(record)

    def saving(self) -> None:
        self.saves.append(len(self.steps))

    def stopped(self, reason: str) -> None:
        self.ended.append(reason)


def _rate(state: Mapping[str, object], progress: float) -> float:
    """Falls within an epoch, and by a factor that the schedule remembers."""
    factor = state.get("factor", 1.0)
    assert isinstance(factor, float)
    return 0.1 * factor / (1 + progress)


def _observe(state: Mapping[str, object], value: float) -> Mapping[str, object]:
    factor = state.get("factor", 1.0)
    assert isinstance(factor, float)
    return {"factor": factor * 0.9, "seen": value}


def _trainer(
    folder: Path, job: ToyJob | None = None, rules: Rules = RULES, *observers: Witness
) -> Trainer:
    return Trainer(job or ToyJob(), rules, _rate, _observe, folder, observers)


def _train(
    folder: Path,
    job: ToyJob | None = None,
    rules: Rules = RULES,
    *observers: Witness,
    resume: bool = False,
) -> Outcome:
    return _trainer(folder, job, rules, *observers).run(PLAN, resume=resume)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _message(caught: pytest.ExceptionInfo[DhcError]) -> str:
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "training"
    assert diagnostic.message.endswith(".")
    return diagnostic.message


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    assert _train(folder).reason == "all epochs are done"
    return _bytes(folder)


# ---- a run ---------------------------------------------------------------------------------------


def test_observers_are_told_before_each_checkpoint(tmp_path: Path) -> None:
    seen = Witness()
    _train(tmp_path, None, replace(RULES, epochs=1), seen)
    every_second, best_and_last = [2, 4], 5
    assert seen.saves == [*every_second, best_and_last]


def test_a_run_learns_and_leaves_its_checkpoints(tmp_path: Path) -> None:
    outcome = _train(tmp_path)
    assert (outcome.state.step, outcome.state.epoch, outcome.signal) == (20, 4, 0)
    assert sorted(_bytes(tmp_path)) == sorted(FILES)
    assert outcome.state.best is not None
    assert outcome.state.best < 1


def test_observers_are_told_of_every_step_and_epoch(tmp_path: Path) -> None:
    seen = Witness()
    _train(tmp_path, None, RULES, seen)
    assert (seen.began, seen.ended) == ([0], ["all epochs are done"])
    assert [(r.step, r.epoch, r.position) for r in seen.steps] == [
        (5 * epoch + k, epoch + 1, k) for epoch in range(4) for k in range(1, 6)
    ]
    assert [r.samples for r in seen.steps[:5]] == [4, 4, 4, 4, 2]
    assert [r.rate for r in seen.steps[:2]] == [0.1, 0.1 / 1.2]
    assert all(r.seconds >= 0 <= r.waited for r in seen.steps)
    assert [(r.epoch, r.step) for r in seen.epochs] == [(1, 5), (2, 10), (3, 15), (4, 20)]


def test_the_loss_of_an_epoch_is_the_mean_over_samples_not_batches(tmp_path: Path) -> None:
    seen = Witness()
    _train(tmp_path, None, RULES, seen)
    total = sum(r.loss * r.samples for r in seen.steps[:5])
    assert seen.epochs[0].train == {"loss": total / 18}


def test_the_best_checkpoint_is_of_the_best_epoch(tmp_path: Path) -> None:
    job, seen = ToyJob(), Witness()
    job.validation = [{"loss": value} for value in (3.0, 1.0, 2.0, 1.0)]
    _train(tmp_path, job, RULES, seen)
    assert [r.best for r in seen.epochs] == [True, True, False, False]
    state = state_from(read_checkpoint(tmp_path / BEST).state)
    assert (state.best, state.best_epoch, state.step) == (1.0, 2, 10)


def test_what_is_watched_may_rise(tmp_path: Path) -> None:
    job = ToyJob()
    job.validation = [{"loss": 1.0, "auc": value} for value in (0.5, 0.8, 0.7, 0.85)]
    outcome = _train(tmp_path, job, replace(RULES, monitor="auc", rises=True, least=0.1))
    assert (outcome.state.best, outcome.state.best_epoch) == (0.8, 2)


def test_without_validation_the_training_loss_is_watched(tmp_path: Path) -> None:
    job, seen = ToyJob(), Witness()
    job.validation = [{}] * 4
    outcome = _train(tmp_path, job, RULES, seen)
    assert outcome.state.best == min(r.train["loss"] for r in seen.epochs)


def test_what_is_watched_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(DhcError, match=r"watches 'auc' .* gives loss") as caught:
        _train(tmp_path, None, replace(RULES, monitor="auc", rises=True))
    _message(caught)


def test_early_stopping(tmp_path: Path) -> None:
    job = ToyJob()
    job.validation = [{"loss": value} for value in (3.0, 1.0, 2.0, 1.5, 0.1)]
    rules = replace(RULES, epochs=9, patience=2)
    outcome = _train(tmp_path, job, rules)
    assert (outcome.reason, outcome.state.epoch) == ("no improvement for 2 epochs", 4)
    assert _train(tmp_path, ToyJob(), rules, resume=True) == outcome  # it stays stopped


def test_an_epoch_whose_value_is_no_number_is_not_the_best(tmp_path: Path) -> None:
    """But there always is a best checkpoint, and patience ends."""
    job = ToyJob()
    job.validation = [{"loss": value} for value in (math.nan, 2.0, math.nan, math.inf)]
    outcome = _train(tmp_path, job)
    assert (outcome.state.best, outcome.state.best_epoch, outcome.state.stale) == (2.0, 2, 2)
    job.validation = [{"loss": math.nan}] * 4
    (tmp_path / "other").mkdir()
    outcome = _train(tmp_path / "other", job, replace(RULES, patience=2))
    assert outcome.reason == "no improvement for 2 epochs"
    assert state_from(read_checkpoint(tmp_path / "other" / BEST).state).epoch == 1


def test_a_job_that_breaks_its_promise_does_not_train_for_ever(tmp_path: Path) -> None:
    job = ToyJob()
    job.batches = lambda epoch, first: iter(())  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="said 5 batches and gave 0"):
        _train(tmp_path, job)


# ---- losses that are no numbers ------------------------------------------------------------------


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_ends_with_the_diagnosis(tmp_path: Path, loss: float) -> None:
    job, seen = ToyJob(), Witness()
    job.on_step = lambda number: loss if number == 8 else None
    with pytest.raises(DhcError) as caught:
        _train(tmp_path, job, RULES, seen)
    expected = f"The loss is {loss} in step 8, epoch 2: the result of 'matmul' is infinite."
    assert _message(caught) == expected
    assert seen.ended == [expected]
    assert [r.step for r in seen.steps] == list(range(1, 8))
    assert state_from(read_checkpoint(tmp_path / LAST).state).step == 6


@pytest.mark.parametrize("loss", [1e6, -1e6])
def test_an_exploding_loss_ends_with_the_diagnosis(tmp_path: Path, loss: float) -> None:
    job = ToyJob()
    job.on_step = lambda number: loss if number == 12 else None
    with pytest.raises(DhcError, match=r"step 12, epoch 3, and was at most .* in the first epoch"):
        _train(tmp_path, job)


def test_a_loss_that_began_near_zero_has_not_exploded(tmp_path: Path) -> None:
    """Losses of both signs have a mean near zero; only their sizes tell what is usual."""
    job = ToyJob()
    losses = [1.0, -1.0, 1.0, -1.0, 0.0]
    job.on_step = lambda number: losses[(number - 1) % 5] if number < 9 else 5.0
    assert _train(tmp_path, job).state.epoch == 4
    job.on_step = lambda number: 0.0 if number <= 5 else 1.0
    assert _train(tmp_path / "zero", job).state.epoch == 4


# ---- resuming ------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", range(1, 20))
def test_a_signal_ends_the_step_and_resuming_changes_no_byte(
    tmp_path: Path, whole: dict[str, bytes], stop: int
) -> None:
    number = signal.SIGINT if stop % 2 else signal.SIGTERM
    job, before = ToyJob(), signal.getsignal(number)

    def interrupt(step: int) -> None:
        if step == stop:
            signal.raise_signal(number)

    job.on_step = interrupt
    outcome = _train(tmp_path, job)
    assert (outcome.state.step, outcome.signal) == (stop, number)
    assert outcome.reason == f"stopped by signal {int(number)}"
    assert state_from(read_checkpoint(tmp_path / LAST).state) == outcome.state
    assert signal.getsignal(number) is before
    assert _train(tmp_path, resume=True).reason == "all epochs are done"
    assert _bytes(tmp_path) == whole


def test_a_second_signal_interrupts_at_once(tmp_path: Path) -> None:
    job, seen = ToyJob(), Witness()

    def insist(step: int) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    job.on_step = insist
    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path, job, RULES, seen)
    assert seen.ended == ["interrupted"]


def test_a_trainer_that_was_stopped_can_go_on(tmp_path: Path, whole: dict[str, bytes]) -> None:
    job = ToyJob()
    job.on_step = lambda step: signal.raise_signal(signal.SIGINT) if step == 3 else None
    trainer = _trainer(tmp_path, job)
    assert trainer.run(PLAN).signal == signal.SIGINT
    assert trainer.run(PLAN, resume=True).signal == 0
    assert _bytes(tmp_path) == whole


def test_observers_of_a_resumed_run_see_the_rest(tmp_path: Path) -> None:
    job, seen, rest = ToyJob(), Witness(), Witness()
    job.on_step = lambda step: signal.raise_signal(signal.SIGINT) if step == 8 else None
    _train(tmp_path, job, RULES, seen)
    _train(tmp_path, None, RULES, rest, resume=True)
    assert rest.began == [8]
    assert [r.step for r in seen.steps + rest.steps] == list(range(1, 21))
    assert [r.epoch for r in seen.epochs + rest.epochs] == [1, 2, 3, 4]


def test_a_finished_run_stays_as_it_is(tmp_path: Path, whole: dict[str, bytes]) -> None:
    _train(tmp_path)
    assert _train(tmp_path, resume=True).reason == "all epochs are done"
    assert _bytes(tmp_path) == whole


def test_a_run_is_not_overwritten(tmp_path: Path, whole: dict[str, bytes]) -> None:
    _train(tmp_path)
    with pytest.raises(DhcError, match="holds a run already") as caught:
        _train(tmp_path)
    assert str(tmp_path) in _message(caught)
    assert _bytes(tmp_path) == whole


def test_another_program_is_not_resumed(tmp_path: Path, whole: dict[str, bytes]) -> None:
    _train(tmp_path)
    job = ToyJob()
    with pytest.raises(DhcError, match="program has changed"):
        _train(tmp_path, job, replace(RULES, program="q"), resume=True)
    assert job.restored == 0
    assert _bytes(tmp_path) == whole


def test_what_was_never_saved_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(DhcError, match="holds no run that could be resumed"):
        _train(tmp_path, resume=True)


# ---- killed --------------------------------------------------------------------------------------


def _kill_after(lines: int) -> Callable[[], int]:
    """Kills this process without warning when so many lines of the loop have run.

    Returns:
        How many have run so far.
    """
    count = 0
    own = (str(Path(module.__file__).parent), __file__)

    def trace(frame: FrameType, event: str, argument: object) -> Callable[..., object] | None:
        nonlocal count
        if not frame.f_code.co_filename.startswith(own):
            return None
        count += event == "line"
        if 0 < lines == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    return lambda: count


def _victim(folder: Path, lines: int) -> subprocess.CompletedProcess[str]:
    """Trains in another process that kills itself after so many lines; 0 lets it live."""
    command = [sys.executable, __file__, str(folder), str(lines)]
    return subprocess.run(command, capture_output=True, check=False, text=True)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory, whole: dict[str, bytes]) -> int:
    """How many lines the loop runs in all."""
    folder = tmp_path_factory.mktemp("victim")
    result = _victim(folder, 0)
    assert (result.stderr, _bytes(folder)) == ("", whole)
    return int(result.stdout)


def _check_killed(folder: Path, line: int, whole: dict[str, bytes]) -> bool:
    """Kills a run, resumes it here and compares; returns whether there was a checkpoint."""
    result = _victim(folder, line)
    assert result.returncode == -signal.SIGKILL, result.stderr
    resume = (folder / LAST).exists()
    _train(folder, resume=resume)
    assert {name: (folder / name).read_bytes() for name in FILES} == whole
    return resume


@posix
@pytest.mark.parametrize("tenth", range(10))
def test_a_killed_run_resumed_ends_with_the_same_bytes(
    tmp_path: Path, whole: dict[str, bytes], lines: int, tenth: int
) -> None:
    """Killed anywhere: in a step, while a checkpoint is written, between two of them."""
    line = lines * tenth // 10 + random.Random(tenth).randrange(1, lines // 10)
    assert _check_killed(tmp_path, line, whole) or tenth < 2


@posix
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_a_hundred_killed_runs(
    tmp_path: Path, whole: dict[str, bytes], lines: int, seed: int
) -> None:
    _check_killed(tmp_path, random.Random(1000 + seed).randrange(1, lines), whole)


if __name__ == "__main__":
    victim = _trainer(Path(sys.argv[1]))
    lines_run = _kill_after(int(sys.argv[2]))
    victim.run(PLAN)
    sys.settrace(None)
    print(lines_run())
