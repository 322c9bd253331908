"""Tokens of printed IR, and the cursor that all its parsers share."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeVar, get_args

from dhc.errors import DhcError, Diagnostic, did_you_mean
from dhc.ir.scalar import ReduceKind
from dhc.ir.types import DType
from dhc.source import SourceFile, Span

MAX_CHARACTERS = 1 << 27
MAX_NESTING = 64

TokenKind = Literal["number", "name", "node", "shared", "string", "mark", "end"]
T = TypeVar("T")

RESERVED = frozenset(
    ("true", "false", "inf", "nan", "none", "if", "else", "in", "with", "fn", "for", "let",
     "alloc", "barrier", "within", "kernel", "graph")
)  # fmt: skip
DTYPES = {dtype.value: dtype for dtype in DType}

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|\#[^\n]*)
      | (?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)
      | (?P<name>[A-Za-z_]\w*(?:\.\w+)*|`[^`\n]*`)
      | (?P<node>%[A-Za-z0-9_][\w.]*)
      | (?P<shared>\$\d+)
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<mark>:=|=>|<<|>>|<=|>=|==|!=|//|[-+*/%&|^~<>()\[\]{},:=])
    """,
    re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Token:
    kind: TokenKind
    text: str
    start: int


def quote_name(name: str) -> str:
    """Returns a name as it stands in printed IR: in back quotes unless it is a plain word.

    A word of reductions would be one where a body follows: `if x < max {`.
    """
    plain = re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", name, re.ASCII)
    if plain and name not in RESERVED and name not in get_args(ReduceKind):
        return name
    escaped = json.dumps(name)[1:-1].replace("`", "\\u0060")
    return f"`{escaped}`"


class Cursor:
    """Walks over the tokens of one text; every complaint points into it."""

    def __init__(self, text: str, path: str) -> None:
        if len(text) > MAX_CHARACTERS:
            message = f"'{path}' is longer than {MAX_CHARACTERS} characters."
            raise DhcError(Diagnostic("ir-too-large", message))
        self.file = SourceFile(path, text)
        self._tokens = list(self._tokenize(text))
        self.position = 0
        self._depth = 0

    def _tokenize(self, text: str) -> Iterator[Token]:
        position = 0
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                span = Span(self.file, position, position + 1)
                raise DhcError(Diagnostic("ir-syntax", "No token starts here.", span))
            kind = found.lastgroup
            if kind is not None and kind != "space":
                yield Token(kind, found[0], position)  # type: ignore[arg-type]
            position = found.end()
        yield Token("end", "", len(text))

    @property
    def token(self) -> Token:
        return self._tokens[self.position]

    def ahead(self, count: int = 1) -> Token:
        """Returns the token `count` places further, or the last one."""
        return self._tokens[min(self.position + count, len(self._tokens) - 1)]

    def advance(self) -> Token:
        token = self.token
        self.position = min(self.position + 1, len(self._tokens) - 1)
        return token

    def accept(self, text: str) -> bool:
        """Steps over a mark or word if it comes next."""
        if self.token.text == text and self.token.kind in ("mark", "name"):
            self.position += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.accept(text):
            self.fail(f"Expected '{text}' {self._found()}.")

    def _found(self) -> str:
        return "but the text ends here" if self.token.kind == "end" else f"not '{self.token.text}'"

    def fail(self, message: str, token: Token | None = None, hint: str | None = None) -> NoReturn:
        """Raises DhcError at a token, the present one if none is given."""
        at = token or self.token
        span = Span(self.file, at.start, at.start + max(len(at.text), 1))
        hints = (hint,) if hint else ()
        raise DhcError(Diagnostic("ir-syntax", message, span, hints=hints))

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Guards one level of nesting, so that no text can exhaust the stack."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            self.fail(f"The text nests deeper than {MAX_NESTING} levels.")
        yield
        self._depth -= 1

    # ---- small phrases -----------------------------------------------------------------------

    def name(self) -> str:
        token = self.token
        if token.kind != "name" or token.text in RESERVED:
            self.fail(f"Expected a name {self._found()}.")
        self.advance()
        return self._unquoted(token) if token.text.startswith("`") else token.text

    def label(self) -> str:
        """Reads a name that a colon follows, which may be a word of the language."""
        if self.token.kind == "name" and self.token.text in RESERVED:
            return self.advance().text
        return self.name()

    def _unquoted(self, token: Token) -> str:
        return self._json(token, f'"{token.text[1:-1]}"')

    def string(self) -> str:
        if self.token.kind != "string":
            self.fail(f"Expected a string {self._found()}.")
        token = self.advance()
        return self._json(token, token.text)

    def _json(self, token: Token, text: str) -> str:
        try:
            value = json.loads(text)
        except ValueError:
            self.fail("This is not a valid string.", token)
        return str(value)

    def integer(self) -> int:
        """Reads a whole number with an optional minus sign."""
        negative = self.accept("-")
        token = self.advance()
        if token.kind != "number" or not token.text.isdigit():
            self.fail("Expected a whole number.", token)
        if len(token.text) > 40:
            self.fail("The number is too long.", token)
        return -int(token.text) if negative else int(token.text)

    def choice(self, choices: dict[str, T], what: str) -> T:
        """Reads one of several words."""
        token = self.token
        if token.text not in choices:
            near = did_you_mean(token.text, choices)
            self.fail(f"There is no {what} '{token.text}'.", hint=near and f"perhaps '{near}'")
        self.advance()
        return choices[token.text]

    def dtype(self) -> DType:
        return self.choice(DTYPES, "element type")

    def listed(self, item: Callable[[], T], opening: str, closing: str) -> tuple[T, ...]:
        """Reads items between brackets, separated by commas; a comma may follow the last."""
        self.expect(opening)
        items: list[T] = []
        while not self.accept(closing):
            if items:
                self.expect(",")
                if self.accept(closing):
                    break
            items.append(item())
        return tuple(items)
