"""Products of matrices as convolutions of one tap, with rows and pixels along any axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dhc.backends.cpu.kernels.conv import ConvKernel
from dhc.backends.cpu.kernels.epilogue import Epilogue
from dhc.backends.cpu.kernels.finish import RowAxis
from dhc.ir.graph import Node
from dhc.ir.scalar import Buffer, Var

ENOUGH_TURNS = 16  # parts of the work that keep a few workers evenly busy
LEAST_PIXELS = 12  # of a part: their sums hide the latency of additions


def dense_kernel(
    axes: tuple[Var, ...],
    buffers: tuple[Buffer, ...],
    inner: Node,
    source: int,
    weights: int,
    epilogue: Epilogue,
) -> ConvKernel:
    """Describes x [..., M, C] times packed weights [..., blocks, C, block].

    Args:
        axes: The output's index variables.
        buffers: The result, then the operands.
        inner: The product.
        source: Which buffer holds x.
        weights: Which buffer holds the packed weights.
        epilogue: What becomes of the sums.
    """
    packed = inner.inputs[1].type.static_shape
    *sizes, units = inner.type.static_shape
    rows = _rows(axes[:-1], tuple(sizes), buffers[source], packed)
    alike = [k for k, row in enumerate(rows) if row.weights == 0]
    pixel = max(alike, key=lambda k: (rows[k].size, k))
    outer = (*rows[:pixel], *rows[pixel + 1 :])
    blocks = packed[-3]
    part, pixels = _split(rows[pixel], blocks * math.prod(row.size for row in outer))
    return ConvKernel(
        "", buffers, (*outer, *part), pixels, axes[-1], (), packed[-2], 0, units, packed[-1],
        source, weights, epilogue,
    )  # fmt: skip


def _rows(
    axes: tuple[Var, ...], sizes: tuple[int, ...], x: Buffer, packed: tuple[int, ...]
) -> list[RowAxis]:
    """All axes but the last: how far each moves in x and in the weights; 0 where one repeats."""
    x_steps = _steps(_static(x.shape)[:-1], _static(x.strides)[:-1], len(axes))
    strides = tuple(math.prod(packed[k + 1 :]) for k in range(len(packed) - 3))
    steps = (*_steps(packed[:-3], strides, len(axes) - 1), 0)
    return [
        RowAxis(axis, size, step, weights=moves)
        for axis, size, step, moves in zip(axes, sizes, x_steps, steps, strict=True)
    ]


def _static(sizes: Sequence[object]) -> tuple[int, ...]:
    return tuple(size for size in sizes if isinstance(size, int))


def _steps(shape: tuple[int, ...], strides: tuple[int, ...], rank: int) -> tuple[int, ...]:
    found = [0 if size == 1 else step for size, step in zip(shape, strides, strict=True)]
    return (*(0,) * (rank - len(found)), *found)


def _split(pixels: RowAxis, turns: int) -> tuple[tuple[RowAxis, ...], RowAxis]:
    """Cuts a long axis into parts that workers share, where there are few turns without it."""
    sizes = [
        size
        for size in range(LEAST_PIXELS, pixels.size // 2 + 1)
        if pixels.size % size == 0 and turns * pixels.size >= ENOUGH_TURNS * size
    ]
    if turns >= ENOUGH_TURNS or not sizes:
        return (), pixels
    size = max(sizes)
    outer = RowAxis(pixels.axis, pixels.size // size, pixels.step * size, scale=size)
    inner = RowAxis(pixels.axis, size, pixels.step)
    return (outer,), inner
