"""Attention of onnxruntime's own domain against onnxruntime itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from dhc.errors import DhcError
from dhc.ir.graph import Array
from dhc.onnx.read import load
from dhc.ops.foreign import MICROSOFT
from tests.onnx.beside import both, model_of

BATCH, ASKING, ANSWERING, SIZE = 2, 4, 5, 6
Attribute = float | int | tuple[int, ...]

_REAL = [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
MASKS = {
    "none": None,
    "counts": np.array([3, 5], np.int32),
    "places": np.array(_REAL, np.int32),
    "each": np.array([[[*row[:1], 1, *row[2:]]] * ANSWERING for row in _REAL], np.int32),
}


def _normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def _compare(
    folder: Path, op_type: str, inputs: dict[str, Array | None], **attributes: Attribute
) -> None:
    given = {name: each for name, each in inputs.items() if each is not None}
    names = [name if each is not None else "" for name, each in inputs.items()]
    node = helper.make_node(op_type, names, ["y"], domain=MICROSOFT, **attributes)
    ((ours, theirs),) = both(folder, node, given)
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("causal", [0, 1])
def test_attention_of_a_sequence_to_itself(tmp_path: Path, mask: str, causal: int) -> None:
    inputs = {
        "x": _normal(1, BATCH, ANSWERING, 3), "w": _normal(2, 3, 3 * SIZE),
        "b": _normal(3, 3 * SIZE), "mask": MASKS[mask],
    }  # fmt: skip
    _compare(tmp_path, "Attention", inputs, num_heads=2, unidirectional=causal)


def test_values_may_have_another_size(tmp_path: Path) -> None:
    inputs = {
        "x": _normal(1, BATCH, ANSWERING, 3), "w": _normal(2, 3, 16), "b": _normal(3, 16),
        "mask": None, "past": None, "bias": _normal(4, 1, 2, ANSWERING, ANSWERING),
    }  # fmt: skip
    _compare(tmp_path, "Attention", inputs, num_heads=2, qkv_hidden_sizes=(6, 6, 4), scale=0.3)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("bias", [False, True])
def test_attention_to_another_sequence(tmp_path: Path, mask: str, bias: bool) -> None:
    seen = MASKS[mask]
    seen = seen[:, :ASKING] if seen is not None and seen.ndim == 3 else seen
    inputs = {
        "q": _normal(1, BATCH, ASKING, SIZE), "k": _normal(2, BATCH, ANSWERING, SIZE),
        "v": _normal(3, BATCH, ANSWERING, SIZE), "b": _normal(4, 3 * SIZE) if bias else None,
        "mask": seen, "added": _normal(5, BATCH, 1, ASKING, ANSWERING),
    }  # fmt: skip
    _compare(tmp_path, "MultiHeadAttention", inputs, num_heads=3, mask_filter_value=-3.0)


@pytest.mark.parametrize(
    ("shape", "outputs", "reason"),
    [((2, 2), ["y"], "it has a mask i32[2, 2]"), ((2, 5), ["y", "past"], "of past calls")],
)
def test_what_it_cannot_do_is_refused(
    tmp_path: Path, shape: tuple[int, ...], outputs: list[str], reason: str
) -> None:
    known = {"w": _normal(2, 3, 18), "b": _normal(3, 18), "mask": np.ones(shape, np.int32)}
    names = ["x", "w", "b", "mask"]
    node = helper.make_node("Attention", names, outputs, domain=MICROSOFT, num_heads=2)
    path = tmp_path / "model.onnx"
    model = model_of([node], {"x": _normal(1, BATCH, ANSWERING, 3)}, known, outputs)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(DhcError, match=reason.replace("[", r"\[")):
        load(path)
