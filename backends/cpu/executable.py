"""A built program for the processor: its code, its weights, and the arenas of its calls."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dhc.backends.base import expect_input
from dhc.backends.cpu.interface import Interface, Port
from dhc.backends.cpu.jit import Code
from dhc.backends.cpu.memory import ArenaPool, Bytes, allocate
from dhc.backends.cpu.module import FIRST_ARRAY, barrier_bytes
from dhc.backends.cpu.pool import Pool
from dhc.ir.graph import Array
from dhc.lower.memory import ALIGNMENT

SLACK = 256  # bytes after a block that vector reads may touch


class CpuExecutable:
    """Runs code on a pool of workers. Calls may overlap in time.

    Args:
        interface: What the code expects.
        object_code: The object file that the code was linked from.
        code: The function that every worker runs.
        pool: The workers.
    """

    def __init__(self, interface: Interface, object_code: bytes, code: Code, pool: Pool) -> None:
        self.interface = interface
        self.object_code = object_code
        self._code = code
        self._pool = pool
        self._weights = allocate(interface.weight_bytes + SLACK)
        self._barrier = _aligned(interface.arena_bytes + SLACK)
        stamps = 8 * (len(interface.steps) + 1)
        self._arenas = ArenaPool(self._barrier + barrier_bytes() + stamps)

    def load(self, weights: Mapping[str, Array]) -> None:
        for port in self.interface.weights:
            _write(self._weights[port.start :], port, weights[port.label])

    @property
    def code(self) -> Code:
        """The function that every worker runs; it stays as long as this object does."""
        return self._code

    @property
    def weight_address(self) -> int:
        """Where the weights begin, now and after every `load`."""
        return int(self._weights.ctypes.data)

    @property
    def weight_image(self) -> memoryview:
        """All weights as they lie in memory; whoever fills it in need not call `load`."""
        return self._weights[: self.interface.weight_bytes].data

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        given = [self._given(port, inputs[port.label]) for port in self.interface.inputs]
        made: list[Array] = [
            np.empty(port.type.static_shape, port.type.dtype.numpy)
            for port in self.interface.outputs
        ]
        arena = self._arenas.take()
        try:
            bases = self._bases(arena, [*given, *made])
            self._pool.run(self._code.address, bases.ctypes.data)
        finally:
            self._arenas.give_back(arena)
        ports = self.interface.outputs
        return {port.label: array for port, array in zip(ports, made, strict=True)}

    def profile(self) -> list[tuple[str, str, int]]:
        """Returns kernel, layer and cycles of each step of the last call, if built to profile."""
        steps = self.interface.steps
        arena = self._arenas.take()
        start = self._barrier + barrier_bytes()
        stamps = arena[start : start + 8 * (len(steps) + 1)].view(np.int64).copy()
        self._arenas.give_back(arena)
        return [
            (kernel, path, int(stamps[k + 1] - stamps[k])) for k, (kernel, path) in enumerate(steps)
        ]

    def _given(self, port: Port, array: Array) -> Array:
        expect_input(port.label, port.type, array)
        return np.ascontiguousarray(array)

    def _bases(self, arena: Bytes, arrays: list[Array]) -> Array:
        bases = np.empty(FIRST_ARRAY + len(arrays), np.uint64)
        bases[0] = arena.ctypes.data
        bases[1] = self._weights.ctypes.data
        bases[2] = arena.ctypes.data + self._barrier
        bases[FIRST_ARRAY:] = [array.ctypes.data for array in arrays]
        return bases


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _write(memory: Bytes, port: Port, value: Array) -> None:
    """Copies a weight into memory as its strides say."""
    dtype = port.type.dtype.numpy
    whole = memory[: port.size * dtype.itemsize].view(dtype)
    strides = [stride * dtype.itemsize for stride in port.strides]
    shape = port.type.static_shape
    np.lib.stride_tricks.as_strided(whole[port.offset :], shape, strides)[...] = value
