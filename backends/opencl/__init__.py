"""The OpenCL backend: one thread for each output element, on any OpenCL 1.2 device.

Options of the target:
    platform: Part of the platform's name. Without it PoCL is taken if it is there.
    device: Part of the device's name.
    threads: Work items in a group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import ClassVar

from dhc.backends.base import Executable, Source, StagedBackend
from dhc.backends.cstyle import helper_text
from dhc.backends.grid import THREADS, grid_plan, kernels_text, no_printer, refuse_types
from dhc.ir.graph import Graph
from dhc.ir.types import DType
from dhc.lower.plan import Plan
from dhc.passes.fuse import Fuse
from dhc.passes.legalise import Legalise
from dhc.passes.manager import Pass

_OPTIONAL = {DType.F16: "cl_khr_fp16", DType.F64: "cl_khr_fp64"}


def preamble() -> str:
    """Returns what comes before the kernels."""
    words = resources.files(__name__).joinpath("opencl.h").read_text(encoding="utf-8")
    return f"{words}\n{helper_text()}\n"


class OpenclBackend(StagedBackend):
    """Generates OpenCL C and runs it through pyopencl."""

    name: ClassVar[str] = "opencl"
    options: ClassVar[Mapping[str, type]] = {"threads": int, "platform": str, "device": str}

    def check(self, graph: Graph) -> None:
        """Refuses element types that the device has not; looks for it only if it matters.

        Raises:
            DhcError: naming every layer with such values.
        """
        refuse_types(graph, self._refusal, self.name)

    def _refusal(self, dtype: DType) -> str:
        if dtype not in _OPTIONAL:
            return no_printer(dtype)
        from dhc.backends.opencl.device import choose_device

        device = choose_device(self.target)
        extension = _OPTIONAL[dtype]
        if extension in device.extensions.split():
            return ""
        return f"the device '{device.name.strip()}' has no {extension}"

    def passes(self) -> Sequence[Pass]:
        return (Legalise(),)

    def fusion(self) -> Sequence[Pass]:
        return (Fuse(),)

    def plan(self, graph: Graph) -> Plan:
        return grid_plan(graph, int(self.target.options.get("threads", THREADS)))

    def codegen(self, plan: Plan) -> Source:
        return Source({f"{plan.name}.cl": preamble() + kernels_text(plan)}, plan)

    def build(self, source: Source) -> Executable:
        """Compiles the text for the chosen device.

        Raises:
            DhcError: if pyopencl, a platform or PoCL's linker is missing.
        """
        from dhc.backends.opencl.device import choose_device
        from dhc.backends.opencl.executable import OpenclExecutable

        return OpenclExecutable(source, choose_device(self.target))
