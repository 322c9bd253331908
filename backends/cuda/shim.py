"""Runs the CUDA text on the processor: g++ builds it with `shim.h`, ctypes calls it."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from importlib import resources

import numpy as np

from dhc.backends.base import Source
from dhc.backends.cstyle import memory_type
from dhc.backends.grid import (
    ARENA,
    GridLaunch,
    as_slot,
    grid_steps,
    has_barrier,
    launches_of,
    storage_bytes,
    weight_of,
    weight_slots,
)
from dhc.backends.keywords import mangle
from dhc.backends.native import load_library
from dhc.ir.graph import Array
from dhc.ir.kernel import Kernel
from dhc.lower.plan import Slot
from dhc.runtime.comm.base import Exchange


class ShimExecutable:
    """A CUDA program on the processor, one thread of the grid at a time.

    Args:
        source: The generated text and its plan.
    """

    def __init__(self, source: Source) -> None:
        self._plan = source.plan
        self._steps = grid_steps(source.plan)
        text = "\n".join((_shim(), source.text, _entries(launches_of(self._steps))))
        self._library = load_library({"program.cpp": text}, "The shim of the CUDA backend")
        self._weights: dict[str, Array] = {}
        self._exchange = Exchange()

    def connect(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def load(self, weights: Mapping[str, Array]) -> None:
        """Keeps copies of the weights."""
        self._weights = {
            slot.name: as_slot(slot, np.asarray(weights[weight_of(slot, list(weights))])).copy()
            for slot in self._plan.by_role("weight")
        }

    def read(self, labels: Sequence[str]) -> dict[str, Array]:
        names = weight_slots(self._plan)
        return {label: self._weights[names[label].name].copy() for label in labels}

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        memory = dict(self._weights)
        memory[ARENA] = np.empty(max(self._plan.arena_bytes, 1), np.uint8)
        for slot in self._plan.by_role("input"):
            memory[slot.name] = as_slot(slot, inputs[slot.label])
        outputs = {slot.name: _empty(slot) for slot in self._plan.by_role("output")}
        memory.update(outputs)
        for step in self._steps:
            if isinstance(step, GridLaunch):
                self._run(step, memory)
            elif step.kind == "start":
                bucket = memory[ARENA][step.bytes].view(step.type.dtype.numpy)
                self._exchange.start(step.number, bucket)
            else:
                self._exchange.wait(step.number)
        return {slot.label: outputs[slot.name] for slot in self._plan.by_role("output")}

    def _run(self, launch: GridLaunch, memory: Mapping[str, Array]) -> None:
        blocks = (ctypes.c_uint * 3)(*launch.blocks, *[1] * (3 - len(launch.blocks)))
        pointers = [
            memory[place.owner].ctypes.data + place.first * buffer.type.bytes
            for place, buffer in zip(launch.places, launch.kernel.buffers, strict=True)
        ]
        run = self._library[_entry_name(launch.kernel)]
        if run(blocks, (ctypes.c_void_p * len(pointers))(*pointers)) != 0:
            raise RuntimeError(f"the threads of '{launch.kernel.name}' part ways at a barrier")


def _empty(slot: Slot) -> Array:
    array: Array = np.empty(storage_bytes(slot), np.uint8)
    count = int(np.prod(slot.type.static_shape))
    used = array[: count * slot.type.dtype.bytes]
    return used.view(slot.type.dtype.numpy).reshape(slot.type.static_shape)


def _shim() -> str:
    return resources.files("dhc.backends.cuda").joinpath("shim.h").read_text(encoding="utf-8")


def _entries(launches: tuple[GridLaunch, ...]) -> str:
    kernels = {launch.kernel.name: launch for launch in launches}
    return "\n".join(_entry(launch) for launch in kernels.values())


def _entry(launch: GridLaunch) -> str:
    """Returns a C function that unpacks pointers and runs the grid."""
    kernel = launch.kernel
    arguments = ", ".join(_argument(kernel, k) for k in range(len(kernel.buffers)))
    threads = ", ".join(f"{count}u" for count in (*launch.threads, 1, 1)[:3])
    barriers = "true" if has_barrier(kernel) else "false"
    return (
        f'extern "C" int {_entry_name(kernel)}(const unsigned *blocks, void **a) {{\n'
        f"  return shim::launch(blocks, {{{threads}}}, {barriers},\n"
        f"                      [=] {{ {mangle(kernel.name)}({arguments}); }});\n"
        "}\n"
    )


def _argument(kernel: Kernel, position: int) -> str:
    qualifier = "" if position < kernel.outputs else "const "
    return f"({qualifier}{memory_type(kernel.buffers[position].type)} *)a[{position}]"


def _entry_name(kernel: Kernel) -> str:
    return f"run_{mangle(kernel.name)}"
