"""Pipelines with the real draws: chosen by seed, step and sample, alike for image and mask."""

from __future__ import annotations

import numpy as np

from dhc.frontend import load_text
from dhc.ir.graph import input_label
from dhc.ir.rewrite import specialise
from dhc.ops.base import run
from dhc.ops.random import COUNTER

TEXT = """
pipeline p(image: image[1], other: image[1]) {
    relu(p=0.5)
    oneof {
        abs()
        neg()
    }
}
"""


def samples(count: int) -> list[tuple[float, float]]:
    graph = specialise(load_text(TEXT).pipeline("p").graph, {"H": 1, "W": 1})
    assert [input_label(node) for node in graph.inputs] == ["image", "other", COUNTER]
    roots = [node for _, node in graph.outputs]
    found = []
    for member in range(count):
        values = {
            "image": np.full((1, 1, 1), -2, np.float32),
            "other": np.full((1, 1, 1), -3, np.float32),
            COUNTER: np.array([7, 0, member], np.uint32),
        }
        image, other = run(roots, values)
        found.append((float(image.item()), float(other.item())))
    return found


def test_draws_differ_by_sample_and_agree_within_one() -> None:
    found = samples(60)
    assert set(found) == {(0.0, 0.0), (2.0, 3.0)} | ({(-0.0, -0.0)} & set(found))
    assert 15 < sum(image == 0 for image, _ in found) < 45


def test_draws_are_reproducible() -> None:
    assert samples(8) == samples(8)
