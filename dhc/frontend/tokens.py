"""Tokens of a file as people see them, comments included.

The grammar has its own lexer; this list serves what that one drops: explaining a syntax error by
the tokens before it, and formatting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["name", "number", "string", "comment", "symbol", "unknown"]

_TOKEN = re.compile(
    r"(?P<comment>\#[^\n]*)"
    r'|(?P<string>"(?:\\.|[^"\\\n])*")'
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?:[A-Za-z_][A-Za-z0-9_]*|%)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<symbol>->|\.\.|//|<=|>=|==|!=|[-+*/^<>=.,:?(){}\[\]])"
    r"|(?P<unknown>[^ \t\r\n])"
)
OPENING = {"(": ")", "[": "]", "{": "}"}
CLOSING = {closing: opening for opening, closing in OPENING.items()}


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def tokenize(text: str) -> list[Token]:
    """Splits a text into tokens; what is no token is kept as `unknown`."""
    found = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        assert kind is not None
        found.append(Token(kind, match.group(), match.start()))  # type: ignore[arg-type]
    return found


def open_brackets(tokens: list[Token]) -> list[Token]:
    """The brackets that are open after the last token, outermost first."""
    stack: list[Token] = []
    for token in tokens:
        if token.kind != "symbol":
            continue
        if token.text in OPENING:
            stack.append(token)
        elif token.text in CLOSING and stack and stack[-1].text == CLOSING[token.text]:
            stack.pop()
    return stack
