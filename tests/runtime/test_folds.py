"""Folds hold every sample once, keep groups whole, and have about the same share of classes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhc.errors import DhcError
from dhc.runtime.data.dataset import DataSet, Sample
from dhc.runtime.data.folds import Folding, cut, fold_dataset


def _samples(groups: list[int], labels: list[int] | None = None) -> list[Sample]:
    own = labels or [0] * len(groups)
    return [
        Sample(f"s{k}", {"label": label}, f"p{group}")
        for k, (group, label) in enumerate(zip(groups, own, strict=True))
    ]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=80), st.integers(2, 6), st.integers(0, 9))
def test_groups_stay_whole_and_no_fold_is_empty(groups: list[int], count: int, seed: int) -> None:
    samples = _samples(groups)
    if len(set(groups)) < count:
        with pytest.raises(DhcError, match="cannot be cut"):
            cut(samples, Folding(count, seed=seed))
        return
    folds = cut(samples, Folding(count, seed=seed))
    assert set(folds) == set(range(count))
    for group in set(groups):
        assert len({fold for fold, own in zip(folds, groups, strict=True) if own == group}) == 1


@given(st.integers(2, 6), st.integers(0, 5), st.data())
def test_folds_of_single_samples_are_even(count: int, seed: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(count, 60))
    folds = cut(_samples(list(range(size))), Folding(count, seed=seed))
    sizes = Counter(folds).values()
    assert max(sizes) - min(sizes) <= 1


def test_classes_have_the_same_share_in_each_fold() -> None:
    random = np.random.default_rng(3)
    groups = [int(k) for k in random.integers(0, 120, 600)]
    kind = {group: int(random.random() < 0.2) for group in range(120)}
    labels = [kind[group] for group in groups]
    folds = np.array(cut(_samples(groups, labels), Folding(5, stratified=True)))
    shares = [np.mean(np.array(labels)[folds == fold]) for fold in range(5)]
    assert max(shares) - min(shares) < 0.04
    sizes = np.bincount(folds)
    assert max(sizes) - min(sizes) <= 12


def test_ungrouped_folds_may_part_a_group() -> None:
    folds = cut(_samples([1] * 10), Folding(2, grouped=False))
    assert Counter(folds) == {0: 5, 1: 5}


def test_the_seed_decides() -> None:
    samples = _samples(list(range(40)))
    assert cut(samples, Folding(4, seed=1)) == cut(samples, Folding(4, seed=1))
    assert cut(samples, Folding(4, seed=1)) != cut(samples, Folding(4, seed=2))


def test_each_fold_validates_once_and_none_has_the_test_part() -> None:
    pool = _samples([0, 1, 2, 3, 4, 5])
    parts = {"train": tuple(pool[:4]), "val": tuple(pool[4:]), "test": (Sample("t", {}),)}
    found = fold_dataset(DataSet("d", {"label": "label"}, ("a",), parts), Folding(3))
    held = [sample.name for fold in found for sample in fold.parts["val"]]
    assert sorted(held) == [sample.name for sample in pool]
    for fold in found:
        assert set(fold.parts) == {"train", "val"}
        names = [sample.name for part in fold.parts.values() for sample in part]
        assert sorted(names) == [sample.name for sample in pool]


def test_without_one_label_nothing_can_be_stratified() -> None:
    with pytest.raises(DhcError, match="one label"):
        cut([Sample(f"s{k}", {}) for k in range(4)], Folding(2, stratified=True))
