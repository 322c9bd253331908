"""Networks for sequences learn through a train block: an LSTM counts, a transformer compares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.frontend import load_text
from dhc.training.run import open_run

TEXT = """
import "std/transformer.dhm"

pipeline plain(image: image[1]) { to_float() }

model Counter() {
    input image: f32[N, 1, 5, 3]
    output logits = image -> squeeze(axis=1) -> lstm(12, give=last) -> dense(4)
}

model Encoder() {
    input image: f32[N, 1, 5, 3]
    x = image -> squeeze(axis=1) -> dense(8) -> sinusoidal_positions()
        -> transformer_encoder(heads=2, hidden=16, rate=0)
    output logits = x -> reduce_mean(axes=[1]) -> dense(4)
}

train task {
    model = MODEL
    data = dataset("rows.npz", train=plain, val=plain)
    loss = cross_entropy(out.logits, data.label)
    metrics = [accuracy(out.logits, data.label)]
    optimizer = adam(lr=0.02)
    epochs = 12
    batch = 16
    seed = 3
}
"""


def write_rows(path: Path) -> None:
    """Images of five rows, some of them bright; the label is how many, 0 .. 3."""
    random, arrays = np.random.default_rng(0), {}
    for part, count in (("train", 160), ("val", 80)):
        labels = random.integers(0, 4, count)
        order = np.argsort(random.random((count, 5)), axis=1)
        bright = order < labels[:, None]
        noise = random.integers(0, 60, (count, 5, 3))
        arrays[f"{part}_images"] = (noise + 180 * bright[:, :, None]).astype(np.uint8)
        arrays[f"{part}_labels"] = labels[:, None].astype(np.uint8)
    np.savez(path, **arrays)


@pytest.mark.parametrize("model", ["Counter", "Encoder"])
def test_networks_for_sequences_learn(model: str, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.npz")
    program = load_text(TEXT.replace("MODEL", model))
    run = open_run(program, "task", tmp_path, tmp_path / "run", Target("cpu"))
    run.train()
    assert run.job.validate()["accuracy"] > 0.9
