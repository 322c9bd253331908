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


def pack_matrix(matrix: Array, block: int) -> Array:
    """Returns matrices [..., C, K] as [..., blocks, C, block], zeros after the last column."""
    *batch, rows, columns = matrix.shape
    blocks = -(-columns // block)
    padded = np.zeros((*batch, rows, blocks * block), matrix.dtype)
    padded[..., :columns] = matrix
    split = padded.reshape(*batch, rows, blocks, block)
    return np.ascontiguousarray(np.moveaxis(split, -2, -3))


def unpack_matrix(packed: Array, columns: int) -> Array:
    """The inverse of `pack_matrix`."""
    *batch, blocks, rows, block = packed.shape
    return np.moveaxis(packed, -3, -2).reshape(*batch, rows, blocks * block)[..., :columns]
