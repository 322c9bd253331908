"""Who else wants to see compilations: dumps, checks, and the record for reports of bugs.

A hook that is given to `compile_graph` sees one compilation; those here see all that happen while
they are registered, wherever in the process they are started.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dhc.passes.manager import Hook

_hooks: list[tuple[Hook, bool]] = []


@contextmanager
def watching(hook: Hook, fresh: bool = True) -> Iterator[None]:
    """Registers a hook while the block runs.

    Args:
        hook: What to call.
        fresh: Whether programs are compiled anew, so that the hook sees every stage of them.
    """
    _hooks.append((hook, fresh))
    try:
        yield
    finally:
        _hooks.remove((hook, fresh))


def watchers() -> tuple[Hook, ...]:
    """Returns the hooks that are registered."""
    return tuple(hook for hook, _ in _hooks)


def wants_fresh() -> bool:
    """Returns whether a hook needs to see every stage, so that the cache cannot be used."""
    return any(fresh for _, fresh in _hooks)
