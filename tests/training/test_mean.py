"""The loss of a part of the data does not depend on the batches in which it is measured."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import log_softmax

from dhc.training.run import Run

OpenStripes = Callable[..., Run]  # see conftest.py


@pytest.mark.parametrize("more", ["", ", weights=[0.5, 3.0]", ", ignore_index=0"])
def test_a_mean_loss_is_that_of_all_samples(more: str, open_stripes: OpenStripes) -> None:
    loss = f"cross_entropy(out.logits, data.label{more})"
    found = []
    for batch in (40, 7):
        job = open_stripes(f"run{batch}", batch=str(batch), loss=loss).job
        found.append(job.measure(job.part("val"))[0])
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_it_divides_by_the_weights_of_all_samples(open_stripes: OpenStripes) -> None:
    loss = "cross_entropy(out.logits, data.label, weights=[0.5, 3.0])"
    job = open_stripes(batch="16", loss=loss).job
    logits: list[np.ndarray] = []
    labels: list[np.ndarray] = []

    def watch(batch: dict[str, np.ndarray], outputs: dict[str, np.ndarray]) -> None:
        logits.append(outputs["logits"].astype(np.float64))
        labels.append(batch["label"].reshape(-1))

    mean, _ = job.measure(job.part("val"), watch)  # type: ignore[arg-type]
    truth = np.concatenate(labels)
    weight = np.array([0.5, 3.0])[truth]
    each = -log_softmax(np.concatenate(logits), 1)[np.arange(len(truth)), truth]
    assert mean == pytest.approx((each * weight).sum() / weight.sum(), rel=1e-5)


def test_a_part_without_anything_that_counts_has_no_mean(open_stripes: OpenStripes) -> None:
    loss = "cross_entropy(out.logits, 0 * data.label, ignore_index=0)"
    job = open_stripes(loss=loss).job
    assert np.isnan(job.measure(job.part("val"))[0])
