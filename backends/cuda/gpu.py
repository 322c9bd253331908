"""Runs plans on an NVIDIA GPU through CuPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dhc.backends.base import Executable, Source
from dhc.backends.grid import (
    ARENA,
    as_slot,
    grid_steps,
    launches_of,
    tool_missing,
    weight_of,
    weight_slots,
)
from dhc.backends.keywords import mangle
from dhc.ir.graph import Array

if TYPE_CHECKING:
    import cupy

OPTIONS = ("--fmad=false", "--std=c++17")
"""IEEE arithmetic: products and sums fuse only where the text says `fma`."""


def open_gpu(source: Source) -> Executable:
    """Builds a program for the first GPU.

    Raises:
        DhcError: if CuPy or a GPU is missing.
    """
    try:
        import cupy
    except ImportError:
        raise tool_missing(
            "The CUDA backend needs the package 'cupy', which is not installed.",
            "pip install 'dhc[cuda]'; without a GPU use the option device=shim",
        ) from None
    if not cupy.cuda.is_available():
        raise tool_missing(
            "The CUDA backend found no NVIDIA GPU.",
            "check that nvidia-smi lists one; without a GPU use the option device=shim",
        )
    return GpuExecutable(source)


class GpuExecutable:
    """A program on the GPU: weights stay there; every call has its own stream and arena.

    Args:
        source: The generated text and its plan.
    """

    def __init__(self, source: Source) -> None:
        import cupy

        self._plan = source.plan
        self._launches = launches_of(grid_steps(source.plan))
        module = cupy.RawModule(code=source.text, options=OPTIONS)
        names = {launch.kernel.name for launch in self._launches}
        self._kernels = {name: module.get_function(mangle(name)) for name in names}
        self._weights: dict[str, cupy.ndarray] = {}

    def load(self, weights: Mapping[str, Array]) -> None:
        """Uploads the weights; calls have streams of their own, so this waits for the end."""
        import cupy

        self._weights = {
            slot.name: cupy.asarray(as_slot(slot, weights[weight_of(slot, list(weights))]))
            for slot in self._plan.by_role("weight")
        }
        cupy.cuda.get_current_stream().synchronize()

    def read(self, labels: Sequence[str]) -> dict[str, Array]:
        """Downloads weights."""
        import cupy

        names = weight_slots(self._plan)
        return {label: cupy.asnumpy(self._weights[names[label].name]) for label in labels}

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        import cupy

        with cupy.cuda.Stream(non_blocking=True) as stream:
            memory = dict(self._weights)
            memory[ARENA] = cupy.empty(max(self._plan.arena_bytes, 1), cupy.uint8)
            for slot in self._plan.by_role("input"):
                memory[slot.name] = cupy.asarray(as_slot(slot, inputs[slot.label]))
            for slot in self._plan.by_role("output"):
                memory[slot.name] = cupy.empty(slot.type.static_shape, slot.type.dtype.numpy)
            self._launch_all(memory)
            outputs = {s.label: cupy.asnumpy(memory[s.name]) for s in self._plan.by_role("output")}
            stream.synchronize()
        return outputs

    def _launch_all(self, memory: Mapping[str, cupy.ndarray]) -> None:
        for launch in self._launches:
            pointers = tuple(
                np.uint64(memory[place.owner].data.ptr + place.first * buffer.type.bytes)
                for place, buffer in zip(launch.places, launch.kernel.buffers, strict=True)
            )
            self._kernels[launch.kernel.name](launch.blocks, launch.threads, pointers)
