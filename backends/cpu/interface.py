"""What running a program's code needs to know: its arrays, its weights and its memory.

It is much smaller than the plan, and it can be kept beside the machine code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dhc.backends.cpu.calling import entry_names, scratch_bytes, weight_block
from dhc.backends.cpu.features import Isa
from dhc.ir.types import DType, Tensor
from dhc.lower.plan import Collective, Plan, Slot
from dhc.runtime.comm.base import Exchange
from dhc.runtime.memory import Bytes


@dataclass(frozen=True)
class Port:
    """An array of the caller, or a weight.

    Attributes:
        label: The caller's name for it, or the weight's path.
        type: Element type and shape.
        strides: Elements between neighbours along each axis.
        start: Bytes before the first element of the storage; 0 for the callers' arrays.
        offset: Elements of the storage before logical element 0.
        size: Elements of the whole storage.
        filters: For weights that are kept packed, their output channels; else 0.
    """

    label: str
    type: Tensor
    strides: tuple[int, ...]
    start: int
    offset: int
    size: int
    filters: int = 0


@dataclass(frozen=True)
class Stop:
    """A place between two functions of a program where ranks meet.

    Attributes:
        kind: `start` or `wait`.
        number: Of the bucket.
        start: Bytes of the arena before it.
        type: Its element type and size.
    """

    kind: str
    number: int
    start: int
    type: Tensor

    def meet(self, exchange: Exchange, arena: Bytes) -> None:
        """Does it, with the bucket where it lies."""
        if self.kind == "wait":
            exchange.wait(self.number)
            return
        dtype = self.type.dtype.numpy
        size = self.type.static_shape[0] * dtype.itemsize
        exchange.start(self.number, arena[self.start : self.start + size].view(dtype))


@dataclass(frozen=True)
class Interface:
    """The arrays of a program in the order of their addresses, and the sizes of its memory.

    Attributes:
        scratch_bytes: Memory of its own for each worker.
        steps: Kernel and layer of each launch, for profiles.
        parts: Names of functions, and stops, in the order in which they run.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    weights: tuple[Port, ...]
    weight_bytes: int
    arena_bytes: int
    scratch_bytes: int
    steps: tuple[tuple[str, str], ...]
    parts: tuple[str | Stop, ...]

    @property
    def entries(self) -> tuple[str, ...]:
        """The names of the functions."""
        return tuple(part for part in self.parts if isinstance(part, str))


def interface_of(plan: Plan, isa: Isa) -> Interface:
    """Returns the interface of a plan's code."""
    block = weight_block(plan)
    return Interface(
        tuple(_port(slot, 0) for slot in plan.by_role("input")),
        tuple(_port(slot, 0) for slot in plan.by_role("output")),
        tuple(_port(slot, block.offsets[slot.name]) for slot in plan.by_role("weight")),
        block.bytes,
        plan.arena_bytes,
        scratch_bytes(plan, isa),
        tuple((step.kernel.name, step.origin.path) for step in plan.launches),
        parts_of(plan),
    )


def parts_of(plan: Plan) -> tuple[str | Stop, ...]:
    """Returns the names of a plan's functions, and its stops, in the order in which they run."""
    names = iter(entry_names(plan))
    parts: list[str | Stop] = []
    for part in plan.stretches:
        if isinstance(part, Collective):
            slot = plan.slot(part.bucket)
            parts.append(Stop(part.kind, part.number, slot.arena, slot.type))
        else:
            parts.append(next(names))
    return tuple(parts)


def _port(slot: Slot, start: int) -> Port:
    strides = tuple(stride for stride in slot.buffer.strides if isinstance(stride, int))
    filters = slot.logical.static_shape[0] if slot.logical is not None else 0
    return Port(slot.label, slot.type, strides, start, slot.offset, slot.size, filters)


def interface_to_json(interface: Interface) -> str:
    """Returns it as text."""
    return json.dumps(
        {
            "inputs": [_to_json(port) for port in interface.inputs],
            "outputs": [_to_json(port) for port in interface.outputs],
            "weights": [_to_json(port) for port in interface.weights],
            "weight_bytes": interface.weight_bytes,
            "arena_bytes": interface.arena_bytes,
            "scratch_bytes": interface.scratch_bytes,
            "steps": interface.steps,
            "parts": [_part_to_json(part) for part in interface.parts],
        },
        separators=(",", ":"),
    )


def interface_from_json(text: str) -> Interface:
    """Reads what `interface_to_json` wrote; the text must be authentic."""
    found = json.loads(text)
    return Interface(
        tuple(map(_from_json, found["inputs"])),
        tuple(map(_from_json, found["outputs"])),
        tuple(map(_from_json, found["weights"])),
        found["weight_bytes"],
        found["arena_bytes"],
        found["scratch_bytes"],
        tuple((kernel, path) for kernel, path in found["steps"]),
        tuple(map(_part_from_json, found["parts"])),
    )


def _part_to_json(part: str | Stop) -> object:
    if isinstance(part, str):
        return part
    return [part.kind, part.number, part.start, part.type.dtype.value, *part.type.static_shape]


def _part_from_json(found: Any) -> str | Stop:
    if isinstance(found, str):
        return found
    kind, number, start, dtype, size = found
    return Stop(kind, number, start, Tensor(DType(dtype), (size,)))


def _to_json(port: Port) -> Mapping[str, object]:
    return {
        "label": port.label,
        "dtype": port.type.dtype.value,
        "shape": port.type.static_shape,
        "strides": port.strides,
        "start": port.start,
        "offset": port.offset,
        "size": port.size,
        "filters": port.filters,
    }


def _from_json(found: Mapping[str, Any]) -> Port:
    return Port(
        found["label"],
        Tensor(DType(found["dtype"]), tuple(found["shape"])),
        tuple(found["strides"]),
        found["start"],
        found["offset"],
        found["size"],
        found["filters"],
    )
