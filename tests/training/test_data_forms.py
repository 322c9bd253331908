"""What hospitals have goes into a training run as it is: YAML of DeepHealth, arrays, series."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image

from dhc.backends.base import Target
from dhc.frontend import load_text
from dhc.training.run import Run, open_run

REST = "optimizer = adam(lr=1e-2) batch = 3 }"


def _pictures(folder: Path) -> None:
    random = np.random.default_rng(0)
    for k in range(6):
        picture = random.integers(0, 255, (8, 8)).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{k}.png")
        Image.fromarray((picture > 128).astype(np.uint8) * 255).save(folder / f"{k}_mask.png")


def _run(tmp_path: Path, text: str) -> Run:
    return open_run(load_text(text), "t", tmp_path, tmp_path / "run", Target("cpu"))


def _loss_of_a_step(run: Run) -> float:
    batch = next(iter(run.job.batches(1, 0)))
    loss = run.job.step(1, 1e-2, batch)
    assert math.isfinite(loss)
    return loss


def test_labels_and_values_of_a_deephealth_file(tmp_path: Path) -> None:
    _pictures(tmp_path)
    images = "".join(
        f"  - {{location: {k}.png, label: {'ab'[k % 2]}, values: [{k}, 50]}}\n" for k in range(6)
    )
    text = f"classes: [a, b]\nfeatures: [size, age]\nimages:\n{images}split: {{training: [0, 1, 2]"
    (tmp_path / "set.yml").write_text(text + ", validation: [3, 4, 5]}")
    run = _run(
        tmp_path,
        """
        pipeline plain(image: image[1]) { to_float() }
        model Net() {
            input image: f32[N, 1, H, W]
            input values: f32[N, 2]
            pixels = image -> global_avgpool() -> flatten()
            output logits = (pixels, values) -> concat(axis=C) -> dense(2)
        }
        train t {
            model = Net
            data = dataset("set.yml", train=plain, val=plain)
            loss = cross_entropy(out.logits, data.label)
            metrics = [accuracy(out.logits, data.label)]
        """
        + REST,
    )
    assert run.job.dataset.classes == ("a", "b")
    assert _loss_of_a_step(run) > 0
    assert 0 <= run.job.validate()["accuracy"] <= 1


def test_masks_of_a_deephealth_file(tmp_path: Path) -> None:
    _pictures(tmp_path)
    images = "".join(f"  - {{location: {k}.png, label: {k}_mask.png}}\n" for k in range(6))
    (tmp_path / "set.yml").write_text("images:\n" + images)
    run = _run(
        tmp_path,
        """
        pipeline plain(image: image[1], mask: mask) { to_float() mirror(p=0.5) }
        model Net() {
            input image: f32[N, 1, H, W]
            output p = image -> conv(1, kernel=1) -> sigmoid()
        }
        train t {
            model = Net
            data = dataset("set.yml", train=plain)
            loss = mse(out.p, data.mask)
        """
        + REST,
    )
    sample = run.job.train.prepare(0, 1)
    np.testing.assert_array_equal(sample["mask"], sample["image"] > 128 / 255)
    assert 0 < _loss_of_a_step(run) < 1


def test_series_and_maps_of_arrays(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    series = random.normal(size=(6, 4, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "set.npz", series=series, flow_maps=series.mean(axis=1))
    run = _run(
        tmp_path,
        """
        pipeline plain(series: image[4], flow: image[1]) { series -> clip(-2, 2) mirror(p=0.5) }
        model Net() {
            input series: f32[N, 4, H, W]
            output flow = series -> conv(1, kernel=1)
        }
        train t {
            model = Net
            data = dataset("set.npz", train=plain)
            loss = mse(out.flow, data.flow)
        """
        + REST,
    )
    sample = run.job.train.prepare(0, 1)
    assert sample["series"].shape == (4, 8, 8)
    clipped = np.clip(series[0], -2, 2)
    turned = bool(np.allclose(sample["series"], clipped[..., ::-1]))
    assert turned or np.allclose(sample["series"], clipped)
    mean = series[0].mean(axis=0)
    np.testing.assert_allclose(sample["flow"][0], mean[:, ::-1] if turned else mean, rtol=1e-5)
    assert _loss_of_a_step(run) > 0
