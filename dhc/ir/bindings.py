"""Numbers for named sizes, as they come from outside."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dhc.errors import DhcError, Diagnostic


def check_bindings(bindings: Mapping[str, int], names: Collection[str]) -> None:
    """Refuses names that are no sizes, and numbers that are no sizes.

    Raises:
        DhcError: for the first of them.
    """
    for name, size in bindings.items():
        if name not in names:
            known = ", ".join(sorted(names)) or "none"
            text, hint = f"There is no size '{name}'.", f"its sizes: {known}"
            raise DhcError(Diagnostic("unknown-name", text, hints=(hint,)))
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            text = f"The size '{name}' is a positive whole number, not {size!r}."
            raise DhcError(Diagnostic("size", text))
