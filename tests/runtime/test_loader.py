"""Batches are the same for any number of threads, and the threads end with their consumer."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Array
from dhc.runtime.data.loader import collate, load_batches
from dhc.runtime.data.sampler import Sampler


def _prepare(number: int) -> dict[str, Array]:
    image = np.full((1, 2, 3), number, np.float32)
    return {"image": image, "label": np.asarray(number % 3, np.int64)}


def _threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("dhc-data")]


def _message(error: DhcError) -> str:
    (diagnostic,) = error.diagnostics
    assert diagnostic.code == "data"
    assert diagnostic.message.endswith(".")
    return diagnostic.message


# ---- the same batches ----------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5), st.integers(0, 4), st.integers(1, 30))
def test_batches_come_in_order_whatever_the_number_of_threads(
    workers: int, ahead: int, count: int
) -> None:
    sampler = Sampler(count, 4, seed=2)
    made = list(load_batches(sampler.epoch(1), _prepare, workers, ahead))
    for numbers, batch in zip(sampler.epoch(1), made, strict=True):
        assert batch["image"].shape == (len(numbers), 1, 2, 3)
        np.testing.assert_array_equal(batch["image"][:, 0, 0, 0], numbers)
        np.testing.assert_array_equal(batch["label"], numbers % 3)


def test_slow_samples_do_not_change_the_order() -> None:
    def prepare(number: int) -> dict[str, Array]:
        time.sleep(random.Random(number).random() / 200)
        return _prepare(number)

    made = load_batches(Sampler(20, 3, shuffle=False).epoch(0), prepare, workers=4)
    assert np.concatenate([b["image"][:, 0, 0, 0] for b in made]).tolist() == list(range(20))


def test_no_more_is_prepared_ahead_than_was_asked_for() -> None:
    started: list[int] = []

    def prepare(number: int) -> dict[str, Array]:
        started.append(number)
        return _prepare(number)

    made = load_batches(Sampler(100, 2, shuffle=False).epoch(0), prepare, workers=2, ahead=3)
    next(made)
    time.sleep(0.05)
    assert max(started) < 2 * (1 + 3)
    made.close()  # type: ignore[attr-defined]


def test_nothing_gives_nothing() -> None:
    assert list(load_batches([], _prepare)) == []


# ---- errors --------------------------------------------------------------------------------------


def _broken(number: int) -> dict[str, Array]:
    if number == 7:
        raise DhcError(Diagnostic("data", "The sample 'b/7.png' is damaged."))
    if number == 9:
        raise ZeroDivisionError("division by zero")
    return _prepare(number)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_error_names_the_sample_and_ends_the_threads(workers: int) -> None:
    made = load_batches(Sampler(20, 4, shuffle=False).epoch(0), _broken, workers)
    next(made)
    with pytest.raises(DhcError, match=r"'b/7\.png'"):
        next(made)
    assert _threads() == []
    assert list(made) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unexpected_error_has_a_note_with_the_sample(workers: int) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(load_batches([np.array([9])], _broken, workers))
    assert caught.value.__notes__ == ["while preparing sample 9"]


def test_an_error_of_the_sampler_ends_the_threads() -> None:
    def numbers() -> Iterator[Array]:
        yield np.array([1])
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        list(load_batches(numbers(), _prepare))
    assert _threads() == []


# ---- threads -------------------------------------------------------------------------------------


def test_threads_end_with_the_last_batch() -> None:
    made = load_batches(Sampler(20, 4).epoch(0), _prepare, workers=3)
    next(made)
    assert len(_threads()) == 3
    assert len(list(made)) == 4
    assert _threads() == []


@pytest.mark.parametrize("way", ["close", "forget", "break"])
def test_threads_end_when_the_consumer_stops_early(way: str) -> None:
    prepared: list[int] = []

    def prepare(number: int) -> dict[str, Array]:
        prepared.append(number)
        time.sleep(0.001)
        return _prepare(number)

    made = load_batches(Sampler(1000, 4, shuffle=False).epoch(0), prepare, workers=2)
    if way == "break":
        for _ in made:
            break
    else:
        next(made)
    if way == "close":
        made.close()  # type: ignore[attr-defined]
    del made
    assert _threads() == []
    assert len(prepared) < 20


def test_no_thread_runs_before_the_first_batch_is_asked_for() -> None:
    load_batches([np.array([1])], _prepare)
    assert _threads() == []


# ---- collating -----------------------------------------------------------------------------------


def test_samples_are_stacked_field_by_field() -> None:
    batch = collate([_prepare(4), _prepare(5)])
    assert {name: (a.shape, a.dtype.name) for name, a in batch.items()} == {
        "image": ((2, 1, 2, 3), "float32"),
        "label": ((2,), "int64"),
    }


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (
            {"image": np.zeros((1, 3, 3), np.float32)},
            "Samples of one batch have 'image' of shape [1, 2, 3] and [1, 3, 3].",
        ),
        (
            {"image": np.zeros((1, 2, 3), np.uint8)},
            "Samples of one batch have 'image' of type float32 and uint8.",
        ),
        ({}, "Samples of one batch have image and nothing."),
        (
            {"image": np.zeros((1, 2, 3), np.float32), "mask": np.zeros(1)},
            "Samples of one batch have image and image, mask.",
        ),
    ],
)
def test_samples_of_a_batch_are_alike(other: dict[str, Array], expected: str) -> None:
    with pytest.raises(DhcError) as caught:
        collate([{"image": np.zeros((1, 2, 3), np.float32)}, other])
    assert _message(caught.value) == expected
