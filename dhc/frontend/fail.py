"""Short ways to raise diagnostics."""

from __future__ import annotations

from collections.abc import Iterable

from dhc.errors import DhcError, Diagnostic, Related, did_you_mean
from dhc.source import Span

ALREADY_REPORTED: tuple[Diagnostic, ...] = ()


def error(
    code: str,
    message: str,
    span: Span,
    label: str = "here",
    *hints: str,
    related: tuple[Related, ...] = (),
) -> DhcError:
    """Returns an exception with one diagnostic; empty hints are left out."""
    kept = tuple(hint for hint in hints if hint)
    return DhcError(Diagnostic(code, message, span, label, related, hints=kept))


def reported() -> DhcError:
    """Returns an exception for what follows from an error that the user reads already."""
    return DhcError(ALREADY_REPORTED)


def guess(name: str, candidates: Iterable[str]) -> str:
    """A "did you mean" hint, or nothing."""
    found = did_you_mean(name, candidates)
    return f"did you mean '{found}'?" if found else ""


def listing(names: Iterable[str], limit: int = 12) -> str:
    """Names for a hint: all of them where they are few."""
    known = sorted(set(names))
    shown = ", ".join(known[:limit])
    return f"{shown}, ..." if len(known) > limit else shown


def unknown_name(what: str, name: str, span: Span, candidates: Iterable[str]) -> DhcError:
    return error(
        "unknown-name", f"There is no {what} '{name}'.", span, "here", guess(name, candidates)
    )
