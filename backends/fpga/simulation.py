"""Runs a design's C++ as a program: C-simulation through a shared library."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence

import numpy as np

from dhc.backends.base import Source
from dhc.backends.fpga.design import Port, design_of
from dhc.backends.fpga.files import HEADER
from dhc.backends.grid import as_slot, weight_of
from dhc.backends.native import load_library
from dhc.ir.graph import Array
from dhc.ir.types import as_bits, from_bits


class SimulationExecutable:
    """A simulated design. It has one set of on-chip memories, so calls wait for each other.

    Args:
        source: The generated project and its plan.
    """

    def __init__(self, source: Source) -> None:
        self._design = design_of(source.plan)
        files = {name: source.files[name] for name in ("model.cpp", HEADER)}
        library = load_library(files, "C-simulation of an FPGA design")
        self._top = library[self._design.top]
        self._top.restype = None
        self._weights: dict[str, Array] = {}
        self._lock = threading.Lock()

    def load(self, weights: Mapping[str, Array]) -> None:
        """Packs the weights as the design's ports want them."""
        ports = [port for port in self._design.ports if port.slots[0].role == "weight"]
        self._weights = {port.name: packed(port, weights) for port in ports}

    def read(self, labels: Sequence[str]) -> dict[str, Array]:
        return {label: self._weight(label).copy() for label in labels}

    def _weight(self, label: str) -> Array:
        """A weight's part of its port."""
        for port in self._design.ports:
            first = 0
            for slot in port.slots:
                if slot.role == "weight" and slot.label == label:
                    part = self._weights[port.name][first : first + slot.size]
                    return from_bits(part, slot.type.dtype).reshape(slot.type.static_shape)
                first += slot.size
        raise KeyError(label)

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        memory = dict(self._weights)
        outputs: dict[str, Array] = {}
        for port in self._design.ports:
            slot = port.slots[0]
            if slot.role == "output":
                outputs[slot.label] = np.empty(slot.type.static_shape, slot.type.dtype.numpy)
                memory[port.name] = outputs[slot.label]
            elif slot.role == "input":
                memory[port.name] = as_slot(slot, inputs[slot.label])
        pointers = [ctypes.c_void_p(memory[p.name].ctypes.data) for p in self._design.ports]
        with self._lock:
            self._top(*pointers)
        return outputs


def packed(port: Port, weights: Mapping[str, Array]) -> Array:
    """Returns the data of a port with weights: all its slots, one after another."""
    labels = list(weights)
    parts = [as_slot(slot, np.asarray(weights[weight_of(slot, labels)])) for slot in port.slots]
    bits = [as_bits(part.reshape(-1)) for part in parts]
    joined: Array = np.concatenate(bits)
    return joined
