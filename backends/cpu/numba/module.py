"""Prints a plan as one Python module: a numba function for each kernel, and `run` around them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from dhc.backends.cpu.calling import entry_names
from dhc.backends.cpu.numba.printer import FUNCTIONS, TYPES, NumbaPrinter, python_name
from dhc.backends.fold import WIDTH
from dhc.ir.kernel import Kernel
from dhc.lower.plan import Launch, Plan, Slot

_ARENA = "arena"
_WORKERS = "# Workers count with u64, and u64 beside i64 is f64 to numba: hence i64(..._turn)."


def print_module(plan: Plan) -> str:
    """Returns the text of a plan for known sizes; the same every time."""
    assert not plan.sizes, "a numba program is made for known sizes"
    printers = [NumbaPrinter(kernel) for kernel in plan.kernels]
    kernels = [printer.text() for printer in printers]
    runs = _runs(plan)
    used = {name for printer in printers for name in printer.used}
    used |= {slot.type.dtype.stored.value for slot in plan.by_role("temporary")}
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
    return "\n".join((*head, "", "", "\n\n".join((*(f"{k}" for k in kernels), *runs))))


def array_slots(plan: Plan) -> tuple[Slot, ...]:
    """Returns the slots that `run` takes, in order; the arena follows."""
    return (*plan.by_role("input"), *plan.by_role("weight"), *plan.by_role("output"))


def _runs(plan: Plan) -> list[str]:
    """A function for each stretch of launches."""
    stretches = [part for part in plan.stretches if isinstance(part, tuple)]
    return [_run(*each, plan) for each in zip(entry_names(plan), stretches, strict=True)]


def _run(name: str, launches: Sequence[Launch], plan: Plan) -> str:
    parameters = [python_name(slot.name) for slot in array_slots(plan)]
    used = {operand for step in launches for operand in step.operands}
    lines = _wrapped(f"def {name}(", [*parameters, _ARENA], "):")
    lines += [f"    {_temporary(s)}" for s in plan.by_role("temporary") if s.name in used]
    for step in launches:
        assert isinstance(step.kernel, Kernel)
        operands = ", ".join(map(python_name, step.operands))
        lines.append(f"    {python_name(step.kernel.name)}({operands})")
    return "\n".join(lines) + "\n"


def _temporary(slot: Slot) -> str:
    bytes = slot.type.dtype.bytes
    start = slot.arena + slot.offset * bytes
    end = start + math.prod(slot.type.static_shape) * bytes
    shape = ", ".join(map(str, slot.type.static_shape))
    view = f"{_ARENA}[{start}:{end}].view({slot.type.dtype.stored.value})"
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
