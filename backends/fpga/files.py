"""The files of a design beside its C++: testbench, vendor tools' scripts, and a README."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import resources
from string import Template

from dhc.backends.base import Target
from dhc.backends.cstyle import helper_text
from dhc.backends.fpga.design import Design, Port
from dhc.ir.kernel import Assign, For, If, Kernel, Statement
from dhc.ir.scalar import Const
from dhc.ir.types import DType

HEADER = "hls.h"
DATA = "data"
PART = "xcu250-figd2104-2L-e"  # Alveo U250
CLOCK = 200e6  # Hz
_EPSILON = {DType.F64: 2.0**-52, DType.F32: 2.0**-23}
_SAFETY = 8  # how many roundings may add up, beyond the square root law


def header_text() -> str:
    """Returns the types and functions that the kernels use."""
    return _template("hls.h") + helper_text()


def project_files(design: Design, target: Target) -> Mapping[str, str]:
    """Returns the text files of a project but the kernels and their header."""
    words = {
        "top": design.top,
        "part": str(target.options.get("part", PART)),
        "clock": f"{1e9 / float(target.options.get('clock', CLOCK)):g}",
        "name": design.plan.name,
        "ports": _port_table(design),
        "kib": f"{design.on_chip_bytes / 1024:.1f}",
    }
    return {
        "testbench.cpp": _testbench(design),
        "vitis_hls.tcl": Template(_template("vitis_hls.tcl")).substitute(words),
        "hls_config.cfg": Template(_template("hls_config.cfg")).substitute(words),
        "README.md": Template(_template("project.md")).substitute(words),
    }


def _template(name: str) -> str:
    return resources.files("dhc.backends.fpga").joinpath(name).read_text(encoding="utf-8")


def _port_table(design: Design) -> str:
    rows = ["| port | elements | what |", "| --- | --- | --- |"]
    for port in design.ports:
        what = ", ".join(slot.label for slot in port.slots)
        direction = "output" if port.written else "input"
        rows.append(f"| `{port.name}` ({direction}) | {port.elements} x {port.type} | {what} |")
    return "\n".join(rows)


# ---- the testbench ----------------------------------------------------------------------------


def _testbench(design: Design) -> str:
    lines = [f"  auto {p.name} = {_buffer(p)};" for p in design.ports]
    arguments = ", ".join(f"{port.name}.data()" for port in design.ports)
    lines.append(f"  {design.top}({arguments});")
    tolerance = relative_tolerance(design)
    for port in design.ports:
        if port.written:
            bound = repr(tolerance) if port.slots[0].type.dtype.is_float else "0"
            lines.append(f'  wrong += compare("{port.name}", {port.name}, {bound});')
    words = {"signature": design.signature, "body": "\n".join(lines)}
    return Template(_template("testbench.cpp")).substitute(words)


def _buffer(port: Port) -> str:
    if port.written:
        return f"std::vector<{port.type}>({port.elements})"
    return f'read<{port.type}>("{port.name}", {port.elements})'


def relative_tolerance(design: Design) -> float:
    """Returns the difference from the reference that rounding explains, over the largest value.

    Each step adds eps * sqrt(K) for the K products of its sums.
    """
    floats = [
        _EPSILON[p.slots[0].type.dtype] for p in design.ports if p.type in ("float", "double")
    ]
    roots = [math.sqrt(longest_sum(k.body)) for k in design.plan.kernels if isinstance(k, Kernel)]
    return _SAFETY * max(floats, default=0.0) * sum(roots)


def longest_sum(body: tuple[Statement, ...]) -> int:
    """Returns how often the most-used accumulator of a body is changed for one result."""
    longest = 1
    for statement in body:
        match statement:
            case For(_, extent, inner):
                turns = int(extent.value) if isinstance(extent, Const) else 1
                accumulates = any(_assigns(s) for s in inner)
                longest = max(longest, longest_sum(inner) * (turns if accumulates else 1))
            case If(_, then, otherwise):
                longest = max(longest, longest_sum((*then, *otherwise)))
    return longest


def _assigns(statement: Statement) -> bool:
    """Whether a statement changes a variable from outside its loops."""
    match statement:
        case Assign():
            return True
        case For(_, _, inner):
            return any(_assigns(s) for s in inner) and not _declares(inner)
        case If(_, then, otherwise):
            return any(_assigns(s) for s in (*then, *otherwise))
    return False


def _declares(body: tuple[Statement, ...]) -> bool:
    return any(type(statement).__name__ == "Declare" for statement in body)
