"""Runs a plan on an OpenCL device: weights stay there, and every call has an arena of its own."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyopencl as cl

from dhc.backends.base import Source
from dhc.backends.grid import (
    ARENA,
    GridLaunch,
    GridStop,
    as_slot,
    grid_steps,
    storage_bytes,
    weight_of,
    weight_slots,
)
from dhc.backends.keywords import mangle
from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Array
from dhc.lower.plan import Slot
from dhc.runtime.comm.base import Exchange

Buffers = dict[str, cl.Buffer]


@dataclass(frozen=True)
class _Frame:
    """What one call needs for itself: memory, a queue, and kernels whose arguments point there."""

    queue: cl.CommandQueue
    buffers: Buffers
    kernels: tuple[cl.Kernel | None, ...]  # one for each step; none where ranks meet


class OpenclExecutable:
    """A program built for one device.

    Args:
        source: The generated text and its plan.
        device: Where to run.
    """

    def __init__(self, source: Source, device: cl.Device) -> None:
        self._plan = source.plan
        self._steps = grid_steps(source.plan)
        self._context = cl.Context([device])
        self._program = _compile(self._context, device, source.text)
        self._weights: Buffers = {}
        self._free: list[_Frame] = []
        self._lock = threading.Lock()
        self._exchange = Exchange()

    def connect(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def load(self, weights: Mapping[str, Array]) -> None:
        """Uploads the weights; calls under way finish with those they started with."""
        flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
        loaded: Buffers = {}
        for slot in self._plan.by_role("weight"):
            array = as_slot(slot, np.asarray(weights[weight_of(slot, list(weights))]))
            data = array if array.nbytes else np.zeros(1, np.uint8)
            loaded[slot.name] = cl.Buffer(self._context, flags, hostbuf=data)
        with self._lock:
            self._weights, self._free = loaded, []

    def read(self, labels: Sequence[str]) -> dict[str, Array]:
        """Downloads weights."""
        names = weight_slots(self._plan)
        with cl.CommandQueue(self._context) as queue:
            return {label: self._fetch(queue, names[label], self._weights) for label in labels}

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        with self._lock:
            weights = self._weights
            frame = self._free.pop() if self._free else None
        frame = frame or self._new_frame(weights)
        outputs = self._run(frame, inputs)
        with self._lock:
            if weights is self._weights:
                self._free.append(frame)
        return outputs

    def _run(self, frame: _Frame, inputs: Mapping[str, Array]) -> dict[str, Array]:
        held: list[Array] = []  # until the queue has read them
        for slot in self._plan.by_role("input"):
            array = as_slot(slot, inputs[slot.label])
            held.append(array)
            if array.nbytes:
                cl.enqueue_copy(frame.queue, frame.buffers[slot.name], array, is_blocking=False)
        sums: dict[int, Array] = {}
        for step, kernel in zip(self._steps, frame.kernels, strict=True):
            if isinstance(step, GridStop):
                self._meet(step, frame, sums)
                continue
            assert kernel is not None
            items = tuple(b * t for b, t in zip(*_dimensions(step), strict=True))
            cl.enqueue_nd_range_kernel(frame.queue, kernel, items, _dimensions(step)[1])
        outputs = {
            slot.label: self._fetch(frame.queue, slot, frame.buffers)
            for slot in self._plan.by_role("output")
        }
        frame.queue.finish()
        return outputs

    def _meet(self, stop: GridStop, frame: _Frame, sums: dict[int, Array]) -> None:
        """Takes a bucket from the device and begins its sum, or puts the sum back."""
        arena, place = frame.buffers[ARENA], stop.bytes.start
        if stop.kind == "start":
            bucket = np.empty(stop.type.static_shape, stop.type.dtype.numpy)
            cl.enqueue_copy(frame.queue, bucket, arena, src_offset=place)
            sums[stop.number] = bucket
            self._exchange.start(stop.number, bucket)
        else:
            self._exchange.wait(stop.number)
            cl.enqueue_copy(frame.queue, arena, sums.pop(stop.number), dst_offset=place)

    def _fetch(self, queue: cl.CommandQueue, slot: Slot, buffers: Buffers) -> Array:
        """Asks for what lies in a slot; it is there when the queue is finished."""
        array = np.empty(slot.type.static_shape, slot.type.dtype.numpy)
        if array.nbytes:
            cl.enqueue_copy(queue, array, buffers[slot.name], is_blocking=False)
        return array

    def _new_frame(self, weights: Buffers) -> _Frame:
        buffers = {**weights, ARENA: self._allocate(max(self._plan.arena_bytes, 1))}
        for slot in (*self._plan.by_role("input"), *self._plan.by_role("output")):
            buffers[slot.name] = self._allocate(storage_bytes(slot))
        kernels = tuple(
            self._bind(step, buffers) if isinstance(step, GridLaunch) else None
            for step in self._steps
        )
        return _Frame(cl.CommandQueue(self._context), buffers, kernels)

    def _allocate(self, bytes: int) -> cl.Buffer:
        return cl.Buffer(self._context, cl.mem_flags.READ_WRITE, bytes)

    def _bind(self, launch: GridLaunch, buffers: Buffers) -> cl.Kernel:
        kernel = cl.Kernel(self._program, mangle(launch.kernel.name))
        for position, place in enumerate(launch.places):
            kernel.set_arg(2 * position, buffers[place.owner])
            kernel.set_arg(2 * position + 1, np.uint64(place.first))
        return kernel


def _dimensions(launch: GridLaunch) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Blocks and threads with the same number of dimensions."""
    rank = max(len(launch.blocks), len(launch.threads))
    blocks, threads = (*launch.blocks, 1, 1)[:rank], (*launch.threads, 1, 1)[:rank]
    return blocks, threads


def _compile(context: cl.Context, device: cl.Device, text: str) -> cl.Program:
    exact = cl.device_fp_config.CORRECTLY_ROUNDED_DIVIDE_SQRT
    options = ["-cl-fp32-correctly-rounded-divide-sqrt"] if device.single_fp_config & exact else []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # compilers' remarks
            program: cl.Program = cl.Program(context, text).build(options, [device])
            return program
    except cl.RuntimeError as error:
        name = device.name.strip()
        message = f"The OpenCL compiler of '{name}' refused the generated text."
        raise DhcError(Diagnostic("device-compiler", message, notes=(str(error),))) from error
