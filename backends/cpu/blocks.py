"""Weights in blocks of output channels, as arrays; loading a program imports nothing heavier."""

from __future__ import annotations

import numpy as np

from dhc.ir.graph import Array


def pack(weight: Array, block: int) -> Array:
    """Returns weights [K, C, *taps] as [blocks, *taps, C, block], zeros after the last channel."""
    filters = weight.shape[0]
    blocks = -(-filters // block)
    padded = np.zeros((blocks * block, *weight.shape[1:]), weight.dtype)
    padded[:filters] = weight
    split = padded.reshape(blocks, block, *weight.shape[1:])
    return np.ascontiguousarray(np.moveaxis(split, (1, 2), (-1, -2)))


def unpack(packed: Array, filters: int) -> Array:
    """The inverse of `pack`."""
    split = np.moveaxis(packed, (-1, -2), (1, 2))
    return split.reshape(-1, *split.shape[2:])[:filters]
