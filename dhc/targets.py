"""Targets: which backends are installed, and whether a target's settings mean something there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points

from dhc.backends.base import Backend, Target
from dhc.errors import DhcError, Diagnostic, did_you_mean
from dhc.ir.graph import Graph

GROUP = "dhc.backends"
MAX_THREADS = 1024


def backend_names() -> list[str]:
    """Returns the names of all installed backends."""
    return sorted(entry.name for entry in entry_points(group=GROUP))


def find_backend(name: str) -> type[Backend]:
    """Returns the class of an installed backend.

    Raises:
        DhcError: if there is none of that name.
    """
    for entry in _candidates():
        if entry.name == name:
            loaded: type[Backend] = entry.load()
            return loaded
    names = backend_names()
    guess = did_you_mean(name, names)
    hint = f"did you mean '{guess}'?" if guess else f"installed: {', '.join(names)}"
    raise _fail("unknown-target", f"There is no backend '{name}'.", hint)


def _candidates() -> Iterator[EntryPoint]:
    """Entry points of backends: our own first, since reading those of all packages takes long."""
    with suppress(PackageNotFoundError):
        yield from distribution("dhc").entry_points.select(group=GROUP)
    yield from entry_points(group=GROUP)


def make_backend(target: Target) -> Backend:
    """Returns the backend of a target, once its settings are known to have a meaning there.

    Raises:
        DhcError: if the backend, an option, the precision or the number of threads is wrong.
    """
    backend = find_backend(target.backend)
    for name, value in target.options.items():
        kind = backend.options.get(name)
        if kind is None:
            raise _unknown_option(target.backend, name, list(backend.options))
        accepted = (int, float) if kind is float else kind
        if not isinstance(value, accepted) or (kind is not bool and isinstance(value, bool)):
            text = f"The option '{name}' of '{target.backend}' is a {kind.__name__}, not {value!r}."
            raise _fail("target-option", text)
    if target.precision not in backend.precisions:
        text = f"The backend '{target.backend}' has no precision '{target.precision}'."
        raise _fail("target-precision", text, f"it has {', '.join(backend.precisions)}")
    if not 0 <= target.threads <= MAX_THREADS:
        text = f"A target cannot have {target.threads} threads."
        raise _fail("target-threads", text, f"use 0 for one on each core, or 1 to {MAX_THREADS}")
    return backend(target)


def check_backend(graph: Graph, target: Target) -> None:
    """Checks that a target exists and can build all of a graph.

    Raises:
        DhcError: for everything that it cannot do.
    """
    make_backend(target).check(graph)


def _unknown_option(backend: str, name: str, known: list[str]) -> DhcError:
    guess = did_you_mean(name, known)
    hint = f"did you mean '{guess}'?" if guess else f"it has {', '.join(known) or 'none'}"
    return _fail("target-option", f"The backend '{backend}' has no option '{name}'.", hint)


def _fail(code: str, message: str, *hints: str) -> DhcError:
    return DhcError(Diagnostic(code, message, hints=hints))
