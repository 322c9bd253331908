"""compile(): from a graph to a program. The order of the passes is this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points

import dhc.ops  # noqa: F401  (registers the operators)
from dhc.backends.base import Backend, Target
from dhc.errors import DhcError, Diagnostic, did_you_mean
from dhc.ir.graph import Array, Graph
from dhc.ir.rewrite import specialise
from dhc.ir.size import Size
from dhc.passes.canonicalize import Canonicalize
from dhc.passes.fold_batchnorm import FoldBatchNorm
from dhc.passes.manager import Hook, run_passes
from dhc.runtime.program import Program, Specialised

COMMON_PASSES = (Canonicalize(), FoldBatchNorm(), Canonicalize())


def find_backend(name: str) -> type[Backend]:
    """Returns the class of an installed backend.

    Raises:
        DhcError: if there is none of that name.
    """
    found = {entry.name: entry for entry in entry_points(group="dhc.backends")}
    if name not in found:
        guess = did_you_mean(name, list(found))
        hints = (f"did you mean '{guess}'?",) if guess else (f"installed: {', '.join(found)}",)
        raise DhcError(Diagnostic("unknown-target", f"There is no backend '{name}'.", hints=hints))
    loaded: type[Backend] = found[name].load()
    return loaded


def compile_graph(
    graph: Graph,
    target: str | Target = "cpu",
    shapes: Mapping[str, int] | None = None,
    parameters: Mapping[str, Array] | None = None,
    hooks: Sequence[Hook] = (),
) -> Program:
    """Compiles a graph.

    Args:
        graph: What to compute.
        target: A backend's name, or a target with options.
        shapes: Values of size symbols; those left out are bound by the first call's inputs.
        parameters: Weights by path; fresh ones if not given.
        hooks: Called after each pass.

    Returns:
        The program, ready to be called.

    Raises:
        DhcError: if the backend cannot build all of the graph, or a tool is missing.
    """
    chosen = target if isinstance(target, Target) else Target(target)
    backend_class = find_backend(chosen.backend)

    def build(bindings: Mapping[str, Size]) -> Specialised:
        backend = backend_class(chosen)
        static = specialise(graph, bindings)
        backend.check(static)
        compiled = backend.compile(run_passes(static, COMMON_PASSES, hooks), hooks)
        return Specialised(static, compiled.prepare, compiled.executable)

    known = dict(shapes or {})
    return Program(specialise(graph, known), chosen, build, known, parameters)
