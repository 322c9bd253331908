"""A whole run on a small task: it learns, goes on where it stopped, and stops when it must."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

import dhc
from dhc.errors import DhcError
from dhc.ir.graph import Array
from dhc.runtime.checkpoint import read_checkpoint
from dhc.runtime.reporting.records import EpochRecord, RunPlan, StepRecord
from dhc.runtime.trainer import BEST, LAST
from dhc.training.ranks import parts
from dhc.training.run import Run
from tests.training.conftest import STRIPES

OpenStripes = Callable[..., Run]  # see conftest.py


@dataclass
class Seen:
    """An observer that keeps everything, and may stop the run after a step as a crash would."""

    crash: int = 0
    steps: list[StepRecord] = field(default_factory=list)
    epochs: list[EpochRecord] = field(default_factory=list)

    def started(self, plan: RunPlan, done: int) -> None:
        self.done = done

    def step(self, record: StepRecord) -> None:
        self.steps.append(record)
        if record.step == self.crash:
            raise KeyboardInterrupt

    def epoch(self, record: EpochRecord) -> None:
        self.epochs.append(record)

    def saving(self) -> None:
        pass

    def stopped(self, why: str) -> None:
        self.why = why


def _same(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    return first.keys() == second.keys() and all(
        first[path].tobytes() == second[path].tobytes() for path in first
    )


def _last(run: Run) -> Mapping[str, Array]:
    return read_checkpoint(run.folder / LAST).arrays


def test_it_learns(open_stripes: OpenStripes) -> None:
    run, seen = open_stripes(epochs="8"), Seen()
    run.train([seen])
    assert len(seen.steps) == 8 * 5  # 72 samples: four batches of 16 and one of 8
    assert seen.epochs[-1].val["auc"] > 0.95
    assert seen.epochs[-1].val["loss"] < 0.5 * seen.epochs[0].train["loss"]


@pytest.mark.parametrize("precision", ["bf16", "f32x3"])
def test_it_learns_in_narrow_precision(open_stripes: OpenStripes, precision: str) -> None:
    run, seen = open_stripes(epochs="8", precision=precision), Seen()
    run.train([seen])
    assert seen.epochs[-1].val["auc"] > 0.95
    assert all(array.dtype == np.float32 for array in run.job.weights().values())


def test_what_cannot_be_compiled_leaves_no_files(open_stripes: OpenStripes) -> None:
    """A budget of memory is known to be too small before anything is written."""
    folder = open_stripes().folder.parent
    (folder / "stripes.dhm").write_text(STRIPES)
    with pytest.raises(DhcError, match="are allowed") as caught:
        dhc.train(dhc.load(folder / "stripes.dhm"), out=folder / "out", settings={"memory": "1kB"})
    assert "stripes.memory:" in str(caught.value)
    assert not (folder / "out").exists()


def test_the_same_file_gives_the_same_weights(open_stripes: OpenStripes) -> None:
    first, second = open_stripes("first"), open_stripes("second")
    first.train()
    second.train()
    assert _same(_last(first), _last(second))


def test_another_seed_gives_other_weights(open_stripes: OpenStripes) -> None:
    first, second = open_stripes("first", epochs="1"), open_stripes("second", epochs="1", seed="6")
    first.train()
    second.train()
    assert not _same(_last(first), _last(second))


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_do_not_change_the_weights(open_stripes: OpenStripes, workers: int) -> None:
    data = 'dataset("stripes.npz", train=varied, val=plain, test=plain'
    plain, other = open_stripes("plain"), open_stripes("own", data=f"{data}, workers={workers})")
    plain.train()
    other.train()
    assert _same(_last(plain), _last(other))


RECIPES: dict[str, dict[str, str]] = {
    "plain": {},
    "balanced": {
        "data": 'dataset("stripes.npz", train=varied, val=plain, test=plain, balance=true)',
    },
    "averaged in groups": {"accumulate": "2", "batch": "8", "average": "ema(0.9)"},
}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("step", [3, 9])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(
    open_stripes: OpenStripes, step: int, recipe: str
) -> None:
    own = {"checkpoint": "2", **RECIPES[recipe]}
    whole = open_stripes("whole", **own)
    whole.train()
    stopped = open_stripes("stopped", **own)
    with pytest.raises(KeyboardInterrupt):
        stopped.train([Seen(crash=step)])
    seen = Seen()
    open_stripes("stopped", **own).train([seen], resume=True)
    assert 0 < seen.done <= step
    assert _same(_last(whole), _last(stopped))


def test_the_best_epoch_is_kept(open_stripes: OpenStripes) -> None:
    run, seen = open_stripes(epochs="4", stop="early_stopping(patience=9, monitor=val.auc)"), Seen()
    run.train([seen])
    best = max(seen.epochs, key=lambda record: record.val["auc"])
    assert read_checkpoint(run.folder / BEST).state["run"]["step"] == best.epoch * 5
    run.load_best()
    assert run.job.validate()["auc"] == pytest.approx(best.val["auc"], abs=1e-12)


def test_early_stopping(open_stripes: OpenStripes) -> None:
    stop = "early_stopping(patience=2, monitor=val.loss, min_delta=100.0)"
    outcome = open_stripes(epochs="9", stop=stop).train()
    assert outcome.state.epoch == 3
    assert "no improvement for 2 epochs" in outcome.reason


def test_a_loss_that_is_no_number_names_its_layer(open_stripes: OpenStripes) -> None:
    run = open_stripes(loss="cross_entropy(log(out.logits - 1000), data.label)")
    with pytest.raises(DhcError, match="no number") as raised:
        run.train()
    assert "of 'log' in" in str(raised.value)


def test_a_run_is_not_overwritten(open_stripes: OpenStripes) -> None:
    open_stripes(epochs="1").train()
    with pytest.raises(DhcError, match="holds a run already"):
        open_stripes(epochs="1").train()


def test_another_program_does_not_go_on(open_stripes: OpenStripes) -> None:
    open_stripes(epochs="1").train()
    with pytest.raises(DhcError, match="another"):
        open_stripes(epochs="1", batch="8").train(resume=True)


def test_more_epochs_may_be_added(open_stripes: OpenStripes) -> None:
    rate = "adam(lr=1e-3)"
    whole = open_stripes("whole", epochs="3", optimizer=rate)
    whole.train()
    open_stripes("longer", epochs="1", optimizer=rate).train()
    longer = open_stripes("longer", epochs="3", optimizer=rate)
    longer.train(resume=True)
    assert _same(_last(whole), _last(longer))


def test_frozen_layers_stay(open_stripes: OpenStripes) -> None:
    run = open_stripes(freeze='["logits.conv.*", "logits.batchnorm.*"]', epochs="1")
    before = {path: array.copy() for path, array in run.job.weights().items()}
    run.train()
    after = run.job.weights()
    same = {path for path in before if np.array_equal(before[path], after[path])}
    assert same == {p for p in before if p.startswith(("logits.conv.", "logits.batchnorm."))}


def test_files_are_left_where_the_run_says(open_stripes: OpenStripes, tmp_path: Path) -> None:
    open_stripes("here", epochs="1").train()
    assert {path.name for path in (tmp_path / "here").iterdir()} >= {LAST, BEST}


def test_a_step_of_a_run_is_an_update(open_stripes: OpenStripes) -> None:
    """72 samples in groups of three batches of 8: three updates, whatever a batch holds."""
    run, seen = open_stripes(epochs="1", batch="8", accumulate="3"), Seen()
    assert run.train([seen]).state.step == 3
    assert [record.samples for record in seen.steps] == [24, 24, 24]


def test_a_run_stopped_within_a_group_goes_on(
    open_stripes: OpenStripes, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"batch": "8", "accumulate": "3", "checkpoint": "1"}
    whole = open_stripes("whole", **own)
    whole.train()
    stopped, done = open_stripes("stopped", **own), []

    def interrupted(batch: Mapping[str, Array]) -> Iterator[object]:
        for each in parts(batch):
            if len(done) == 4:  # in the second batch of the second group
                raise KeyboardInterrupt
            done.append(each)
            yield each

    with monkeypatch.context() as patched:
        patched.setattr("dhc.training.job.parts", interrupted)
        with pytest.raises(KeyboardInterrupt):
            stopped.train()
    open_stripes("stopped", **own).train(resume=True)
    assert _same(_last(whole), _last(stopped))


def test_averages_are_what_is_measured_and_written(open_stripes: OpenStripes) -> None:
    run = open_stripes(average="ema(0.9)", epochs="2")
    run.train()
    arrays, used = run.job.arrays(), run.job.weights()
    moved = [path for path in used if not np.array_equal(arrays[path], used[path])]
    assert {"logits.conv.weight", "logits.batchnorm.mean"} <= set(moved)
    assert all(np.array_equal(arrays[f"average/{path}"], used[path]) for path in moved)
    plain = open_stripes("plain", epochs="2")
    plain.train()
    assert _same({p: arrays[p] for p in used}, {p: plain.job.arrays()[p] for p in used})


def test_a_sample_that_comes_again_is_varied_anew(open_stripes: OpenStripes) -> None:
    run = open_stripes()
    batches = run.job.train.load([np.array([3, 3 + len(run.job.train)])], 0, 0)
    first, again = next(iter(batches))["image"]
    assert not np.array_equal(first, again)
    assert np.array_equal(first, run.job.train.prepare(3, 0)["image"])


def test_only_labels_can_be_balanced(open_stripes: OpenStripes) -> None:
    run = open_stripes()
    unlabelled = [replace(sample, values={}) for sample in run.job.train.samples]
    run.job.train.samples = unlabelled
    with pytest.raises(DhcError, match="one label for each sample"):
        run.job.train.classes()
