"""The CPU backend: one function of vector code for a whole network, run by every worker."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar

from dhc.backends.base import Executable, Source, StagedBackend, Target
from dhc.ir.graph import Graph
from dhc.lower.plan import Plan
from dhc.ops.shape import Concat
from dhc.passes.fuse import Fuse
from dhc.passes.legalise import Legalise
from dhc.passes.manager import Pass


class CpuBackend(StagedBackend):
    """Generates LLVM text and compiles it in this process.

    Options of its target: `isa` limits the vector units to `avx2` or `generic`; `portable` uses
    threads that need no futex; `profile` keeps the cycles of each step.
    """

    name: ClassVar[str] = "cpu"

    def __init__(self, target: Target) -> None:
        from dhc.backends.cpu.features import host_isa

        super().__init__(target)
        self.isa = host_isa(str(target.options.get("isa", "")))

    def passes(self) -> Sequence[Pass]:
        from dhc.backends.cpu.packing import PackWeights

        return (Legalise(), PackWeights(self.isa))

    def fusion(self) -> Sequence[Pass]:
        from dhc.backends.cpu.layout import CopyEdges

        return (Fuse(alone=frozenset({Concat})), CopyEdges())

    def plan(self, graph: Graph) -> Plan:
        from dhc.backends.cpu.planner import make_cpu_plan

        return make_cpu_plan(graph, self.isa)

    def codegen(self, plan: Plan) -> Source:
        from dhc.backends.cpu.module import print_module

        profile = bool(self.target.options.get("profile", False))
        return Source({f"{plan.name}.ll": print_module(plan, self.isa, profile)}, plan)

    def build(self, source: Source) -> Executable:
        from dhc.backends.cpu.executable import CpuExecutable
        from dhc.backends.cpu.jit import compile_object, link
        from dhc.backends.cpu.module import ENTRY
        from dhc.backends.cpu.pool import make_pool

        code = link(compile_object(source.text, self.isa), ENTRY)
        workers = self.target.threads or os.cpu_count() or 1
        pool = make_pool(workers, self.isa, bool(self.target.options.get("portable", False)))
        return CpuExecutable(source.plan, code, pool)
