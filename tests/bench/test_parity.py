"""The comparison of whole experiments: the parts that need neither PyTorch nor data."""

from __future__ import annotations

import numpy as np

from bench.parity.compare import OverSeeds, compare, stacked
from bench.parity.tasks import Task, split
from dhc.metrics import METRICS
from dhc.runtime.data.dataset import DataSet, Sample

AUC = METRICS["auc"]()


def _rows(seed: int, noise: float) -> np.ndarray:  # type: ignore[type-arg]
    random = np.random.default_rng(seed)
    truth = np.arange(200) % 2
    return AUC.rows(truth + random.normal(0, noise, 200), truth)


def test_the_value_is_the_mean_over_seeds() -> None:
    runs = [_rows(seed, 1.0) for seed in range(3)]
    expected = np.mean([AUC.value(rows) for rows in runs])
    assert OverSeeds(AUC).value(stacked(runs)) == expected
    assert OverSeeds(AUC, "0").value(stacked(runs)) == expected


def test_equal_quality_is_told_from_unequal() -> None:
    good, alike, bad = (
        [_rows(seed + first, noise) for seed in range(3)]
        for first, noise in ((0, 0.5), (10, 0.5), (20, 2.0))
    )
    same = compare(AUC, "", good, alike, None)[2]
    other = compare(AUC, "", good, bad, None)[2]
    assert same.low < 0 < same.high
    assert other.low > 0.1


def test_the_evaluation_part_is_apart_from_what_chooses() -> None:
    samples = tuple(Sample(f"s{k}", {"label": k % 2}, f"g{k // 4}") for k in range(64))
    parts = {"train": samples[:48], "val": samples[48:]}
    whole = DataSet("d", {"label": "label"}, ("a", "b"), parts)
    found = split(Task("t", "auc", 0.9, lambda folder: whole, evaluation="val"), None)  # type: ignore[arg-type]
    assert found.parts["test"] == samples[48:]
    groups = [{sample.group for sample in found.parts[part]} for part in ("train", "val")]
    assert not groups[0] & groups[1]
    assert len(found.parts["train"]) + len(found.parts["val"]) == 48
