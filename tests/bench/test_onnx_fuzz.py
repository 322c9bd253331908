"""The fuzz of ONNX files: what it damages, what it reports, and a short run of it."""

from __future__ import annotations

import random
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = range(300)


@pytest.fixture(autouse=True)
def _reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder bench/ is no installed package."""
    monkeypatch.syspath_prepend(str(ROOT))


def script(name: str) -> ModuleType:
    return import_module(f"bench.{name}")


@pytest.fixture
def seeds() -> list[list[bytes]]:
    """One model of two nodes."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["t"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Softmax", ["t"], ["y"], axis=1),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 4, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2, 1, 3, 3], [0.1] * 18)
    graph = helper.make_graph(nodes, "net", [x], [y], [weight])
    return [[helper.make_model(graph).SerializeToString()]]


def test_a_number_is_always_the_same_model(seeds: list[list[bytes]]) -> None:
    reading = script("onnx_reading")
    models = [reading.damaged_model(seeds, 0, number) for number in NUMBERS]
    assert models == [reading.damaged_model(seeds, 0, number) for number in NUMBERS]
    assert len(set(models)) > len(NUMBERS) * 0.8
    assert reading.damaged_model(seeds, 1, 7) != models[7]


def test_damaged_models_are_read_or_refused(tmp_path: Path, seeds: list[list[bytes]]) -> None:
    reading = script("onnx_reading")
    file, outcomes = tmp_path / "model.onnx", []
    for number in NUMBERS:
        file.write_bytes(reading.damaged_model(seeds, 0, number))
        outcomes.append(reading._outcome(file, number))
    assert set(outcomes) == {"read", "refused"}


def test_what_is_no_refusal_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = script("onnx_reading")

    def fail(file: Path) -> Any:
        raise KeyError("no such thing")

    monkeypatch.setattr(reading, "load", fail)
    found = reading._outcome(tmp_path / "model.onnx", 5)
    assert (found.number, found.kind) == (5, "exception")
    assert "KeyError" in found.text


def test_every_change_leaves_a_model_that_can_be_written(seeds: list[list[bytes]]) -> None:
    damage = script("onnx_damage")
    for change in damage._CHANGES:
        made = set()
        for number in range(10):
            model = onnx.ModelProto.FromString(seeds[0][0])
            change(model, random.Random(number))
            made.add(model.SerializeToString())
        assert made - {seeds[0][0]}, change.__name__


@pytest.mark.slow
def test_processes_read_what_they_are_given() -> None:
    report = script("onnx_fuzz").run(seed=0, first=0, count=2500, processes=1)
    assert report.outcomes.total() == 2500
    assert not report.findings
