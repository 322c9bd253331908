"""A built program for the processor: its code, its weights, and the arenas of its calls."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dhc.backends.cpu.jit import Code
from dhc.backends.cpu.memory import ArenaPool, Bytes, allocate
from dhc.backends.cpu.module import FIRST_ARRAY, array_slots, barrier_bytes, weight_block
from dhc.backends.cpu.pool import Pool
from dhc.ir.graph import Array
from dhc.lower.memory import ALIGNMENT
from dhc.lower.plan import Plan, Slot

SLACK = 256  # bytes after a block that vector reads may touch


class CpuExecutable:
    """Runs a plan's code on a pool of workers. Calls may overlap in time.

    Args:
        plan: What the code implements.
        code: The function that every worker runs.
        pool: The workers.
    """

    def __init__(self, plan: Plan, code: Code, pool: Pool) -> None:
        self._plan = plan
        self._code = code
        self._pool = pool
        self._block = weight_block(plan)
        self._weights = allocate(self._block.bytes + SLACK)
        stamps = 8 * (len(plan.steps) + 1)
        self._arenas = ArenaPool(_aligned(plan.arena_bytes + SLACK) + barrier_bytes() + stamps)
        self._inputs, self._outputs = plan.by_role("input"), plan.by_role("output")

    def load(self, weights: Mapping[str, Array]) -> None:
        for slot in self._plan.by_role("weight"):
            _write(self._weights[self._block.offsets[slot.name] :], slot, weights[slot.label])

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        given = [np.ascontiguousarray(inputs[slot.label]) for slot in self._inputs]
        made: list[Array] = [
            np.empty(slot.type.static_shape, slot.type.dtype.numpy) for slot in self._outputs
        ]
        arena = self._arenas.take()
        try:
            bases = self._bases(arena, [*given, *made])
            self._pool.run(self._code.address, bases.ctypes.data)
        finally:
            self._arenas.give_back(arena)
        return {slot.label: array for slot, array in zip(self._outputs, made, strict=True)}

    def profile(self) -> list[tuple[str, str, int]]:
        """Returns kernel, layer and cycles of each step of the last call, if built to profile."""
        arena = self._arenas.take()
        start = _aligned(self._plan.arena_bytes + SLACK) + barrier_bytes()
        stamps = arena[start : start + 8 * (len(self._plan.steps) + 1)].view(np.int64).copy()
        self._arenas.give_back(arena)
        return [
            (step.kernel.name, step.origin.path, int(stamps[k + 1] - stamps[k]))
            for k, step in enumerate(self._plan.steps)
        ]

    def _bases(self, arena: Bytes, arrays: list[Array]) -> Array:
        bases = np.empty(FIRST_ARRAY + len(arrays), np.uint64)
        bases[0] = arena.ctypes.data
        bases[1] = self._weights.ctypes.data
        bases[2] = arena.ctypes.data + _aligned(self._plan.arena_bytes + SLACK)
        bases[FIRST_ARRAY:] = [array.ctypes.data for array in arrays]
        assert len(arrays) == len(array_slots(self._plan))
        return bases


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _write(memory: Bytes, slot: Slot, value: Array) -> None:
    """Copies a weight into memory as its buffer's strides say."""
    dtype = slot.type.dtype.numpy
    whole = memory[: slot.size * dtype.itemsize].view(dtype)
    strides = [int(s) * dtype.itemsize for s in slot.buffer.strides]  # type: ignore[arg-type]
    shape = slot.type.static_shape
    np.lib.stride_tricks.as_strided(whole[slot.offset :], shape, strides)[...] = value
