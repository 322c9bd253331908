"""One set of weights for all contenders: from a PyTorch module into a model of dhc."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dhc.ir.graph import Array

Shape = tuple[int, ...]


def match(
    expected: Sequence[tuple[str, Shape]], given: Sequence[tuple[str, Array]]
) -> dict[str, Array]:
    """Gives weights the names that a model expects.

    Both sides name their weights in the order in which the layers are applied, so the order tells
    which is which, and the shapes are checked. Only a dense layer may stand for a convolution over
    the whole image: the same numbers in the same order, with the same number of outputs.

    Args:
        expected: Names and shapes.
        given: Other names, with arrays.

    Raises:
        ValueError: if the numbers of weights or two shapes differ.
    """
    if len(expected) != len(given):
        raise ValueError(f"The model has {len(expected)} weights, not {len(given)}.")
    return {
        name: _fitted(name, shape, other, array)
        for (name, shape), (other, array) in zip(expected, given, strict=True)
    }


def _fitted(name: str, shape: Shape, other: str, array: Array) -> Array:
    if array.shape == shape:
        return np.ascontiguousarray(array)
    same_outputs = array.ndim > 1 and len(shape) > 1 and array.shape[0] == shape[0]
    if not same_outputs or array.size != math.prod(shape):
        raise ValueError(f"'{name}' is {list(shape)}, but '{other}' is {list(array.shape)}.")
    return np.ascontiguousarray(array.reshape(shape))
