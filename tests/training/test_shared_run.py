"""A whole run that ranks share: it learns, measures, stops and goes on as that of one rank."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from dhc.errors import DhcError
from dhc.ir.graph import Array
from dhc.runtime.checkpoint import read_checkpoint
from dhc.runtime.comm.agree import ElsewhereError
from dhc.runtime.comm.base import Alone, Communicator
from dhc.runtime.comm.threads import AbortedError, run_ranks
from dhc.runtime.reporting.records import EpochRecord, RunPlan, StepRecord
from dhc.runtime.trainer import LAST
from dhc.training.run import Run

OpenStripes = Callable[..., Run]  # see conftest.py
SHARED = {
    "optimizer": "sgd(lr=0.05, momentum=0.9)",
    "epochs": "2",
    "batch": "24",  # of 72 samples
    "seed": "5\n    distribute { mode = data_parallel() sync_batchnorm = true }",
}
T = TypeVar("T")


def _all(ranks: int, work: Callable[[Communicator], T]) -> list[T]:
    """What the ranks return; none may fail."""
    found = run_ranks(ranks, work)
    results = [each for each in found if not isinstance(each, BaseException)]
    assert len(results) == ranks, found
    return results


class Seen:
    """An observer that may stop the run after a step as a crash would."""

    def __init__(self, crash: int = 0) -> None:
        self.crash = crash
        self.losses: list[float] = []
        self.samples: list[int] = []

    def started(self, plan: RunPlan, done: int) -> None:
        self.plan = plan

    def step(self, record: StepRecord) -> None:
        self.losses.append(record.loss)
        self.samples.append(record.samples)
        if record.step == self.crash:
            raise KeyboardInterrupt

    def epoch(self, record: EpochRecord) -> None:
        pass

    def saving(self) -> None:
        pass

    def stopped(self, why: str) -> None:
        pass


def _trained(open_stripes: OpenStripes, ranks: int, out: str) -> tuple[Seen, Mapping[str, Array]]:
    seen = Seen()

    def work(communicator: Communicator) -> None:
        run = open_stripes(out, communicator, checkpoint="2", **SHARED)
        run.train([seen] if communicator.rank == 0 else [])

    _all(ranks, work)
    return seen, read_checkpoint(open_stripes(out, Alone(), **SHARED).folder / LAST).arrays


def _close(found: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    assert found.keys() == expected.keys()
    for path, array in expected.items():
        scale = float(np.abs(array).max())
        np.testing.assert_allclose(found[path], array, 0, 1e-4 * scale + 1e-5, err_msg=path)


def test_ranks_learn_what_one_rank_learns(open_stripes: OpenStripes) -> None:
    one, expected = _trained(open_stripes, 1, "one")
    two, found = _trained(open_stripes, 2, "two")
    assert one.samples == two.samples == [24] * 6
    assert two.losses == pytest.approx(one.losses, rel=1e-4)
    _close(found, expected)


@pytest.mark.parametrize("ranks", [2, 3])  # 40 samples are two batches
def test_validation_gives_the_bits_of_one_rank(open_stripes: OpenStripes, ranks: int) -> None:
    expected = open_stripes("one", Alone(), **SHARED).job.validate()

    def work(communicator: Communicator) -> dict[str, float]:
        return open_stripes("run", communicator, **SHARED).job.validate()

    assert expected.keys() == {"loss", "accuracy", "auc"}
    assert _all(ranks, work) == [expected] * ranks


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_ranks(open_stripes: OpenStripes) -> None:
    _, expected = _trained(open_stripes, 1, "whole")
    crash = Seen(crash=5)

    def stopped(communicator: Communicator) -> None:
        run = open_stripes("stopped", communicator, checkpoint="2", **SHARED)
        run.train([crash] if communicator.rank == 0 else [])

    first, second = run_ranks(2, stopped)
    assert isinstance(first, KeyboardInterrupt)
    assert isinstance(second, AbortedError)
    rest = Seen()

    def resumed(communicator: Communicator) -> Path:
        run = open_stripes("stopped", communicator, checkpoint="2", **SHARED)
        run.train([rest] if communicator.rank == 0 else [], resume=True)
        return run.folder

    folder = _all(3, resumed)[0]
    assert len(rest.losses) == 6 - 4, "it went on from the checkpoint after step 4"
    _close(read_checkpoint(folder / LAST).arrays, expected)


def test_rank_0_alone_writes(open_stripes: OpenStripes, tmp_path: Path) -> None:
    def work(communicator: Communicator) -> None:
        open_stripes(f"rank{communicator.rank}", communicator, **SHARED).train()

    _all(2, work)
    assert (tmp_path / "rank0" / LAST).exists()
    assert not (tmp_path / "rank1").exists()


def test_a_loss_that_is_no_number_has_one_voice(open_stripes: OpenStripes) -> None:
    """One sample on the last rank spoils the loss of all; the message names where it began."""
    loss = "cross_entropy(log(out.logits - 1000), data.label)"

    def work(communicator: Communicator) -> None:
        run = open_stripes("run", communicator, loss=loss, **SHARED)
        run.train()

    first, second = run_ranks(2, work)
    assert isinstance(first, DhcError)
    assert "of 'log' in" in str(first)
    assert isinstance(second, ElsewhereError)


def test_ranks_that_share_nothing_are_refused(open_stripes: OpenStripes) -> None:
    for each in run_ranks(2, lambda communicator: open_stripes("run", communicator)):
        assert isinstance(each, DhcError)
        assert "distribute { mode = data_parallel() }" in str(each.diagnostics[0].hints)
