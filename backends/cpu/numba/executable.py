"""Builds a printed module in this process, and runs it."""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import linecache
import threading
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

import numba
import numpy as np

from dhc.backends.base import Source
from dhc.backends.cpu.interface import Stop, parts_of
from dhc.backends.cpu.numba.module import array_slots
from dhc.backends.cpu.numba.printer import is_parallel, python_name
from dhc.backends.grid import as_slot, weight_of
from dhc.ir.graph import Array
from dhc.ir.kernel import Kernel
from dhc.ir.types import as_bits, from_bits
from dhc.lower.plan import Slot
from dhc.runtime.comm.base import Exchange
from dhc.runtime.memory import ArenaPool, Bytes

Function = Callable[..., None]

_parallel_region = threading.Lock()
"""Numba's workers serve one program at a time; not all of its threading layers can wait."""


class _TextLoader(importlib.abc.ExecutionLoader):
    """Imports a module from a text in memory: one that dhc has printed itself."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file

    def get_source(self, fullname: str) -> str:
        return self._text

    def get_filename(self, fullname: str) -> str:
        return self._file


def import_text(name: str, text: str) -> ModuleType:
    """Returns the module that a printed text defines; tracebacks show its lines."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    file = f"<dhc {name} {digest}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    spec = importlib.util.spec_from_loader(f"dhc_{name}_{digest}", _TextLoader(text, file))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class NumbaExecutable:
    """A program of numba functions. Calls may overlap in time unless workers share loops.

    Args:
        source: The generated text and its plan.
        threads: How many workers; 0 means all that numba has.
    """

    def __init__(self, source: Source, threads: int = 0) -> None:
        plan = source.plan
        module = import_text(plan.name, source.text)
        for kernel in plan.kernels:
            function = getattr(module, python_name(kernel.name))
            function.compile(_signature(kernel))
            function.disable_compile()
        self._plan = plan
        self._parts = [_part(module, part) for part in parts_of(plan)]
        self._exchange = Exchange()
        self._arenas = ArenaPool(max(plan.arena_bytes, 1))
        self._weights: list[Array] = []
        self._parallel = any(map(is_parallel, plan.kernels))
        self._threads = _workers(threads)

    def load(self, weights: Mapping[str, Array]) -> None:
        """Keeps copies of the weights."""
        labels = list(weights)
        self._weights = [
            _argument(slot, np.array(weights[weight_of(slot, labels)]))
            for slot in self._plan.by_role("weight")
        ]

    def read(self, labels: Sequence[str]) -> dict[str, Array]:
        weights = self._plan.by_role("weight")
        slots = {slot.label: k for k, slot in enumerate(weights)}
        types = [slot.type.dtype for slot in weights]
        found: dict[str, Array] = {}
        for label in labels:
            slot = slots[label]
            found[label] = from_bits(np.array(self._weights[slot]), types[slot])
        return found

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        given = [_argument(slot, inputs[slot.label]) for slot in self._plan.by_role("input")]
        slots = self._plan.by_role("output")
        made: list[Array] = [np.empty(s.type.static_shape, s.type.dtype.numpy) for s in slots]
        arrays = [*given, *self._weights, *map(as_bits, made)]
        assert len(arrays) == len(array_slots(self._plan))
        arena = self._arenas.take()
        try:
            self._run([*arrays, arena], arena)
        finally:
            self._arenas.give_back(arena)
        return {slot.label: array for slot, array in zip(slots, made, strict=True)}

    def connect(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def _run(self, arguments: list[Array], arena: Bytes) -> None:
        for part in self._parts:
            if isinstance(part, Stop):
                part.meet(self._exchange, arena)
            elif self._parallel:
                self._run_in_parallel(part, arguments)
            else:
                part(*arguments)

    def _run_in_parallel(self, function: Function, arguments: list[Array]) -> None:
        with _parallel_region:
            before = numba.get_num_threads()
            numba.set_num_threads(self._threads)
            try:
                function(*arguments)
            finally:
                numba.set_num_threads(before)


def _part(module: ModuleType, part: str | Stop) -> Function | Stop:
    if isinstance(part, Stop):
        return part
    function: Function = getattr(module, part)
    return function


def _workers(threads: int) -> int:
    most = int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    return min(threads or most, most)


def _argument(slot: Slot, array: Array) -> Array:
    """Returns an array as the compiled functions take it: writable, though they write no inputs."""
    whole = as_slot(slot, array).reshape(slot.type.static_shape)
    fitting: Array = np.require(whole, requirements=("C", "A", "W"))
    return as_bits(fitting)


def _signature(kernel: Kernel) -> tuple[numba.types.Type, ...]:
    arrays = [
        numba.types.Array(numba.from_dtype(buffer.type.stored.numpy), len(buffer.shape), "C")
        for buffer in kernel.buffers
    ]
    return (*arrays, *(numba.int64 for _ in kernel.sizes))
