"""The pipelines of the library: what they give, and that what varies only varies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dhc.grammar
from dhc.frontend import load
from dhc.ir.graph import Graph
from dhc.ir.rewrite import specialise
from dhc.ir.types import DType
from dhc.ops.base import run

FILE = Path(dhc.grammar.__path__[0]) / "std" / "augment.dhm"
PIPELINES = {
    "lung_plain": (DType.I16, ["f32[1, 256, 256]", "u8[1, 256, 256]"]),
    "lung_varied": (DType.I16, ["f32[1, 256, 256]", "u8[1, 256, 256]"]),
    "abdomen_plain": (DType.I16, ["f32[1, 256, 256]", "u8[1, 256, 256]"]),
    "photograph_plain": (DType.U8, ["f32[3, 256, 256]", "u8[1, 256, 256]"]),
    "photograph_varied": (DType.U8, ["f32[3, 256, 256]", "u8[1, 256, 256]"]),
    "radiograph_plain": (DType.U8, ["f32[1, 224, 224]", "f32[14]"]),
    "radiograph_varied": (DType.U8, ["f32[1, 224, 224]", "f32[14]"]),
}


def graph_of(name: str) -> Graph:
    return load(FILE).pipeline(name, dtype=PIPELINES[name][0]).graph


@pytest.mark.parametrize("name", PIPELINES)
def test_what_a_pipeline_gives(name: str) -> None:
    assert [str(node.type) for node in graph_of(name).roots] == PIPELINES[name][1]


def varied(counter: tuple[int, int, int]) -> list[np.ndarray]:
    graph = specialise(graph_of("lung_varied"), {"H": 20, "W": 24})
    picture = np.random.default_rng(0).integers(-1300, 300, (1, 20, 24)).astype(np.int16)
    mask = (picture > -500).astype(np.uint8)
    values = {"ct": picture, "mask": mask, "random": np.array(counter, np.uint32)}
    return run(graph.roots, values)


def test_a_sample_varies_between_epochs_and_never_within_one() -> None:
    first, again, later = varied((1, 0, 5)), varied((1, 0, 5)), varied((1, 1, 5))
    for one, other, third in zip(first, again, later, strict=True):
        np.testing.assert_array_equal(one, other)
        assert not np.array_equal(one, third)
