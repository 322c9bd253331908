"""A built program for the processor: its code, its weights, and the arenas of its calls."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Mapping, Sequence

import numpy as np

from dhc.backends.base import Executable, expect_input
from dhc.backends.cpu.blocks import pack, unpack
from dhc.backends.cpu.calling import FIRST_ARRAY, barrier_bytes, scratch_start
from dhc.backends.cpu.interface import Interface, Port
from dhc.backends.cpu.jit import Code
from dhc.backends.cpu.pool import Pool
from dhc.errors import ArgumentError
from dhc.ir.graph import Array
from dhc.ir.types import Tensor, from_bits
from dhc.lower.memory import ALIGNMENT
from dhc.runtime.comm.base import Exchange
from dhc.runtime.memory import SLACK, ArenaPool, Bytes, allocate

OVERREAD = 8  # bytes after a caller's array that reads of pairs may touch


class CpuExecutable:
    """Runs code on a pool of workers. Calls may overlap in time.

    Args:
        interface: What the code expects.
        objects: The object files that the code was linked from.
        codes: The functions that every worker runs, in their order.
        pool: The workers.
    """

    def __init__(
        self, interface: Interface, objects: Sequence[bytes], codes: Sequence[Code], pool: Pool
    ) -> None:
        self.interface = interface
        self.objects = tuple(objects)
        self._codes = dict(zip(interface.entries, codes, strict=True))
        self._exchange = Exchange()
        self._pool = pool
        self._weights: Bytes | None = None
        self._barrier = _aligned(interface.arena_bytes + SLACK)
        self._inputs = [_Form(port) for port in interface.inputs]
        self._outputs = [_Form(port) for port in interface.outputs]
        count = FIRST_ARRAY + len(self._inputs) + len(self._outputs)
        self._addresses = ctypes.c_void_p * count
        scratch = pool.workers * interface.scratch_bytes
        self._arenas = ArenaPool(self._barrier + scratch_start(len(interface.steps)) + scratch)

    def load(self, weights: Mapping[str, Array]) -> None:
        for port in self.interface.weights:
            _write(self._block[port.start :], port, weights[port.label])

    def read(self, labels: Sequence[str]) -> dict[str, Array]:
        ports = {port.label: port for port in self.interface.weights}
        return {label: self._read(ports[label]) for label in labels}

    def _read(self, port: Port) -> Array:
        found = _view(self._block[port.start :], port)
        return np.array(unpack(found, port.filters) if port.filters else found, order="C")

    def adopt(self, memory: Bytes, size: int) -> bool:
        """Takes memory that holds all weights as they must lie, `size` bytes and then slack.

        Returns:
            Whether it has that size; else nothing is taken.
        """
        if size != self.interface.weight_bytes or memory.size < size + SLACK:
            return False
        self._weights = memory
        return True

    def share(self, other: Executable) -> bool:
        """Takes the memory of another one's weights, if its own would lie in the same way."""
        if not isinstance(other, CpuExecutable):
            return False
        alike = other.interface.weights == self.interface.weights
        if alike:
            self._weights = other._block
        return alike

    @property
    def _block(self) -> Bytes:
        if self._weights is None:
            self._weights = allocate(self.interface.weight_bytes + SLACK, touched=False)
        return self._weights

    def connect(self, exchange: Exchange) -> None:
        self._exchange = exchange

    @property
    def code(self) -> Code:
        """The function that every worker runs; it stays as long as this object does.

        Raises:
            ArgumentError: if the program stops for other ranks, so that there is no one function.
        """
        if len(self.interface.parts) != 1:
            raise ArgumentError("A program that stops for other ranks is no single function.")
        (code,) = self._codes.values()
        return code

    @property
    def weight_address(self) -> int:
        """Where the weights begin, now and after every `load`."""
        return int(self._block.ctypes.data)

    @property
    def weight_image(self) -> memoryview:
        """All weights as they lie in memory."""
        return self._block[: self.interface.weight_bytes].data

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        given = [form.given(inputs[form.port.label]) for form in self._inputs]
        made = {form.port.label: np.empty(form.shape, form.dtype) for form in self._outputs}
        arena = self._arenas.take()
        try:
            bases = self._bases(arena, [*given, *made.values()])
            self._run(arena, ctypes.addressof(bases))
        finally:
            self._arenas.give_back(arena)
        return made

    def _run(self, arena: Bytes, bases: int) -> None:
        for part in self.interface.parts:
            if isinstance(part, str):
                self._pool.run(self._codes[part].address, bases)
            else:
                part.meet(self._exchange, arena)

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

    def _bases(self, arena: Bytes, arrays: list[Array]) -> ctypes.Array[ctypes.c_void_p]:
        start = arena.ctypes.data
        addresses = [array.ctypes.data for array in arrays]
        return self._addresses(start, self.weight_address, start + self._barrier, *addresses)


class _Form:
    """A caller's array as the code expects it."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self.shape = port.type.static_shape
        self.dtype = port.type.dtype.numpy
        self._strides = tuple(stride * self.dtype.itemsize for stride in port.strides)

    def given(self, array: Array) -> Array:
        """Returns the array itself if it lies in memory as it must, else a copy that does."""
        if array.shape != self.shape or array.dtype != self.dtype:
            expect_input(self.port.label, self.port.type, array)
        if _lies_as(array, self._strides) and not _ends_its_page(array):
            return array
        memory = np.empty(array.nbytes + SLACK, np.uint8)[: array.nbytes]
        placed = _placed(memory, self.port.type, self._strides)
        placed[...] = array
        return placed


def _lies_as(array: Array, strides: tuple[int, ...]) -> bool:
    """Whether an array's elements lie where these strides say."""
    if array.strides == strides:
        return True
    triples = zip(array.shape, array.strides, strides, strict=True)
    return array.size == 0 or all(size == 1 or a == b for size, a, b in triples)


def _ends_its_page(array: Array) -> bool:
    """Whether reading a few bytes after an array could touch a page that is not there."""
    end = array.ctypes.data + array.nbytes
    return -end % mmap.PAGESIZE < OVERREAD


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _write(memory: Bytes, port: Port, value: Array) -> None:
    """Copies a weight into memory as its strides say, packed if it is kept so."""
    block = port.type.static_shape[-1] if port.filters else 0
    _view(memory, port)[...] = pack(value, block) if block else value


def _view(memory: Bytes, port: Port) -> Array:
    """A weight as an array, wherever its strides say that it lies."""
    size = port.type.dtype.bytes
    part = memory[port.offset * size : port.size * size]
    return _placed(part, port.type, [stride * size for stride in port.strides])


def _placed(memory: Bytes, type: Tensor, strides: Sequence[int]) -> Array:
    """Memory as an array; numpy takes bits apart, but not the elements of all narrow types."""
    bits = memory.view(type.dtype.stored.numpy)
    lying = np.lib.stride_tricks.as_strided(bits, type.static_shape, strides)
    return from_bits(lying, type.dtype)
