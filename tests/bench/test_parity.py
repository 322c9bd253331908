"""The comparison of whole experiments: the parts that need neither PyTorch nor data."""

from __future__ import annotations

import numpy as np

from bench.parity.compare import Judged, OverSeeds, compare
from bench.parity.ours import Trained
from bench.parity.tasks import Task, alike, split
from dhc.metrics import METRICS
from dhc.runtime.data.dataset import DataSet, Sample

AUC, DICE, ACCURACY = (METRICS[name]() for name in ("auc", "dice", "accuracy"))


def _run(seed: int, noise: float) -> Trained:
    random = np.random.default_rng(seed)
    truth = np.arange(200) % 2
    logits = np.stack([np.zeros(200), truth + random.normal(0, noise, 200)], 1)
    return Trained(1.0, logits, truth, {})


def test_the_value_is_the_mean_over_seeds() -> None:
    rows = [AUC.rows(run.predictions, run.truths) for run in (_run(s, 1.0) for s in range(3))]
    expected = np.mean([AUC.value(each) for each in rows])
    assert OverSeeds(Judged(AUC)).value(np.stack(rows, 1)) == expected
    assert OverSeeds(Judged(AUC, "0")).value(np.stack(rows, 1)) == expected


def test_equal_quality_is_told_from_unequal() -> None:
    good, alike, bad = (
        [_run(seed + first, noise) for seed in range(3)]
        for first, noise in ((0, 0.5), (10, 0.5), (20, 2.0))
    )
    same = compare(Judged(AUC), {"dhc": good, "torch": alike}, None)["difference"]
    other = compare(Judged(AUC), {"dhc": good, "torch": bad}, None)["difference"]
    assert same.low < 0 < same.high
    assert other.low > 0.1


def test_together_seeds_have_the_mean_of_their_probabilities() -> None:
    """Two are a little wrong and one is quite right, so that the mean is right."""
    truth = np.array([0])
    logits = [np.log([[p, 1 - p]]) for p in (0.4, 0.45, 0.9)]
    runs = [Trained(1.0, each, truth, {}) for each in logits]
    found = compare(Judged(ACCURACY), {"dhc": runs, "torch": runs}, None)
    assert (found["dhc"].value, found["together"].value) == (1 / 3, 1.0)
    masks = [np.full((1, 1, 2, 2), p) for p in (0.4, 0.45, 0.9)]
    runs = [Trained(1.0, each, np.ones((1, 1, 2, 2)), {}) for each in masks]
    found = compare(Judged(DICE), {"dhc": runs, "torch": runs}, None)
    assert (found["dhc"].value, found["together"].value) == (1 / 3, 1.0)


def test_the_evaluation_part_is_apart_from_what_chooses() -> None:
    samples = tuple(Sample(f"s{k}", {"label": k % 2}, f"g{k // 4}") for k in range(64))
    parts = {"train": samples[:48], "val": samples[48:]}
    whole = DataSet("d", {"label": "label"}, ("a", "b"), parts)
    found = split(Task("t", "auc", 0.9, lambda folder: whole, evaluation="val"), None)  # type: ignore[arg-type]
    assert found.parts["test"] == samples[48:]
    groups = [{sample.group for sample in found.parts[part]} for part in ("train", "val")]
    assert not groups[0] & groups[1]
    assert len(found.parts["train"]) + len(found.parts["val"]) == 48


def test_images_that_are_nearly_equal_are_one_group() -> None:
    """Also through a third one; how bright they are does not matter."""
    random = np.random.default_rng(0)
    base, other = random.normal(size=(2, 100))
    step = 0.25 * random.normal(size=100)
    groups = alike([base, other, 2 * base + 5, base + step, base + 2 * step])
    assert groups[0] == groups[2] == groups[3] == groups[4] != groups[1]
