"""A backend in one folder: one C function for each kernel, called one after another."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import ClassVar

import numpy as np

from dhc.backends.base import Executable, Source, StagedBackend
from dhc.backends.cstyle import PLAIN, helper_text, memory_type, print_kernel
from dhc.backends.grid import as_slot, no_printer, refuse_types
from dhc.backends.keywords import mangle
from dhc.backends.native import load_library
from dhc.ir.graph import Array, Graph
from dhc.ir.kernel import Kernel
from dhc.lower.plan import Plan, Slot
from dhc.lower.planner import make_plan
from dhc.lower.schedule import Loops
from dhc.passes.fuse import Fuse
from dhc.passes.legalise import Legalise
from dhc.passes.manager import Pass


class PlainBackend(StagedBackend):
    """Generates plain C, which the host's compiler builds."""

    name: ClassVar[str] = "plain_c"
    options: ClassVar[Mapping[str, type]] = {"comment": str}

    def check(self, graph: Graph) -> None:
        refuse_types(graph, no_printer, self.name)

    def passes(self) -> Sequence[Pass]:
        return (Legalise(),)

    def fusion(self) -> Sequence[Pass]:
        return (Fuse(),)

    def plan(self, graph: Graph) -> Plan:
        return make_plan(graph, Loops(parallel=False))

    def codegen(self, plan: Plan) -> Source:
        words = resources.files(__name__).joinpath("words.h").read_text(encoding="utf-8")
        kernels = [print_kernel(kernel, PLAIN) + _entry(kernel) for kernel in plan.kernels]
        comment = f"/* {self.target.options.get('comment', plan.name)} */\n"
        return Source({"program.cpp": "\n".join((comment, words, helper_text(), *kernels))}, plan)

    def build(self, source: Source) -> Executable:
        return PlainExecutable(source)


def _entry(kernel: Kernel) -> str:
    """A function that takes all operands as one list of addresses."""
    operands = [f"({memory_type(b.type)} *)a[{k}]" for k, b in enumerate(kernel.buffers)]
    name = mangle(kernel.name)
    return f'extern "C" void run_{name}(void **a) {{ {name}({", ".join(operands)}); }}\n'


class PlainExecutable:
    """Calls the functions of a program in the order of its plan."""

    def __init__(self, source: Source) -> None:
        self._plan = source.plan
        self._library = load_library(source.files, "The backend 'plain_c'")
        self._weights: dict[str, Array] = {}

    def load(self, weights: Mapping[str, Array]) -> None:
        slots = self._plan.by_role("weight")
        self._weights = {s.name: as_slot(s, np.asarray(weights[s.label])).copy() for s in slots}

    def read(self, labels: Sequence[str]) -> dict[str, Array]:
        names = {slot.label: slot.name for slot in self._plan.by_role("weight")}
        return {label: self._weights[names[label]].copy() for label in labels}

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        memory = dict(self._weights)
        for slot in self._plan.slots:
            if slot.role == "input":
                memory[slot.name] = as_slot(slot, inputs[slot.label])
            elif slot.role != "weight" and not slot.within:
                memory[slot.name] = np.empty(slot.type.static_shape, slot.type.dtype.numpy)
        for step in self._plan.steps:
            addresses = [_address(self._plan.slot(operand), memory) for operand in step.operands]
            self._library[f"run_{mangle(step.kernel.name)}"](
                (ctypes.c_void_p * len(addresses))(*addresses)
            )
        return {slot.label: memory[slot.name] for slot in self._plan.by_role("output")}


def _address(slot: Slot, memory: Mapping[str, Array]) -> int:
    """Where a tensor begins, which may lie inside of another one."""
    inside = slot.offset * slot.type.dtype.bytes
    return int(memory[slot.within or slot.name].ctypes.data) + inside
