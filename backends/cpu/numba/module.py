"""Prints a plan as one Python module: a numba function for each kernel, and `run` around them."""

from __future__ import annotations

from collections.abc import Iterable

from dhc.backends.cpu.numba.printer import FUNCTIONS, TYPES, NumbaPrinter, python_name
from dhc.backends.fold import WIDTH
from dhc.ir.kernel import Kernel
from dhc.lower.plan import Plan, Slot

ENTRY = "run"
_ARENA = "arena"
_WORKERS = "# Workers count with u64, and u64 beside i64 is f64 to numba: hence i64(..._turn)."


def print_module(plan: Plan) -> str:
    """Returns the text of a plan for known sizes; the same every time."""
    assert not plan.sizes, "a numba program is made for known sizes"
    printers = [NumbaPrinter(kernel) for kernel in plan.kernels]
    kernels = [printer.text() for printer in printers]
    run = _run(plan)
    used = {name for printer in printers for name in printer.used}
    used |= {slot.type.dtype.value for slot in plan.by_role("temporary")}
    head = [f'"""The program `{plan.name}`: numba functions over C-contiguous numpy arrays."""', ""]
    if any("math." in text for text in kernels):
        head += ["import math", ""]
    if used & TYPES.keys() or any("np." in text for text in kernels):
        head.append("import numpy as np")
    head.append(f"from numba import {_listed({'njit', *used & {'prange'}})}")
    if used & FUNCTIONS:
        names = _listed(used & FUNCTIONS)
        head += ["", *_import("dhc.backends.cpu.numba.functions", names)]
    types = [f"{name} = {meaning}" for name, meaning in TYPES.items() if name in used]
    head += ["", *types] if types else []
    head += ["", _WORKERS] if "prange" in used else []
    return "\n".join((*head, "", "", "\n\n".join((*(f"{k}" for k in kernels), run))))


def array_slots(plan: Plan) -> tuple[Slot, ...]:
    """Returns the slots that `run` takes, in order; the arena follows."""
    return (*plan.by_role("input"), *plan.by_role("weight"), *plan.by_role("output"))


def _run(plan: Plan) -> str:
    parameters = [python_name(slot.name) for slot in array_slots(plan)]
    lines = _wrapped(f"def {ENTRY}(", [*parameters, _ARENA], "):")
    lines += [f"    {_temporary(slot)}" for slot in plan.by_role("temporary")]
    for step in plan.steps:
        assert isinstance(step.kernel, Kernel)
        operands = ", ".join(map(python_name, step.operands))
        lines.append(f"    {python_name(step.kernel.name)}({operands})")
    return "\n".join(lines) + "\n"


def _temporary(slot: Slot) -> str:
    assert not slot.within, "temporaries of row-major plans are whole"
    end = slot.arena + slot.size * slot.type.dtype.bytes
    shape = ", ".join(map(str, slot.type.static_shape))
    view = f"{_ARENA}[{slot.arena}:{end}].view({slot.type.dtype.value})"
    return f"{python_name(slot.name)} = {view}.reshape({shape or '()'})"


# ---- layout -----------------------------------------------------------------------------------


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _import(module: str, names: str) -> list[str]:
    line = f"from {module} import {names}"
    if len(line) <= WIDTH:
        return [line]
    return [f"from {module} import (", *(f"    {name}," for name in names.split(", ")), ")"]


def _wrapped(start: str, items: list[str], end: str) -> list[str]:
    line = f"{start}{', '.join(items)}{end}"
    if len(line) <= WIDTH:
        return [line]
    return [start, *(f"    {item}," for item in items), end]
