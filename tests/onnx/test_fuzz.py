"""Models that somebody has damaged end in one clear error, or are read."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from dhc.errors import DhcError
from dhc.onnx.read import load

KINDS = (
    "Conv", "MaxPool", "Gemm", "Slice", "Pad", "Resize", "Reshape", "If", "Split", "Softmax",
    "Scan", "LSTM", "GRU", "SplitToSequence", "OptionalHasElement",
)  # fmt: skip


def _models(cases: Sequence[Any]) -> list[bytes]:
    """Models of nodes with many attributes."""
    found: list[bytes] = []
    for kind in KINDS:
        models = [
            case.model for case in cases if kind in {n.op_type for n in case.model.graph.node}
        ]
        found += [model.SerializeToString() for model in models[:3] if model.ByteSize() < 4000]
    return found


def _damaged(content: bytes, chance: random.Random) -> bytes:
    """The content with some bytes changed, left out, or put in."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(changed))
        match chance.randrange(3):
            case 0:
                changed[place] = chance.randrange(256)
            case 1:
                del changed[place : place + chance.randint(1, 4)]
            case _:
                changed[place:place] = bytes(chance.randrange(256) for _ in range(3))
    return bytes(changed)


def _loads(path: Path) -> bool:
    try:
        load(path)
    except DhcError:
        return False
    return True


@pytest.mark.parametrize(
    "rounds", [40, pytest.param(4000, marks=pytest.mark.slow)], ids=["short", "long"]
)
def test_damaged_models_are_refused_or_read(
    tmp_path: Path, node_cases: Sequence[Any], rounds: int
) -> None:
    chance = random.Random(1)
    path = tmp_path / "model.onnx"
    read = total = 0
    for content in _models(node_cases):
        for _ in range(rounds):
            path.write_bytes(_damaged(content, chance))
            read += _loads(path)
            total += 1
    assert total >= 9 * rounds
    assert 0 < read < total


@pytest.mark.parametrize("axis", [-(2**63), -3, 3, 2**62])
@pytest.mark.parametrize("kind", ["Softmax", "Flatten", "Concat", "Gather", "Split", "ArgMax"])
def test_axes_that_are_not_there_are_refused(tmp_path: Path, kind: str, axis: int) -> None:
    nodes = [helper.make_node(kind, ["x", "x"][: 1 + (kind == "Gather")], ["y"], axis=axis)]
    x = helper.make_tensor_value_info("x", TensorProto.INT64, [2, 3])
    y = helper.make_tensor_value_info("y", TensorProto.INT64, None)
    graph = helper.make_graph(nodes, "net", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    assert not _loads(path)
