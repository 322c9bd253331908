"""An epoch has every sample exactly once, in an order that the seed and the epoch alone decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhc.runtime.data.sampler import Sampler, even_batch, shard

COUNTS = st.integers(1, 60)


@given(COUNTS, st.integers(1, 70), st.integers(0, 1 << 40), st.integers(0, 1000), st.booleans())
def test_every_sample_comes_exactly_once(
    count: int, batch: int, seed: int, epoch: int, shuffle: bool
) -> None:
    batches = list(Sampler(count, batch, seed, shuffle).epoch(epoch))
    assert sorted(np.concatenate(batches)) == list(range(count))
    assert [len(numbers) for numbers in batches[:-1]] == [batch] * (len(batches) - 1)
    assert len(batches) == Sampler(count, batch).batches


@given(COUNTS, st.integers(1, 20), st.data())
def test_an_epoch_can_begin_in_the_middle(count: int, batch: int, data: st.DataObject) -> None:
    sampler = Sampler(count, batch, seed=3)
    first = data.draw(st.integers(0, sampler.batches))
    rest, whole = list(sampler.epoch(5, first)), list(sampler.epoch(5))[first:]
    assert [list(numbers) for numbers in rest] == [list(numbers) for numbers in whole]


@pytest.mark.parametrize(
    ("count", "drop_last", "sizes"),
    [
        (10, False, [4, 4, 2]),
        (10, True, [4, 4]),
        (8, False, [4, 4]),
        (8, True, [4, 4]),
        (3, False, [3]),
        (3, True, [3]),  # the only batch is never left out
    ],
)
def test_the_last_batch_may_be_short(count: int, drop_last: bool, sizes: list[int]) -> None:
    sampler = Sampler(count, 4, drop_last=drop_last)
    assert [len(numbers) for numbers in sampler.epoch(0)] == sizes
    assert sampler.batches == len(sizes)


def test_the_order_is_that_of_its_seed_and_epoch() -> None:
    """Stored, because a run that is resumed years later must go on in the same order."""
    assert list(Sampler(10, 4, seed=0).order(0)) == [0, 4, 6, 9, 5, 1, 7, 8, 2, 3]
    assert list(Sampler(10, 4, seed=7).order(3)) == [9, 2, 4, 1, 6, 0, 3, 8, 5, 7]


def test_orders_differ_between_epochs_and_seeds() -> None:
    orders = [tuple(Sampler(50, 4, seed).order(epoch)) for seed in range(4) for epoch in range(4)]
    assert len(set(orders)) == 16


def test_the_order_does_not_depend_on_the_batch() -> None:
    assert list(Sampler(50, 4).order(1)) == list(Sampler(50, 7).order(1))


def test_without_shuffling_the_order_stays() -> None:
    assert list(Sampler(5, 2, shuffle=False).order(9)) == [0, 1, 2, 3, 4]


def test_every_place_is_equally_likely() -> None:
    """Chi-squared with 25 degrees of freedom is above 60 once in ten thousand times."""
    counts = np.zeros((6, 6))
    for epoch in range(3000):
        counts[np.arange(6), Sampler(6, 1).order(epoch)] += 1
    assert ((counts - 500) ** 2 / 500).sum() < 60


@pytest.mark.parametrize(("count", "batch"), [(0, 1), (1, 0), (-1, 1), (1, -1)])
def test_there_is_something_to_sample(count: int, batch: int) -> None:
    with pytest.raises(ValueError, match="make no epoch"):
        Sampler(count, batch)


@given(COUNTS, st.integers(1, 9))
def test_ranks_share_a_batch_without_gaps_or_duplicates(count: int, ranks: int) -> None:
    batch = Sampler(count, count, seed=1).order(0)
    parts = [shard(batch, rank, ranks) for rank in range(ranks)]
    assert list(np.concatenate(parts)) == list(batch)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


# ---- balanced classes ------------------------------------------------------------------------

CLASSES = (0,) * 20 + (4,) * 6 + (7,) * 3
BALANCED = Sampler(29, 8, seed=3, classes=CLASSES)


def _counts(order: np.ndarray) -> list[int]:
    return [sum(CLASSES[k % 29] == each for k in order) for each in (0, 4, 7)]


def test_balanced_epochs_have_as_many_of_each_class() -> None:
    counts = [_counts(BALANCED.order(epoch)) for epoch in range(3)]
    assert all(sum(each) == 29 and max(each) - min(each) <= 1 for each in counts)
    assert np.sum(counts, axis=0).tolist() == [29, 29, 29]


def test_a_class_is_used_up_before_a_sample_comes_again() -> None:
    order = BALANCED.order(0)
    for first, own in ((20, 6), (26, 3)):
        times = [np.sum(order % 29 == k) for k in range(first, first + own)]
        assert max(times) - min(times) <= 1
    assert np.all(np.unique(order, return_counts=True)[1] == 1)  # each time has its own number
    large = order[order % 29 < 20]
    assert len(np.unique(large)) == len(large)


def test_balanced_orders_follow_from_seed_and_epoch() -> None:
    again = Sampler(29, 8, seed=3, classes=CLASSES)
    np.testing.assert_array_equal(BALANCED.order(5), again.order(5))
    assert not np.array_equal(BALANCED.order(5), BALANCED.order(6))
    rest = list(BALANCED.epoch(5, first=2))
    np.testing.assert_array_equal(np.concatenate(rest), BALANCED.order(5)[16:])


@given(COUNTS, st.integers(1, 70))
def test_even_batches_are_equal_where_a_large_enough_size_divides(count: int, most: int) -> None:
    size = even_batch(count, most)
    assert size <= most
    sizes = {len(numbers) for numbers in Sampler(count, size, shuffle=False).epoch(0)}
    divisors = [k for k in range(1, most + 1) if count % k == 0 and 2 * k >= most]
    assert sizes == {divisors[-1]} if divisors else size == min(count, most)


def test_even_batches_are_as_large_as_can_be() -> None:
    assert [even_batch(count, 16) for count in (20, 130, 32, 17, 5)] == [10, 13, 16, 16, 5]
