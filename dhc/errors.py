"""Errors as records, and the one place that draws them."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dhc.source import SourceFile, Span

MAX_WIDTH = 160  # of a source line on show; longer ones are cut around the first mark


@dataclass(frozen=True, slots=True)
class Related:
    """Another place in the source that explains the error."""

    span: Span
    label: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake: what is wrong, where, and what to do about it.

    Attributes:
        code: short kebab-case name of the kind of mistake, stable for scripts.
        message: one or more plain sentences, each ending in a full stop.
        span: the smallest piece of source that is wrong.
        label: shown under the caret.
        related: other places that explain it.
        notes: facts worth knowing.
        hints: what to do instead.
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    related: tuple[Related, ...] = ()
    notes: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


class DhcError(Exception):
    """The user's input is wrong; carries one diagnostic or many."""

    diagnostics: tuple[Diagnostic, ...]

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic]) -> None:
        """Keep the records; they are drawn only when printed."""
        if isinstance(diagnostics, Diagnostic):
            diagnostics = (diagnostics,)
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        """The rendered diagnostics."""
        return render(self.diagnostics)

    def at(self, span: Span | None) -> DhcError:
        """Returns the same mistakes, with a place for those that have none."""
        return DhcError(
            item if item.span else replace(item, span=span, label="here")
            for item in self.diagnostics
        )


class ArgumentError(ValueError):
    """The arrays of a call do not fit the program."""


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate closest to a misspelt name, or None where none is close."""
    known = sorted({candidate for candidate in candidates if candidate != name})
    folded = {candidate.lower(): candidate for candidate in reversed(known)}
    cutoff = 0.7 if len(name) > 3 else 0.6
    close = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=cutoff)
    return folded[close[0]] if close else None


def to_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, object]]:
    """The diagnostics as plain lists and dictionaries, ready for `json.dumps`."""
    return [
        {
            "code": item.code,
            "message": item.message,
            **_span_json(item.span),
            "label": item.label,
            "related": [{**_span_json(r.span), "label": r.label} for r in item.related],
            "notes": list(item.notes),
            "hints": list(item.hints),
        }
        for item in diagnostics
    ]


def _span_json(span: Span | None) -> dict[str, object]:
    if span is None:
        return {"path": None, "line": None, "column": None, "end_line": None, "end_column": None}
    line, column = span.file.position(span.start)
    end_line, end_column = span.file.position(span.end)
    return {
        "path": span.file.path,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


def render(diagnostics: Iterable[Diagnostic], color: bool = False) -> str:
    """Draw diagnostics for a terminal: position, message, source lines with marks, hints."""
    paint = _Paint(color)
    return "\n\n".join(_render_one(item, paint) for item in diagnostics)


@dataclass(frozen=True, slots=True)
class _Paint:
    enabled: bool

    def __call__(self, style: str, text: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self.enabled and text else text


_RED, _BLUE, _BOLD, _CYAN = "1;31", "1;34", "1", "1;36"


@dataclass(frozen=True, slots=True)
class _Mark:
    """An underlined part of one line: columns counted from 0, end exclusive."""

    line: int
    start: int
    end: int
    label: str
    primary: bool


def _render_one(item: Diagnostic, paint: _Paint) -> str:
    where = f"{_visible(str(item.span))}: " if item.span else ""
    title = paint(_RED, f"error[{item.code}]")
    lines = [f"{paint(_BOLD, where)}{title}: {paint(_BOLD, _visible(item.message))}"]
    if item.span:
        lines += _render_sources(item, item.span, paint)
    lines += [f"{paint(_CYAN, 'note')}: {_visible(note)}" for note in item.notes]
    lines += [f"{paint(_CYAN, 'hint')}: {_visible(hint)}" for hint in item.hints]
    return "\n".join(lines)


def _render_sources(item: Diagnostic, span: Span, paint: _Paint) -> list[str]:
    marks: dict[SourceFile, list[_Mark]] = {span.file: [_mark(span, item.label, primary=True)]}
    for related in item.related:
        mark = _mark(related.span, related.label, primary=False)
        marks.setdefault(related.span.file, []).append(mark)
    lines = []
    for file, group in marks.items():
        if file is not span.file:
            lines.append(f"      --> {_visible(file.path)}")
        lines += _render_file(file, group, paint)
    return lines


def _mark(span: Span, label: str, *, primary: bool) -> _Mark:
    line, column = span.file.position(span.start)
    end_line, end_column = span.file.position(span.end)
    length = len(span.file.line(line))
    end = end_column - 1 if end_line == line else length
    return _Mark(line, column - 1, max(end, column), label, primary)


def _render_file(file: SourceFile, marks: list[_Mark], paint: _Paint) -> list[str]:
    numbers = sorted({mark.line for mark in marks})
    lines = []
    for previous, number in zip([None, *numbers], numbers, strict=False):
        if previous is not None and number > previous + 1:
            lines.append("      ...")
        lines += _render_line(file, number, [m for m in marks if m.line == number], paint)
    return lines


def _render_line(file: SourceFile, number: int, marks: Sequence[_Mark], paint: _Paint) -> list[str]:
    text, marks = _cut(file.line(number), marks)
    gutter = paint(_BLUE, "      | ")
    lines = [paint(_BLUE, f"{number:5} | ") + _visible(text).rstrip()]
    # The label furthest right shares the line of marks; the others hang below their own.
    ordered = sorted(marks, key=lambda mark: (mark.start, mark.end))
    lines.append(gutter + _underline(text, ordered, paint))
    for mark in reversed(ordered[:-1]):
        if mark.label:
            style = _RED if mark.primary else _BLUE
            indent = " " * _cells(text[: mark.start])
            lines.append(gutter + indent + paint(style, _visible(mark.label)))
    return lines


def _underline(text: str, marks: Sequence[_Mark], paint: _Paint) -> str:
    padded = text + " "
    cells = [" "] * (_cells(padded) + 1)
    for mark in sorted(marks, key=lambda mark: mark.primary):
        start = _cells(padded[: mark.start])
        stop = max(start + 1, _cells(padded[: mark.end]))
        cells[start:stop] = ("^" if mark.primary else "-") * (stop - start)
    drawn = "".join(cells).rstrip()
    colored = "".join(paint(_RED if c == "^" else _BLUE, c) if c != " " else c for c in drawn)
    last = marks[-1]
    label = paint(_RED if last.primary else _BLUE, _visible(last.label))
    return f"{colored} {label}".rstrip()


def _cut(text: str, marks: Sequence[_Mark]) -> tuple[str, Sequence[_Mark]]:
    """Show only the neighbourhood of the first mark where a line is very long."""
    if len(text) <= MAX_WIDTH:
        return text, marks
    first = min(mark.start for mark in marks)
    begin = max(0, min(first - MAX_WIDTH // 4, len(text) - MAX_WIDTH))
    window = text[begin : begin + MAX_WIDTH]
    limit = len(window)
    moved = [
        _Mark(m.line, min(m.start - begin, limit), min(m.end - begin, limit), m.label, m.primary)
        for m in marks
    ]
    return window, moved


def _visible(text: str) -> str:
    """Text that is safe to print: tabs are widened, other control characters shown as '?'."""
    return "".join(_visible_character(character) for character in text)


def _visible_character(character: str) -> str:
    if character == "\t":
        return "    "
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn"):
        return "?"
    return character


def _cells(text: str) -> int:
    """Terminal columns that a text takes."""
    return sum(_character_cells(character) for character in text)


def _character_cells(character: str) -> int:
    if character == "\t":
        return 4
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
