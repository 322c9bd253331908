"""Runs kernels on numpy arrays one element at a time: slow, plain, what printers are held to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dhc.ir.evaluate import apply
from dhc.ir.kernel import (
    Alloc,
    Assign,
    Barrier,
    Declare,
    For,
    If,
    Kernel,
    Let,
    Statement,
    Store,
)
from dhc.ir.scalar import Buffer, Load, Scalar, Var, children

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Memory:
    """A flat array that holds a buffer: logical element 0 lies at `offset`.

    A halo lies before `offset`, so that negative indices reach it.
    """

    data: Array
    offset: int = 0


def interpret(
    kernel: Kernel, memory: Sequence[Array | Memory], sizes: Mapping[str, int] | None = None
) -> None:
    """Runs a kernel; what it stores is changed in place.

    Loops of every kind run in order, so barriers have no work to do as long as threads do not read
    what other threads have stored.

    Args:
        kernel: What to run.
        memory: For each buffer of the kernel an array of its shape, or flat memory.
        sizes: Values of the run-time sizes.

    Raises:
        IndexError: if an access leaves its memory, or the array of a buffer without a halo.
    """
    known = {size: np.asarray((sizes or {})[size.name], np.int64) for size in kernel.sizes}
    machine = _Machine({**known})
    for buffer, given in zip(kernel.buffers, memory, strict=True):
        machine.bind(buffer, given)
    machine.run(kernel.body)


@dataclass
class _Storage:
    """Where a buffer lies, with strides in elements, and the shape if indices must keep to it."""

    data: Array
    offset: int
    strides: tuple[int, ...]
    shape: tuple[int, ...] | None


@dataclass
class _Machine:
    values: dict[Var, Array]
    storage: dict[Buffer, _Storage] = field(default_factory=dict)

    # ---- memory ------------------------------------------------------------------------------

    def bind(self, buffer: Buffer, given: Array | Memory) -> None:
        strides = tuple(self._size(stride) for stride in buffer.strides)
        if isinstance(given, Memory):
            self.storage[buffer] = _Storage(given.data, given.offset, strides, None)
            return
        shape = tuple(self._size(size) for size in buffer.shape)
        if given.shape != shape:
            raise IndexError(f"'{buffer.name}' has the shape {shape}, its array {given.shape}")
        flat = given.reshape(-1)
        if given.size and not np.shares_memory(flat, given):
            raise ValueError(f"the array of '{buffer.name}' is not contiguous")
        dense = tuple(math.prod(shape[k + 1 :]) for k in range(len(shape)))
        self.storage[buffer] = _Storage(flat, 0, dense, shape)

    def _size(self, size: int | Scalar) -> int:
        return size if isinstance(size, int) else int(self.value(size))

    def _address(self, buffer: Buffer, index: tuple[Scalar, ...]) -> int:
        storage = self.storage[buffer]
        place = [int(self.value(i)) for i in index]
        if storage.shape is not None:
            inside = all(0 <= i < size for i, size in zip(place, storage.shape, strict=True))
        address = storage.offset + sum(i * s for i, s in zip(place, storage.strides, strict=True))
        if storage.shape is None:
            inside = 0 <= address < len(storage.data)
        if not inside:
            raise IndexError(f"index {place} is outside '{buffer.name}'")
        return address

    # ---- statements --------------------------------------------------------------------------

    def run(self, body: tuple[Statement, ...]) -> None:
        for statement in body:
            self._run(statement)

    def _run(self, statement: Statement) -> None:
        match statement:
            case For(var, extent, body):
                for turn in range(self._size(extent)):
                    self.values[var] = np.asarray(turn, np.int64)
                    self.run(body)
            case Let(var, value) | Declare(var, value) | Assign(var, value):
                self.values[var] = self.value(value)
            case Store(buffer, index, value):
                self.storage[buffer].data[self._address(buffer, index)] = self.value(value)
            case If(condition, then, otherwise):
                self.run(then if self.value(condition) else otherwise)
            case Alloc(buffer):
                self._allocate(buffer)
            case Barrier():
                pass

    def _allocate(self, buffer: Buffer) -> None:
        """Gives scratch memory, filled with what shows that it was read before it was written."""
        shape = tuple(self._size(size) for size in buffer.shape)
        strides = tuple(self._size(stride) for stride in buffer.strides)
        last = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        rubbish = math.nan if buffer.type.is_float else 1
        data = np.full(last + 1 if math.prod(shape) else 0, rubbish, buffer.type.numpy)
        self.storage[buffer] = _Storage(data, 0, strides, None)

    # ---- expressions -------------------------------------------------------------------------

    def value(self, expression: Scalar) -> Array:
        """Returns the value of an expression; an operand of a read only where its guard holds."""
        if isinstance(expression, Var):
            return self.values[expression]
        if isinstance(expression, Load):
            return self._read(expression)
        with np.errstate(all="ignore"):
            return apply(expression, [self.value(operand) for operand in children(expression)])

    def _read(self, load: Load) -> Array:
        if load.guard is not None and not self.value(load.guard):
            assert load.otherwise is not None
            return self.value(load.otherwise)
        address = self._address(load.buffer, load.index)
        return np.asarray(self.storage[load.buffer].data[address])
