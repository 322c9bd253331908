"""The engine `numba` of the CPU backend: one readable Python module instead of LLVM text.

Vector units are used as far as numba's compiler finds out by itself, so it is slower than `llvm`;
what it computes is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from dhc.backends.base import Executable, Source, StagedBackend
from dhc.backends.cpu.numba.module import print_module
from dhc.backends.cpu.numba.schedule import SharedLoops
from dhc.backends.grid import refuse_types
from dhc.ir.graph import Graph
from dhc.ir.types import DType
from dhc.lower.plan import Plan
from dhc.lower.planner import make_plan
from dhc.passes.fuse import Fuse
from dhc.passes.legalise import Legalise
from dhc.passes.manager import Pass


class NumbaEngine(StagedBackend):
    """The stages of the CPU backend with `engine=numba`."""

    name: ClassVar[str] = "cpu"

    def check(self, graph: Graph) -> None:
        """Refuses element types that numba cannot compute with.

        Raises:
            DhcError: naming every layer with such values.
        """
        refuse_types(graph, _refusal, "cpu")

    def passes(self) -> Sequence[Pass]:
        return (Legalise(),)

    def fusion(self) -> Sequence[Pass]:
        return (Fuse(),)

    def plan(self, graph: Graph) -> Plan:
        return make_plan(graph, SharedLoops())

    def codegen(self, plan: Plan) -> Source:
        return Source({f"{plan.name}.py": print_module(plan)}, plan)

    def build(self, source: Source) -> Executable:
        from dhc.backends.cpu.numba.executable import NumbaExecutable

        return NumbaExecutable(source, self.target.threads)


def _refusal(dtype: DType) -> str:
    return "the engine 'numba' has no half precision" if dtype is DType.F16 else ""
