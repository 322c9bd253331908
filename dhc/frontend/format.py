"""The canonical form of a .dhm file.

One statement stands on a line, indented by its depth; spaces follow fixed rules. The author keeps
three things: comments, single blank lines, and where an expression is broken over lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dhc.frontend import ast
from dhc.frontend.parse import parse
from dhc.frontend.tokens import CLOSING, OPENING, Token, tokenize
from dhc.source import SourceFile

INDENT = 4
WIDTH = 100  # a body on one line longer than this is spread over several

_KEYWORDS_BEFORE_VALUES = frozenset(
    ("output", "yield", "if", "in", "repeat", "and", "or", "not", "then", "else", "with")
)
_TIGHT_AFTER = frozenset(("(", "[", ".", "^"))
_TIGHT_BEFORE = frozenset((")", "]", ",", ".", ":", "^"))
_ENDS_VALUE = frozenset((")", "]", "?"))


def format_text(text: str, path: str = "<text>") -> str:
    """Returns the canonical form; formatting it again changes nothing.

    Raises:
        DhcError: the text has syntax errors.
    """
    module = parse(SourceFile(path, text))
    tokens = tokenize(text)
    starts = frozenset(node.span.start for node in _line_starters(module)) | _head(module, tokens)
    inline = _bodies_on_one_line(module)
    while True:
        layout = _Layout(text, tokens, starts, frozenset(inline))
        layout.run()
        if not layout.too_wide:
            return layout.render()
        inline -= layout.too_wide


def _head(module: ast.Module, tokens: list[Token]) -> set[int]:
    code = (token.start for token in tokens if token.kind != "comment")
    return {next(code)} if module.version is not None else set()


def _walk(node: ast.Node) -> Iterator[ast.Node]:
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(ast.children(top))


def _line_starters(module: ast.Module) -> Iterator[ast.Node]:
    yield from module.items
    for node in _walk(module):
        if isinstance(node, ast.Body):
            yield from node.statements
        elif isinstance(node, ast.Settings):
            yield from node.entries


# ---- bodies that stay on one line ------------------------------------------------------------


def _bodies_on_one_line(module: ast.Module) -> set[int]:
    """Offsets of the '{' of bodies that the author wrote on one line and that may stay so."""
    found: set[int] = set()
    followers: set[int] = set()
    for node in _walk(module):
        if isinstance(node, ast.If):
            bodies = list(_branches(node))
            followers.update(body.span.start for body in bodies)
            if all(map(_fits_one_line, bodies)):
                found.update(body.span.start for body in bodies)
    bodies_alone = (
        node
        for node in _walk(module)
        if isinstance(node, ast.Body | ast.Settings) and node.span.start not in followers
    )
    return found | {body.span.start for body in bodies_alone if _fits_one_line(body)}


def _branches(node: ast.If) -> Iterator[ast.Body]:
    branch: ast.Body | ast.If | None = node
    while isinstance(branch, ast.If):
        yield branch.then
        branch = branch.otherwise
    if branch is not None:
        yield branch


def _fits_one_line(body: ast.Body | ast.Settings) -> bool:
    inside = body.span.text[1:-1]
    if not inside.strip():
        return True
    entries = body.entries if isinstance(body, ast.Settings) else body.statements
    return len(entries) == 1 and "\n" not in inside and "{" not in inside


# ---- layout ----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Line:
    indent: int
    code: str = ""
    comment: str = ""
    blank_before: bool = False
    bodies: list[int] = field(default_factory=list)

    @property
    def width(self) -> int:
        return self.indent + len(self.code)


@dataclass(frozen=True, slots=True)
class _Bracket:
    token: Token
    indent: int  # of the line it stands on
    inline: bool
    attached: bool  # to a name, as in a call


class _Layout:
    """Distributes tokens over lines."""

    def __init__(
        self, text: str, tokens: list[Token], starts: frozenset[int], inline: frozenset[int]
    ) -> None:
        self._text = text
        self._tokens = tokens
        self._starts = starts
        self._inline = inline
        self._lines: list[_Line] = []
        self._line: _Line | None = None
        self._stack: list[_Bracket] = []
        self._previous: Token | None = None
        self._unary = False

    @property
    def too_wide(self) -> set[int]:
        return {b for line in self._lines if line.width > WIDTH for b in line.bodies}

    def run(self) -> None:
        for i, token in enumerate(self._tokens):
            following = next((t for t in self._tokens[i + 1 :] if t.kind != "comment"), None)
            if token.kind == "comment":
                self._comment(token, following)
            elif not self._drops(token, following, i):
                self._token(token)
        self._flush()

    def render(self) -> str:
        _align_comments(self._lines)
        pieces = []
        for i, line in enumerate(self._lines):
            blank = "\n" if line.blank_before and i > 0 else ""
            pieces.append(f"{blank}{' ' * line.indent}{line.code}{line.comment}".rstrip(" ") + "\n")
        return "".join(pieces)

    # ---- tokens

    def _token(self, token: Token) -> None:
        self._place(token)
        opener = self._stack[-1] if self._stack else None
        if token.text in CLOSING and token.kind == "symbol" and opener:
            self._stack.pop()
        assert self._line is not None
        if token.text in OPENING and token.kind == "symbol":
            inline = token.start in self._inline
            if inline and token.text == "{":
                self._line.bodies.append(token.start)
            attached = self._attaches(token)
            self._stack.append(_Bracket(token, self._line.indent, inline, attached))
        self._unary = token.text == "-" and not _ends_value(self._previous)
        self._previous = token

    def _place(self, token: Token) -> None:
        """Writes the token at the end of the line, or on a new one."""
        if self._starts_line(token) or self._line is None:
            blank = self._blank_before(token)
            self._flush()
            self._line = _Line(self._indent_for(token), token.text, blank_before=blank)
        else:
            self._line.code += (" " if self._spaced(token) else "") + token.text

    def _starts_line(self, token: Token) -> bool:
        body = self._innermost_body()
        inline = body is not None and body.inline
        if token.start in self._starts:
            return not inline
        if token.text == "}":
            return not inline
        if token.text in ("{", "else", ",", ".") or self._attaches(token):
            return False
        return self._newlines_before(token) > 0 and not inline

    def _newlines_before(self, token: Token) -> int:
        start = self._previous.end if self._previous else 0
        return self._text.count("\n", start, token.start)

    def _innermost_body(self) -> _Bracket | None:
        return next((b for b in reversed(self._stack) if b.token.text == "{"), None)

    def _block_indent(self) -> int:
        return INDENT * sum(b.token.text == "{" and not b.inline for b in self._stack)

    def _indent_for(self, token: Token) -> int:
        if token.start in self._starts:
            return self._block_indent()
        if token.text == "}":
            return self._block_indent() - INDENT
        if token.text in ("else", "{"):
            return self._block_indent()
        return self._continuation_indent(token)

    def _continuation_indent(self, token: Token) -> int:
        if not self._stack or self._stack[-1].token.text == "{":
            return self._block_indent() + INDENT
        closes = token.text in CLOSING
        return self._stack[-1].indent + (0 if closes else INDENT)

    def _blank_before(self, token: Token) -> bool:
        between = token.start in self._starts
        previous = self._previous
        if not between or previous is None or previous.text == "{":
            return False
        if self._newlines_before(token) > 1:
            return True
        return previous.text == "}" and not self._stack and self._ended_body()

    def _ended_body(self) -> bool:
        """Whether the line just finished closes a body of several lines."""
        last = self._line or (self._lines[-1] if self._lines else None)
        return last is not None and last.code == "}"

    def _drops(self, token: Token, following: Token | None, i: int) -> bool:
        """Whether a comma is the trailing one of a call or list that closes on its line."""
        if token.text != "," or following is None or following.text not in (")", "]"):
            return False
        opener = self._stack[-1] if self._stack else None
        same_line = self._tokens[i + 1] is following and (
            "\n" not in self._text[token.end : following.start]
        )
        listed = opener is not None and (opener.attached or opener.token.text == "[")
        return same_line and listed

    # ---- spaces

    def _spaced(self, token: Token) -> bool:
        previous = self._previous
        assert previous is not None
        if previous.text == "{" and token.text == "}":
            return False
        if previous.kind == "symbol" and (previous.text in _TIGHT_AFTER or self._unary):
            return False
        if token.kind == "symbol" and token.text in _TIGHT_BEFORE:
            return False
        if "=" in (token.text, previous.text):
            return not self._stack or self._stack[-1].token.text == "{"
        return not self._attaches(token)

    def _attaches(self, token: Token) -> bool:
        """Whether a bracket opens a call, an index or a type's sizes."""
        previous = self._previous
        if token.text not in ("(", "[") or previous is None or not _ends_value(previous):
            return False
        return previous.kind != "name" or previous.text not in _KEYWORDS_BEFORE_VALUES

    # ---- comments

    def _comment(self, token: Token, following: Token | None) -> None:
        text = _comment_text(token)
        if self._previous is not None and self._newlines_before(token) == 0:
            self._flush()
            self._lines[-1].comment = f"  {text}"
        else:
            line = _Line(self._comment_indent(following), text)
            line.blank_before = self._blank_before_comment(token)
            self._flush()
            self._lines.append(line)
        self._previous_for_spacing(token)

    def _previous_for_spacing(self, token: Token) -> None:
        """Remembers where the comment ended, without forgetting what the last token was."""
        last = self._previous
        text = last.text if last else ""
        kind = last.kind if last else "symbol"
        self._previous = Token(kind, text, token.end - len(text))

    def _comment_indent(self, following: Token | None) -> int:
        between = following is None or following.start in self._starts or following.text == "}"
        if between:
            return self._block_indent()
        bracket = self._stack[-1] if self._stack else None
        if bracket is None or bracket.token.text == "{":
            return self._block_indent() + INDENT
        return bracket.indent + INDENT

    def _blank_before_comment(self, token: Token) -> bool:
        inside_expression = bool(self._stack) and self._stack[-1].token.text != "{"
        if inside_expression or self._previous is None or self._previous.text == "{":
            return False
        if self._newlines_before(token) > 1:
            return True
        return not self._stack and self._previous.text == "}" and self._ended_body()

    def _flush(self) -> None:
        if self._line is not None:
            self._lines.append(self._line)
            self._line = None


def _ends_value(token: Token | None) -> bool:
    if token is None:
        return False
    if token.kind == "name":
        return token.text not in _KEYWORDS_BEFORE_VALUES
    return token.kind in ("number", "string") or token.text in _ENDS_VALUE


def _comment_text(token: Token) -> str:
    text = token.text.rstrip()
    plain = text.lstrip("#")
    marks = text[: len(text) - len(plain)]
    return f"{marks} {plain}" if plain and not plain[0].isspace() and plain[0] != "!" else text


def _align_comments(lines: list[_Line]) -> None:
    """Puts the comments behind code on adjacent lines into one column."""
    run: list[_Line] = []
    for line in [*lines, _Line(0)]:
        adjacent = not run or (line.indent == run[0].indent and not line.blank_before)
        if line.comment and line.code and adjacent:
            run.append(line)
            continue
        column = max((each.width for each in run), default=0)
        for each in run:
            each.comment = " " * (column - each.width) + each.comment
        run = [line] if line.comment and line.code else []
