"""Writes a design as a folder with golden data, and checks such a folder."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dhc.backends.base import Lowered
from dhc.backends.fpga.design import Design, design_of
from dhc.backends.fpga.files import DATA
from dhc.backends.fpga.simulation import packed
from dhc.backends.grid import as_slot
from dhc.backends.native import compile_files
from dhc.backends.reference import ReferenceExecutable
from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Array, Graph, Input
from dhc.ir.types import DType, Tensor
from dhc.ops.base import run

_SOURCES = ("testbench.cpp", "model.cpp")
_RESULT = re.compile(r"^(\w+): (\d+) of (\d+) values are wrong$", re.MULTILINE)


@dataclass(frozen=True)
class Verification:
    """What a testbench has found.

    Attributes:
        wrong: How many output values differ from the reference.
        values: How many output values there are.
        report: What the testbench printed.
    """

    wrong: int
    values: int
    report: str

    @property
    def passed(self) -> bool:
        return self.wrong == 0 and self.values > 0


def write_project(
    folder: str | Path,
    lowered: Lowered,
    graph: Graph,
    parameters: Mapping[str, Array],
    inputs: Mapping[str, Array] | None = None,
) -> None:
    """Writes a design with its testbench and data.

    Args:
        folder: Where to; it is made, and files of the same names are replaced.
        lowered: The stages of the compilation.
        graph: What was compiled; the reference runs it for the golden data.
        parameters: The weights by path.
        inputs: What the testbench runs on; random numbers if not given.
    """
    design = design_of(lowered.plan)
    given = inputs if inputs is not None else random_inputs(graph)
    prepared = run([node for _, node in lowered.prepare.outputs], parameters, graph.constants)
    names = [name for name, _ in lowered.prepare.outputs]
    weights = {**parameters, **graph.constants, **dict(zip(names, prepared, strict=True))}
    root = Path(folder)
    (root / DATA).mkdir(parents=True, exist_ok=True)
    for name, text in lowered.source.files.items():
        (root / name).write_text(text, encoding="utf-8")
    golden = _golden(graph, parameters, given)
    for name, array in _port_data(design, weights, given, golden).items():
        (root / DATA / f"{name}.bin").write_bytes(array.tobytes())


def random_inputs(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Returns an array for each input: normal floats, small integers."""
    generator = np.random.default_rng(seed)
    nodes = [node.op for node in graph.inputs if isinstance(node.op, Input)]
    return {node.label: _random(generator, node.type) for node in nodes}


def _random(generator: np.random.Generator, type: Tensor) -> Array:
    shape, dtype = type.static_shape, type.dtype.numpy
    if type.dtype.is_float:
        return generator.standard_normal(shape).astype(dtype)
    return generator.integers(0, 2 if type.dtype is DType.BOOL else 8, shape).astype(dtype)


def _golden(
    graph: Graph, parameters: Mapping[str, Array], inputs: Mapping[str, Array]
) -> dict[str, Array]:
    reference = ReferenceExecutable(graph, wide=False)
    reference.load(parameters)
    return reference(inputs)


def _port_data(
    design: Design,
    weights: Mapping[str, Array],
    inputs: Mapping[str, Array],
    golden: Mapping[str, Array],
) -> dict[str, Array]:
    data: dict[str, Array] = {}
    for port in design.ports:
        slot = port.slots[0]
        if slot.role == "weight":
            data[port.name] = packed(port, weights)
        else:
            data[port.name] = as_slot(slot, (golden if port.written else inputs)[slot.label])
    return data


def verify(folder: str | Path) -> Verification:
    """Compiles and runs the testbench of a project.

    Raises:
        DhcError: if the folder holds no project, there is no C++ compiler, or the testbench does
            not come to its end.
    """
    root = Path(folder).resolve()
    if not all((root / name).is_file() for name in _SOURCES):
        text = f"'{folder}' holds no FPGA design."
        hint = "`dhc compile FILE ENTRY --target fpga -o FOLDER` writes one"
        raise DhcError(Diagnostic("no-project", text, hints=(hint,)))
    with tempfile.TemporaryDirectory(prefix="dhc-") as place:
        program = Path(place) / "testbench"
        arguments = ["-o", str(program), *_SOURCES]
        compile_files(root, arguments, "C-simulation of an FPGA design")
        done = subprocess.run([str(program)], cwd=root, capture_output=True, text=True, check=False)
    found = _RESULT.findall(done.stdout)
    if done.returncode not in (0, 1) or not found:
        message = f"The testbench in '{root.name}' did not come to its end."
        raise DhcError(Diagnostic("testbench", message, notes=(done.stdout + done.stderr,)))
    wrong, values = (sum(int(entry[k]) for entry in found) for k in (1, 2))
    return Verification(wrong, values, done.stdout)
