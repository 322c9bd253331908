"""Which block of a file is meant."""

from __future__ import annotations

from collections.abc import Sequence

from dhc.errors import DhcError, Diagnostic, did_you_mean


def choose_block(kind: str, name: str, known: Sequence[str]) -> str:
    """Returns a name, or the only one there is if none is given.

    Args:
        kind: What it is the name of, such as `train`.
        name: As given, or nothing.
        known: The names in the file.

    Raises:
        DhcError: if there is no such block, or none was named and there are several.
    """
    if name in known:
        return name
    if not name and len(known) == 1:
        return known[0]
    if not known:
        hint = f"write one: {kind} NAME {{ ... }}"
        raise DhcError(Diagnostic("no-entry", f"The file has no {kind} block.", hints=(hint,)))
    listed = f"it has {', '.join(known)}"
    if not name:
        raise DhcError(Diagnostic("no-entry", f"Say which {kind} is meant.", hints=(listed,)))
    guess = did_you_mean(name, known)
    hint = f"did you mean '{guess}'?" if guess else listed
    raise DhcError(Diagnostic("unknown-name", f"There is no {kind} '{name}'.", hints=(hint,)))
