"""The FPGA backend: C++ for high-level synthesis, simulated with the host's compiler.

The generated design is a folder that vendor tools build; `write_project` writes it with a testbench
and golden data, `verify` checks it without a vendor tool or a licence. `build` runs the same C++ as
a program. C-simulation proves the arithmetic of the C++, not what a vendor tool makes of it.

Options of the target:
    part: The device, as Vitis names it.
    clock: The clock to aim at, in Hz; a file may say `clock=200MHz`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from dhc.backends.base import Executable, Exported, Source, StagedBackend
from dhc.backends.fpga.design import design_of, print_design
from dhc.backends.fpga.files import HEADER, header_text, project_files
from dhc.backends.grid import no_printer, refuse_collectives, refuse_types
from dhc.ir.graph import Graph
from dhc.ir.types import DType
from dhc.lower.plan import Plan
from dhc.lower.planner import make_plan
from dhc.lower.schedule import Loops
from dhc.passes.fuse import Fuse
from dhc.passes.legalise import Legalise
from dhc.passes.manager import Pass


class FpgaBackend(StagedBackend):
    """Generates HLS C++."""

    name: ClassVar[str] = "fpga"
    options: ClassVar[Mapping[str, type]] = {"part": str, "clock": float}

    def check(self, graph: Graph) -> None:
        """Refuses element types that the printed C++ has not, and sums over ranks.

        Raises:
            DhcError: naming every layer with such values.
        """
        refuse_types(graph, _refusal, self.name)
        refuse_collectives(graph, "A design on an FPGA cannot stop to add up over ranks.")

    def passes(self) -> Sequence[Pass]:
        return (Legalise(),)

    def fusion(self) -> Sequence[Pass]:
        return (Fuse(),)

    def plan(self, graph: Graph) -> Plan:
        return make_plan(graph, Loops(parallel=False))

    def codegen(self, plan: Plan) -> Source:
        design = design_of(plan)
        files = {
            "model.cpp": print_design(design, HEADER),
            HEADER: header_text(),
            **project_files(design, self.target),
        }
        return Source(files, plan)

    def export(self, source: Exported, folder: Path) -> None:
        from dhc.backends.fpga.project import write_project

        write_project(folder, self.lower(source.optimised), source.graph, source.parameters)

    def build(self, source: Source) -> Executable:
        """Builds the C-simulation.

        Raises:
            DhcError: if there is no C++ compiler.
        """
        from dhc.backends.fpga.simulation import SimulationExecutable

        return SimulationExecutable(source)


def _refusal(dtype: DType) -> str:
    return "it has no half precision yet" if dtype is DType.F16 else no_printer(dtype)
