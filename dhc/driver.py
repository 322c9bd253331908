"""compile(): from a graph to a program. The order of the passes is this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points

import dhc.ops  # noqa: F401  (registers the operators)
from dhc.backends.base import Backend, Target
from dhc.errors import DhcError, Diagnostic, did_you_mean
from dhc.ir.graph import Array, Graph
from dhc.ir.size import Size
from dhc.passes.bind_sizes import bind_sizes
from dhc.passes.canonicalize import Canonicalize
from dhc.passes.fold_batchnorm import FoldBatchNorm
from dhc.passes.manager import Hook, run_passes
from dhc.runtime.program import Program, Specialised

COMMON_PASSES = (Canonicalize(), FoldBatchNorm(), Canonicalize())


def backend_names() -> list[str]:
    """Returns the names of all installed backends."""
    return sorted(entry.name for entry in entry_points(group="dhc.backends"))


def find_backend(name: str) -> type[Backend]:
    """Returns the class of an installed backend.

    Raises:
        DhcError: if there is none of that name.
    """
    for entry in entry_points(group="dhc.backends"):
        if entry.name == name:
            loaded: type[Backend] = entry.load()
            return loaded
    names = backend_names()
    guess = did_you_mean(name, names)
    hint = f"did you mean '{guess}'?" if guess else f"installed: {', '.join(names)}"
    raise _fail("unknown-target", f"There is no backend '{name}'.", hint)


def make_backend(target: Target) -> Backend:
    """Returns the backend of a target, once its settings are known to have a meaning there.

    Raises:
        DhcError: if the backend, an option or the precision is unknown.
    """
    backend = find_backend(target.backend)
    for name, value in target.options.items():
        kind = backend.options.get(name)
        if kind is None:
            raise _unknown_option(target.backend, name, list(backend.options))
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            text = f"The option '{name}' of '{target.backend}' is a {kind.__name__}, not {value!r}."
            raise _fail("target-option", text)
    if target.precision not in backend.precisions:
        text = f"The backend '{target.backend}' has no precision '{target.precision}'."
        raise _fail("target-precision", text, f"it has {', '.join(backend.precisions)}")
    return backend(target)


def check_backend(graph: Graph, target: Target) -> None:
    """Checks that a target exists and can build all of a graph.

    Raises:
        DhcError: for everything that it cannot do.
    """
    make_backend(target).check(graph)


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
    backend = make_backend(chosen)
    known = dict(shapes or {})
    bound = bind_sizes(graph, known)

    def build(bindings: Mapping[str, Size]) -> Specialised:
        static = bind_sizes(bound, bindings)
        backend.check(static)
        compiled = backend.compile(run_passes(static, COMMON_PASSES, hooks), hooks)
        return Specialised(static, compiled.prepare, compiled.executable)

    return Program(bound, chosen, build, known, parameters)


def _unknown_option(backend: str, name: str, known: list[str]) -> DhcError:
    guess = did_you_mean(name, known)
    hint = f"did you mean '{guess}'?" if guess else f"it has {', '.join(known) or 'none'}"
    return _fail("target-option", f"The backend '{backend}' has no option '{name}'.", hint)


def _fail(code: str, message: str, *hints: str) -> DhcError:
    return DhcError(Diagnostic(code, message, hints=hints))
