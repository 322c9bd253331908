"""The engine that generates LLVM text: explicit vectors, one function for a whole network."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import ClassVar

from dhc.backends.base import Compiled, Executable, Restored, Source, StagedBackend, Target
from dhc.backends.cpu.executable import CpuExecutable
from dhc.backends.cpu.features import host_isa
from dhc.backends.cpu.interface import Interface, interface_of
from dhc.backends.cpu.jit import link_all, version
from dhc.backends.cpu.pages import release_compiler
from dhc.backends.cpu.pool import make_pool
from dhc.backends.cpu.snapshot import Snapshot, pack, unpack
from dhc.ir.graph import Graph
from dhc.lower.plan import Plan
from dhc.passes.manager import Pass


class LlvmEngine(StagedBackend):
    """Generates LLVM text and compiles it in this process."""

    name: ClassVar[str] = "cpu"

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._isa = host_isa(str(target.options.get("isa", "")))

    def passes(self) -> Sequence[Pass]:
        from dhc.backends.cpu.keep import KeepPacked
        from dhc.backends.cpu.packing import PackWeights
        from dhc.passes.legalise import Legalise

        return (Legalise(), PackWeights(self._isa), KeepPacked())

    def fusion(self) -> Sequence[Pass]:
        from dhc.backends.cpu.depthwise import PackedDepthwiseGrad
        from dhc.backends.cpu.keep import Keep, Kept
        from dhc.backends.cpu.layout import CopyEdges
        from dhc.backends.cpu.weight_grad import PackedWeightGrad
        from dhc.ops.shape import Concat
        from dhc.passes.fuse import Fuse

        alone = frozenset({Concat, PackedWeightGrad, PackedDepthwiseGrad, Keep, Kept})
        return (Fuse(alone=alone), CopyEdges())

    def plan(self, graph: Graph) -> Plan:
        from dhc.backends.cpu.planner import make_cpu_plan

        return make_cpu_plan(graph, self._isa)

    def codegen(self, plan: Plan) -> Source:
        from dhc.backends.cpu.module import print_modules

        profile = bool(self.target.options.get("profile", False))
        first, *rest = print_modules(plan, self._isa, profile)
        kernels = {f"{plan.name}.{k}.ll": text for k, text in enumerate(rest, 1)}
        return Source({f"{plan.name}.ll": first, **kernels}, plan)

    def build(self, source: Source) -> Executable:
        from dhc.backends.cpu.compilers import compile_objects

        objects = compile_objects(list(source.files.values()), self._isa, self._workers)
        return self._executable(interface_of(source.plan, self._isa), objects)

    def identity(self) -> str:
        return f"{self._isa} {version()}"

    def snapshot(self, compiled: Compiled) -> bytes | None:
        from dhc.ir.text import print_graph

        executable = compiled.executable
        if not isinstance(executable, CpuExecutable):
            return None
        prepare = print_graph(compiled.prepare(), origins=False)
        return pack(Snapshot(executable.interface, prepare, executable.objects))

    def restore(self, stored: bytes) -> Restored | None:
        found = unpack(stored)
        if found is None:
            return None

        @functools.cache  # it is asked for whenever weights change
        def prepare() -> Graph:
            import dhc.backends.cpu.depthwise  # these register the operators
            import dhc.backends.cpu.packing  # noqa: F401
            from dhc.ir.text import parse_graph

            return parse_graph(found.prepare)

        executable = self._executable(found.interface, found.objects)
        release_compiler()
        inputs = {port.label: port.type for port in found.interface.inputs}
        return Restored(Compiled(prepare, executable), inputs)

    @property
    def _workers(self) -> int:
        return self.target.threads or os.cpu_count() or 1

    def _executable(self, interface: Interface, objects: Sequence[bytes]) -> CpuExecutable:
        portable = bool(self.target.options.get("portable", False))
        pool = make_pool(self._workers, self._isa, portable)
        return CpuExecutable(interface, objects, link_all(objects, interface.entries), pool)
