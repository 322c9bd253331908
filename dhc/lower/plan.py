"""Plans: what runs, in which order, and where every tensor lies.

A plan is what the core hands to a backend. It is pure data: backends print it, build it and run it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from dhc.ir.graph import Origin
from dhc.ir.kernel import Kernel
from dhc.ir.scalar import Buffer
from dhc.ir.types import Tensor

Role = Literal["input", "output", "weight", "temporary"]


@dataclass(frozen=True)
class Slot:
    """One tensor of a plan and its place in memory.

    Attributes:
        name: Unique in the plan and a C identifier.
        label: For inputs and outputs the name callers use; for weights the path.
        type: The logical type.
        role: Who owns the memory: the caller, the weights, or the arena.
        buffer: How logical indices become addresses.
        offset: Where logical element 0 lies, in elements from the start of the storage.
        size: Elements of the whole storage, halo included; 0 where the shape is known at run time.
        arena: For temporaries the first byte in the arena; -1 otherwise.
        within: The slot whose storage this one shares, for slices of larger tensors.
        logical: For weights that are kept in another form, the type that callers know.
    """

    name: str
    label: str
    type: Tensor
    role: Role
    buffer: Buffer
    offset: int = 0
    size: int = 0
    arena: int = -1
    within: str = ""
    logical: Tensor | None = None


class Launchable(Protocol):
    """What a step can run: a `Kernel`, or native code that a backend has generated."""

    @property
    def name(self) -> str:
        """Unique among the different kernels of a plan."""


@dataclass(frozen=True)
class Launch:
    """One step: a kernel applied to slots, in the order of its buffers."""

    kernel: Launchable
    operands: tuple[str, ...]
    origin: Origin = field(default_factory=Origin)

    @property
    def written(self) -> tuple[str, ...]:
        """The slots that it writes."""
        count = self.kernel.outputs if isinstance(self.kernel, Kernel) else 1
        return self.operands[:count]


@dataclass(frozen=True)
class Collective:
    """One step in which all ranks take part: a bucket in memory becomes the sum of all ranks'.

    Attributes:
        kind: Whether it begins the sum, or waits until it is there; between the two, kernels that
            do not touch the bucket may run.
        number: Of the bucket; all ranks begin them in the same order.
        bucket: The slot.
    """

    kind: Literal["start", "wait"]
    number: int
    bucket: str
    origin: Origin = field(default_factory=Origin)

    @property
    def operands(self) -> tuple[str, ...]:
        return (self.bucket,)

    @property
    def written(self) -> tuple[str, ...]:
        """The slots that it writes."""
        return (self.bucket,)


Step = Launch | Collective


@dataclass(frozen=True)
class Plan:
    """A whole program for one device.

    Attributes:
        name: An identifier.
        slots: Every tensor, inputs first, then weights, temporaries and outputs.
        steps: Launches and collectives in order.
        arena_bytes: Memory for all temporaries.
        sizes: Names of the run-time sizes that callers' shapes determine.
    """

    name: str
    slots: tuple[Slot, ...]
    steps: tuple[Step, ...]
    arena_bytes: int
    sizes: tuple[str, ...] = ()

    def slot(self, name: str) -> Slot:
        return next(slot for slot in self.slots if slot.name == name)

    def by_role(self, role: Role) -> tuple[Slot, ...]:
        return tuple(slot for slot in self.slots if slot.role == role)

    @property
    def launches(self) -> tuple[Launch, ...]:
        """The steps that run on the device."""
        return tuple(step for step in self.steps if isinstance(step, Launch))

    @property
    def stretches(self) -> tuple[tuple[Launch, ...] | Collective, ...]:
        """The steps, with neighbouring launches together: what a device runs without stopping."""
        found: list[tuple[Launch, ...] | Collective] = []
        for step in self.steps:
            if isinstance(step, Collective):
                found.append(step)
            elif found and isinstance(found[-1], tuple):
                found[-1] = (*found[-1], step)
            else:
                found.append((step,))
        return tuple(found) or ((),)

    @property
    def updated(self) -> frozenset[str]:
        """The names of the weights that steps write."""
        weights = {slot.name for slot in self.by_role("weight")}
        written = (name for step in self.steps for name in step.written)
        return frozenset(name for name in written if name in weights)

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The different generic kernels, in order of first use."""
        found: dict[str, Kernel] = {}
        for step in self.launches:
            if isinstance(step.kernel, Kernel):
                found.setdefault(step.kernel.name, step.kernel)
        return tuple(found.values())
