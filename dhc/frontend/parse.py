"""Text to syntax tree."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import resources

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from dhc.errors import DhcError, Diagnostic
from dhc.frontend import ast
from dhc.frontend.syntax import explain
from dhc.frontend.tokens import CLOSING, OPENING, tokenize
from dhc.frontend.tree import TreeBuilder
from dhc.source import SourceFile, Span, check_characters

MAX_DEPTH = 100  # of nested brackets, statements and expressions
MAX_ERRORS = 10  # shown for one file

_ITEM_START = re.compile(
    r"^(?:import|let|fn|share|block|model|pipeline|app|train|target|study)\b(?!\s*[=(.,])",
    re.MULTILINE,
)


@lru_cache(maxsize=1)
def grammar() -> Lark:
    """The parser, made once in a process; it is never stored on disk."""
    text = resources.files("dhc.grammar").joinpath("dhm.lark").read_text("utf-8")
    return Lark(text, parser="lalr", propagate_positions=True, maybe_placeholders=True)


def parse(file: SourceFile) -> ast.Module:
    """Parses a file.

    Raises:
        DhcError: with every syntax error found, at most one for each item of the file.
    """
    check_characters(file)
    _check_brackets(file)
    diagnostics: list[Diagnostic] = []
    start = 0
    while len(diagnostics) < MAX_ERRORS:
        try:
            tree = grammar().parse(_blank_before(file.text, start))
        except (UnexpectedToken, UnexpectedCharacters) as error:
            diagnostics.append(explain(file, error))
            next_start = _next_item(file.text, start, error, diagnostics[-1].code)
            if next_start is None:
                break
            start = next_start
            continue
        builder = TreeBuilder(file)
        module = builder.build(tree)
        diagnostics += builder.diagnostics
        if not diagnostics:
            _check_depth(module)
            return module
        break
    raise DhcError(diagnostics)


def _blank_before(text: str, start: int) -> str:
    """The text with everything before `start` made blank, so that offsets stay."""
    return re.sub(r"[^\n]", " ", text[:start]) + text[start:] if start else text


def _next_item(
    text: str, start: int, error: UnexpectedToken | UnexpectedCharacters, code: str
) -> int | None:
    """Where parsing can go on after an error: the next line that begins an item."""
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return None
    position = error.pos_in_stream or 0
    if code == "unclosed":  # the error was noticed at the beginning of an item, which may be fine
        position = text.rfind("\n", 0, position) + 1
    match = _ITEM_START.search(text, max(start + 1, position))
    return match.start() if match else None


def _check_brackets(file: SourceFile) -> None:
    depth = 0
    for token in tokenize(file.text):
        if token.text in OPENING:
            depth += 1
        elif token.text in CLOSING:
            depth = max(0, depth - 1)
        if depth > MAX_DEPTH:
            raise DhcError(_too_deep(Span(file, token.start, token.end)))


def _check_depth(module: ast.Module) -> None:
    stack: list[tuple[ast.Node, int]] = [(module, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise DhcError(_too_deep(node.span))
        stack.extend((child, depth + 1) for child in ast.children(node))


def _too_deep(span: Span) -> Diagnostic:
    message = f"This is nested too deeply; the limit is {MAX_DEPTH} levels."
    hint = "give parts of it names with 'let', or move them into a block"
    return Diagnostic("nested-too-deeply", message, span, "here", hints=(hint,))
