"""Prints a plan as a design for high-level synthesis: kernels, and one top function around them.

Inputs, outputs and weights are AXI masters; weights of one element type share a port, one after
another. Temporaries are static arrays, which become on-chip memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dhc.backends.cstyle import PLAIN, memory_type, print_kernel
from dhc.backends.fold import fold
from dhc.backends.keywords import mangle
from dhc.ir.kernel import Kernel
from dhc.lower.plan import Plan, Slot


@dataclass(frozen=True)
class Port:
    """A parameter of the top function.

    Attributes:
        name: Its C name, and the name of its data file.
        type: The C type of an element.
        elements: How many elements there are.
        slots: What lies there, one after another.
        written: Whether the design writes it.
    """

    name: str
    type: str
    elements: int
    slots: tuple[Slot, ...]
    written: bool = False


@dataclass(frozen=True)
class Design:
    """The interface of a plan as hardware.

    Attributes:
        plan: What it computes.
        top: The name of the top function.
        ports: Its parameters in order: inputs, weights, outputs.
    """

    plan: Plan
    top: str
    ports: tuple[Port, ...]

    @property
    def signature(self) -> str:
        """The declaration of the top function, without a semicolon."""
        parameters = [f"{'' if p.written else 'const '}{p.type} *{p.name}" for p in self.ports]
        return f'extern "C" void {self.top}({", ".join(parameters)})'

    @property
    def on_chip_bytes(self) -> int:
        """The memory of all temporaries."""
        return sum(s.size * s.type.dtype.bytes for s in self.temporaries)

    @property
    def temporaries(self) -> tuple[Slot, ...]:
        """Those with memory of their own."""
        return tuple(s for s in self.plan.by_role("temporary") if not s.within)


def design_of(plan: Plan) -> Design:
    """Returns the interface that a plan has as hardware."""
    assert not plan.sizes, "a design is made for known sizes"
    inputs = [_port(slot) for slot in plan.by_role("input")]
    outputs = [_port(slot, written=True) for slot in plan.by_role("output")]
    return Design(plan, f"{mangle(plan.name)}_top", (*inputs, *_weight_ports(plan), *outputs))


def _port(slot: Slot, written: bool = False) -> Port:
    name, kind = mangle(slot.name), memory_type(slot.type.dtype)
    return Port(name, kind, slot.size, (slot,), written)


def _weight_ports(plan: Plan) -> list[Port]:
    """One port for all weights of a type, and one for those that the design updates."""
    groups: dict[tuple[str, bool], list[Slot]] = {}
    updated = plan.updated
    for slot in plan.by_role("weight"):
        key = (memory_type(slot.type.dtype), slot.name in updated)
        groups.setdefault(key, []).append(slot)
    return [
        Port(
            f"{'state' if written else 'weights'}_{kind}", kind,
            sum(slot.size for slot in slots), tuple(slots), written,
        )
        for (kind, written), slots in groups.items()
    ]  # fmt: skip


# ---- text -------------------------------------------------------------------------------------


def print_design(design: Design, header: str) -> str:
    """Returns the C++ of a design.

    Args:
        design: What to print.
        header: The name of the file with types and helpers.
    """
    kernels = [print_kernel(kernel, PLAIN) for kernel in design.plan.kernels]
    return "\n".join((f'#include "{header}"\n', *kernels, _top(design)))


def _top(design: Design) -> str:
    places = _places(design)
    lines = fold(f"{design.signature} {{", "")
    for number, port in enumerate(design.ports):
        interface = f"m_axi port={port.name} offset=slave bundle=gmem{number}"
        lines.append(f"#pragma HLS INTERFACE {interface} depth={max(port.elements, 1)}")
    lines.append("#pragma HLS INTERFACE s_axilite port=return")
    for slot in design.temporaries:
        kind = memory_type(slot.type.dtype)
        lines.append(f"  static {kind} {mangle(slot.name)}[{max(slot.size, 1)}];")
    for step in design.plan.launches:
        assert isinstance(step.kernel, Kernel)
        operands = ", ".join(places[operand] for operand in step.operands)
        lines.append(f"  {mangle(step.kernel.name)}({operands});")
    return "\n".join((*lines, "}")) + "\n"


def _places(design: Design) -> Mapping[str, str]:
    """Returns for each slot the pointer that kernels get."""
    places = {
        slot.name: _place(mangle(slot.within or slot.name), slot.offset)
        for slot in design.plan.by_role("temporary")
    }
    for port in design.ports:
        first = 0
        for slot in port.slots:
            places[slot.name] = _place(port.name, first)
            first += slot.size
    return places


def _place(pointer: str, first: int) -> str:
    return f"{pointer} + {first}" if first else pointer
