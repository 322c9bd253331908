"""The CPU backend, with two engines: vector code through LLVM, and a readable module of numba."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from dhc.backends.base import Compiled, Executable, Restored, Source, StagedBackend, Target
from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Graph
from dhc.lower.plan import Plan
from dhc.passes.manager import Pass


class CpuBackend(StagedBackend):
    """Compiles in this process, through the engine that the target names.

    Options of its target: `engine` is `llvm` or `numba`; `isa` limits the vector units to `avx2` or
    `generic`; `portable` uses threads that need no futex; `profile` keeps the cycles of each step.
    """

    name: ClassVar[str] = "cpu"
    options: ClassVar[Mapping[str, type]] = {
        "engine": str,
        "isa": str,
        "portable": bool,
        "profile": bool,
    }

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._engine = _make_engine(target)

    def check(self, graph: Graph) -> None:
        self._engine.check(graph)

    def passes(self) -> Sequence[Pass]:
        return self._engine.passes()

    def fusion(self) -> Sequence[Pass]:
        return self._engine.fusion()

    def plan(self, graph: Graph) -> Plan:
        return self._engine.plan(graph)

    def codegen(self, plan: Plan) -> Source:
        return self._engine.codegen(plan)

    def build(self, source: Source) -> Executable:
        return self._engine.build(source)

    def identity(self) -> str:
        return self._engine.identity()

    def snapshot(self, compiled: Compiled) -> bytes | None:
        return self._engine.snapshot(compiled)

    def restore(self, stored: bytes) -> Restored | None:
        return self._engine.restore(stored)


def _make_engine(target: Target) -> StagedBackend:
    name = str(target.options.get("engine", "llvm"))
    if name not in _ENGINES:
        message = f"The CPU backend has no engine '{name}'."
        hint = f"use {' or '.join(_ENGINES)}"
        raise DhcError(Diagnostic("unknown-engine", message, hints=(hint,)))
    return _ENGINES[name](target)


def _llvm_engine(target: Target) -> StagedBackend:
    from dhc.backends.cpu.engine import LlvmEngine

    return LlvmEngine(target)


def _numba_engine(target: Target) -> StagedBackend:
    from dhc.backends.cpu.numba import NumbaEngine

    return NumbaEngine(target)


_ENGINES: Mapping[str, Callable[[Target], StagedBackend]] = {
    "llvm": _llvm_engine,
    "numba": _numba_engine,
}
