"""Fourier transforms as products with known matrices, and the filters that follow them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dhc.ir.graph import Node
from dhc.ops.base import Array, normalize_axis
from dhc.ops.conv import int_size
from dhc.ops.elementwise import Mul
from dhc.ops.foreign import ELEMENTS, Call, ForeignError, Known, reads
from dhc.ops.linear import MatMul
from dhc.ops.lookup import Gather
from dhc.ops.shape import Permute, Reshape

MOST_WEIGHTS = 1 << 24  # of one matrix


@dataclass(frozen=True)
class Transform:
    """A discrete Fourier transform of rows of numbers, real (1 part) or complex (2 parts).

    Attributes:
        length: How many elements are transformed: rows are cut, or zeros stand behind them.
        inverse: Whether frequencies become a signal, divided by the length.
        onesided: Whether only the frequencies up to the half are there: all there is to know of a
            real signal. The inverse of such a transform is real.
    """

    length: int
    inverse: bool
    onesided: bool

    @property
    def real(self) -> bool:
        """Whether the result is."""
        return self.inverse and self.onesided

    @property
    def count(self) -> int:
        """The number of results."""
        half = self.onesided and not self.inverse
        return self.length // 2 + 1 if half else self.length

    def matrix(self, rows: int, parts: int) -> Array:
        """The weights [rows * parts, results * parts of the results], in f64."""
        if self.length < 1 or rows * self.count * 4 > MOST_WEIGHTS:
            raise ForeignError(f"it transforms {rows} elements to {self.count}")
        given = self.length // 2 + 1 if self.real else self.length
        numbers = np.arange(rows)[:, None]
        turns = (numbers * np.arange(self.count)) % self.length / self.length
        angle = (2 if self.inverse else -2) * np.pi * turns
        weight = np.where(numbers < given, 1.0, 0.0) / (self.length if self.inverse else 1)
        if self.real:  # a frequency stands for its mirror image, too
            alone = (numbers == 0) | (2 * numbers == self.length)
            weight = weight * np.where(alone, 1.0, 2.0)
        across, up = weight * np.cos(angle), weight * np.sin(angle)
        table = np.stack([np.stack([across, up], -1), np.stack([-up, across], -1)], 1)
        kept = table[:, :parts, :, : 1 if self.real else 2]
        return kept.reshape(rows * parts, -1)

    def __call__(self, call: Call, x: Node, axis: int) -> Node:
        """Returns the transform of x [..., parts] along an axis."""
        rank, parts = x.type.rank, x.type.shape[-1]
        if axis == rank - 1 or parts not in (1, 2):
            raise ForeignError(f"{x.type} has no complex numbers along its last axis")
        rows = int_size(x.type.shape[axis])
        order = (*(each for each in range(rank - 1) if each != axis), axis, rank - 1)
        moved = Permute(order)(x)
        lead = moved.type.shape[:-2]
        matrix = self.matrix(rows, int_size(parts)).astype(x.type.dtype.numpy)
        flat = Reshape((*lead, 1, rows * parts))(moved)
        product = MatMul()(flat, call.constant(matrix))
        result = Reshape((*lead, self.count, 1 if self.real else 2))(product)
        return Permute(tuple(order.index(each) for each in range(rank)))(result)


@reads("DFT")
def _read_dft(call: Call) -> Node:
    """Before version 20 the axis was an attribute."""
    x = call.tensor(0)
    usual = int(call.listed(2)[0]) if call.has(2) else -2
    given = usual if call.opset >= 20 else call.get("axis", 1)
    axis = normalize_axis("DFT", given, x.type.rank)
    inverse, onesided = bool(call.get("inverse", 0)), bool(call.get("onesided", 0))
    size = int_size(x.type.shape[axis])
    length = 2 * (size - 1) if inverse and onesided else size
    length = call.listed(1)[0] if call.has(1) else length
    return Transform(length, inverse, onesided)(call, x, axis)


@reads("STFT")
def _read_short_time_dft(call: Call) -> Node:
    """The transforms of frames of a signal [N, T, parts]: [N, frames, results, 2]."""
    x = call.tensor(0)
    step, whole = call.listed(1)[0], int_size(x.type.shape[1])
    window = call.tensor(2) if call.has(2) else None
    default = int_size(window.type.shape[0]) if window is not None else whole
    length = call.listed(3)[0] if call.has(3) else default
    if step < 1 or not 0 < length <= whole or (window is not None and length != default):
        raise ForeignError(f"it takes frames of {length} elements out of {whole}")
    starts = np.arange(0, whole - length + 1, step)
    if len(starts) * length > MOST_WEIGHTS:
        raise ForeignError(f"it makes {len(starts)} frames of {length} elements")
    frames = Gather(1)(x, call.constant(starts[:, None] + np.arange(length)))
    if window is not None:
        frames = Mul()(frames, Reshape((length, 1))(window))
    return Transform(length, False, bool(call.get("onesided", 1)))(call, frames, 2)


# ---- filters ---------------------------------------------------------------------------------


@reads("MelWeightMatrix")
def _read_mel_filters(call: Call) -> Known:
    """Triangles over the frequencies of a transform, evenly apart in mel (O'Shaughnessy, 1987)."""
    bands, length, rate = (int(call.listed(number)[0]) for number in range(3))
    low, high = (float(call.numbers(number).reshape(-1)[0]) for number in (3, 4))
    if min(bands, length, rate) < 1 or bands * length > MOST_WEIGHTS:
        raise ForeignError(f"it makes {bands} filters of {length} elements")
    dtype = ELEMENTS.get(call.get("output_datatype", 1))
    if dtype is None:
        raise ForeignError("it makes elements of a type dhc has not")
    ends = 2595 * np.log10(1 + np.array([low, high]) / 700)
    mels = ends[0] + np.arange(bands + 2) * (ends[1] - ends[0]) / (bands + 2)
    hertz = 700 * (10 ** (mels / 2595) - 1)
    points = np.floor((length + 1) * hertz / rate).astype(np.int64)
    if points.min() < 0 or points.max() > length // 2:
        raise ForeignError(f"it has frequencies from {low} to {high} at a rate of {rate}")
    return Known(_triangles(points, length // 2 + 1).astype(dtype.numpy), dtype)


def _triangles(points: Array, count: int) -> Array:
    """One filter [count] for each point but the first and last: 1 there, 0 at its neighbours."""
    left, middle, right = points[:-2], points[1:-1], points[2:]
    place = np.arange(count)[:, None]
    rising = (place - left) / np.maximum(middle - left, 1)
    falling = (right - place) / np.maximum(right - middle, 1)
    up = (place >= left) & (place < middle)
    down = (place >= middle) & (place < right)
    return np.where(up, rising, np.where(down | (place == middle), np.where(down, falling, 1.0), 0))
