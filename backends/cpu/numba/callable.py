"""Makes built programs callable inside functions that users compile with numba."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numba
import numpy as np
from numba import literal_unroll, njit, types

from dhc.backends.cpu.calling import FIRST_ARRAY, scratch_start
from dhc.backends.cpu.executable import CpuExecutable
from dhc.backends.cpu.interface import Port
from dhc.backends.cpu.jit import RunFunction
from dhc.ir.graph import Array
from dhc.lower.memory import ALIGNMENT
from dhc.runtime.memory import SLACK

NjitFunction = Callable[[tuple[Array, ...]], None]


def njit_function(executable: CpuExecutable) -> NjitFunction:
    """Returns a numba function that runs a program of the engine `llvm` on the calling thread.

    It takes one tuple with the inputs in their order and then the outputs, which it fills in:

        network = njit_function(executable)

        @njit
        def probability(image):
            logits = np.empty((1, 2), np.float32)
            network((image, logits))
            return 1 / (1 + np.exp(logits[0, 0] - logits[0, 1]))

    The arrays must be C-contiguous; other element types or ranks are refused when the caller is
    compiled, other shapes when it runs. Weights are those that the executable has at each call.
    Several threads may call it at once; each call has an arena of its own.

    Raises:
        ValueError: inside the numba function, if an array has another shape than the program's.
    """
    interface = executable.interface
    ports = (*interface.inputs, *interface.outputs)
    entry, weights = RunFunction(executable.code.address), executable.weight_address
    barrier = _aligned(interface.arena_bytes + SLACK)
    arena_bytes = barrier + scratch_start(len(interface.steps)) + interface.scratch_bytes
    dims = (*(size for port in ports for size in port.type.static_shape), 0)
    addresses = FIRST_ARRAY + len(ports)

    @njit(types.void(_tuple_type(ports)))
    def run(arrays):  # type: ignore[no-untyped-def]
        arena = np.empty(arena_bytes + ALIGNMENT, np.uint8)
        start = (arena.ctypes.data + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        arena[barrier:] = 0
        bases = np.empty(addresses, np.int64)
        bases[0], bases[1], bases[2] = start, weights, start + barrier
        known, place = 0, FIRST_ARRAY
        for array in literal_unroll(arrays):
            for size in array.shape:
                if size != dims[known]:
                    raise ValueError("an array has another shape than the program's")
                known += 1
            bases[place] = array.ctypes.data
            place += 1
        entry(bases.ctypes.data, 0, 1)

    run.program = executable  # type: ignore[attr-defined]  # whose memory must live as long
    function: NjitFunction = run
    return function


def _tuple_type(ports: Sequence[Port]) -> types.Type:
    arrays = [
        types.Array(numba.from_dtype(port.type.dtype.stored.numpy), port.type.rank, "C")
        for port in ports
    ]
    together: types.Type = types.Tuple(arrays)  # type: ignore[no-untyped-call]
    return together


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
