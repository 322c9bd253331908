"""What exporters write, as nodes of ONNX, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dhc.ir.graph import Array

IMAGE = "float[2,6,4,5] x"


@dataclass(frozen=True)
class Pattern:
    """A model.

    Attributes:
        text: Its graph in ONNX's own text.
        wanted: The operators that it becomes; those that it must not become begin with "-".
        weights: Which of its inputs are weights or constants.
        opset: The version of ONNX's operators.
    """

    text: str
    wanted: tuple[str, ...]
    weights: Mapping[str, Array] = field(default_factory=dict)
    opset: int = 17


def of_floats(*values: float) -> Array:
    return np.array(values if len(values) > 1 else values[0], np.float32)


def drawn(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def of_ints(*values: int) -> Array:
    return np.array(values, np.int64)
