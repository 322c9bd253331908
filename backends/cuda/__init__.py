"""The CUDA backend: the same kernel text as OpenCL's, compiled by NVRTC through CuPy.

Options of the target:
    device: `gpu`, or `shim`, which runs the same text on the processor: for tests without a GPU.
    threads: Threads in a block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import ClassVar

from dhc.backends.base import Executable, Source, StagedBackend
from dhc.backends.cstyle import helper_text
from dhc.backends.grid import (
    THREADS,
    grid_plan,
    kernels_text,
    no_printer,
    refuse_collectives,
    refuse_types,
)
from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Graph
from dhc.ir.types import DType
from dhc.lower.plan import Plan
from dhc.passes.fuse import Fuse
from dhc.passes.legalise import Legalise
from dhc.passes.manager import Pass


def preamble() -> str:
    """Returns what comes before the kernels."""
    words = resources.files(__name__).joinpath("cuda.h").read_text(encoding="utf-8")
    return f"{words}\n{helper_text()}\n"


class CudaBackend(StagedBackend):
    """Generates CUDA C++."""

    name: ClassVar[str] = "cuda"
    options: ClassVar[Mapping[str, type]] = {"threads": int, "device": str}

    def check(self, graph: Graph) -> None:
        """Refuses element types that the printed C has not, and on a GPU sums over ranks.

        Raises:
            DhcError: naming every layer with such values.
        """
        refuse_types(graph, _refusal, self.name)
        if self.target.options.get("device", "gpu") == "gpu":
            refuse_collectives(graph, "Programs on a GPU cannot add up over ranks yet.")

    def passes(self) -> Sequence[Pass]:
        return (Legalise(),)

    def fusion(self) -> Sequence[Pass]:
        return (Fuse(),)

    def plan(self, graph: Graph) -> Plan:
        return grid_plan(graph, int(self.target.options.get("threads", THREADS)))

    def codegen(self, plan: Plan) -> Source:
        return Source({f"{plan.name}.cu": preamble() + kernels_text(plan)}, plan)

    def build(self, source: Source) -> Executable:
        """Compiles the text for the GPU, or for the processor where the target says `shim`.

        Raises:
            DhcError: if CuPy, a GPU, or for the shim a C++ compiler is missing.
        """
        device = self.target.options.get("device", "gpu")
        if device == "shim":
            from dhc.backends.cuda.shim import ShimExecutable

            return ShimExecutable(source)
        if device != "gpu":
            message = f"The CUDA backend has no device '{device}'."
            raise DhcError(Diagnostic("unknown-device", message, hints=("use 'gpu' or 'shim'",)))
        from dhc.backends.cuda.gpu import open_gpu

        return open_gpu(source)


def _refusal(dtype: DType) -> str:
    return "it has no half precision yet" if dtype is DType.F16 else no_printer(dtype)
