"""What ranks say to each other: the same for threads here and for processes in `tests/e2e`."""

from __future__ import annotations

import threading
from typing import NoReturn

import numpy as np
import pytest

from dhc.errors import DhcError, Diagnostic
from dhc.runtime.comm.agree import (
    ElsewhereError,
    check_alike,
    ending_together,
    first_alone,
    share_arrays,
    share_json,
    together,
)
from dhc.runtime.comm.base import Alone, Communicator, Exchange
from dhc.runtime.comm.mpi import open_communicator
from dhc.runtime.comm.threads import AbortedError, run_ranks


def _fail(text: str) -> NoReturn:
    raise DhcError(Diagnostic("data", text))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_sums_are_those_of_all_ranks(size: int) -> None:
    def work(communicator: Communicator) -> list[float]:
        array = np.array([communicator.rank, 1.0, 0.25])
        communicator.allreduce(array)
        return array.tolist()

    assert run_ranks(size, work) == [[sum(range(size)), size, size / 4]] * size


def test_several_sums_may_be_under_way() -> None:
    def work(communicator: Communicator) -> tuple[float, float]:
        first, second = np.array([1.0 + communicator.rank]), np.array([10.0])
        pending = [communicator.start(first), communicator.start(second)]
        for each in reversed(pending):
            each.wait()
        return float(first[0]), float(second[0])

    assert run_ranks(2, work) == [(3.0, 20.0)] * 2


def test_bytes_come_in_the_order_of_the_ranks() -> None:
    def work(communicator: Communicator) -> tuple[list[bytes], bytes]:
        own = b"x" * communicator.rank
        return communicator.allgather(own), communicator.broadcast(own + b"!")

    assert run_ranks(3, work) == [([b"", b"x", b"xx"], b"!")] * 3


def test_one_rank_alone_needs_nobody() -> None:
    array = np.array([2.0])
    alone = Alone()
    alone.allreduce(array)
    assert array.tolist() == [2.0]
    assert (alone.allgather(b"a"), alone.broadcast(b"b")) == ([b"a"], b"b")
    assert isinstance(open_communicator(), Alone)  # no launcher has started the tests


def test_who_has_no_samples_adds_nothing() -> None:
    def work(communicator: Communicator) -> float:
        exchange = Exchange(communicator)
        exchange.present = communicator.rank != 1
        bucket = np.array([np.nan if communicator.rank == 1 else 5.0], np.float32)
        exchange.start(0, bucket)
        exchange.wait(0)
        return float(bucket[0])

    assert run_ranks(3, work) == [10.0] * 3


# ---- agreement -------------------------------------------------------------------------------


def test_a_failure_on_one_rank_is_one_on_all_and_has_one_voice() -> None:
    def work(communicator: Communicator) -> int:
        fails = communicator.rank in (1, 2)
        return together(communicator, lambda: _fail("broken") if fails else 7)

    first, second, third = run_ranks(3, work)
    assert isinstance(second, DhcError)
    for other in (first, third):
        assert isinstance(other, ElsewhereError)
        assert other.code == 1


def test_bugs_have_another_status_than_mistakes() -> None:
    def work(communicator: Communicator) -> float:
        return together(communicator, lambda: 1 / communicator.rank)

    first, second = run_ranks(2, work)
    assert isinstance(first, ZeroDivisionError)
    assert isinstance(second, ElsewhereError)
    assert second.code == 3


def test_only_rank_0_does_what_it_does_alone() -> None:
    done: list[str] = []
    assert run_ranks(3, lambda c: first_alone(c, lambda: done.append(str(c.rank)))) == [None] * 3
    assert done == ["0"]


def test_what_rank_0_has_is_shared() -> None:
    def work(communicator: Communicator) -> tuple[object, list[float]]:
        first = communicator.rank == 0
        arrays = {"a": np.arange(3, dtype=np.float32), "b": np.array(1.5)} if first else {}
        shared = share_arrays(communicator, arrays)
        assert shared["b"].shape == ()
        return share_json(communicator, {"x": 0.1 if first else 0}), shared["a"].tolist()

    assert run_ranks(2, work) == [({"x": 0.1}, [0.0, 1.0, 2.0])] * 2


def test_weights_that_differ_in_one_bit_are_found() -> None:
    def work(communicator: Communicator) -> None:
        value = np.array([1.0, 2.0], np.float32)
        if communicator.rank == 2:
            value.view(np.uint32)[1] ^= 1
        check_alike(communicator, {"w": value})

    first, second, _ = run_ranks(3, work)
    assert "rank 2 differ" in str(first)
    assert isinstance(second, ElsewhereError)


def test_a_rank_that_falls_ends_those_that_wait() -> None:
    said: list[BaseException] = []

    def report(error: BaseException) -> int:
        said.append(error)
        return 3

    def work(communicator: Communicator) -> None:
        with ending_together(communicator, report):
            if communicator.rank == 1:
                raise RuntimeError("a crash that the others cannot know of")
            communicator.allreduce(np.zeros(1))

    first, second = run_ranks(2, work)
    assert isinstance(first, AbortedError)
    assert isinstance(second, SystemExit)
    assert second.code == 3
    assert [str(error) for error in said if isinstance(error, RuntimeError)]
    assert threading.active_count() < 50


# ---- launchers -------------------------------------------------------------------------------


def test_a_launcher_without_mpi_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setitem(__import__("sys").modules, "mpi4py", None)
    with pytest.raises(DhcError, match="mpi4py") as raised:
        open_communicator()
    assert "pip install" in str(raised.value.diagnostics[0].hints)


def test_the_other_ranks_leave_that_to_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMI_RANK", "1")
    monkeypatch.setitem(__import__("sys").modules, "mpi4py", None)
    with pytest.raises(ElsewhereError):
        open_communicator()
