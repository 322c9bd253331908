"""The usual slips behind syntax errors, each recognised by the tokens around the error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dhc.errors import Diagnostic, Related
from dhc.frontend.tokens import CLOSING, OPENING, Token, open_brackets
from dhc.source import SourceFile, Span

ITEM_WORDS = (
    "import", "let", "fn", "share", "block", "model", "pipeline", "app", "train", "target", "study",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A syntax error: the tokens around it and what the grammar would have taken."""

    file: SourceFile
    before: list[Token]
    found: Token | None
    after: Token | None
    accepts: frozenset[str]

    @property
    def previous(self) -> Token | None:
        return self.before[-1] if self.before else None

    @property
    def span(self) -> Span:
        if self.found is None:
            end = self.before[-1].end if self.before else 0
            return Span(self.file, end, end)
        return Span(self.file, self.found.start, self.found.end)

    def found_text(self) -> str:
        return self.found.text if self.found else ""


def _item_word(place: Place) -> Token | None:
    """The word at a line's start, here or just before, that looks like the next item."""
    for token in (place.found, place.previous):
        if token is None or token.text not in ITEM_WORDS:
            continue
        if place.file.position(token.start)[1] == 1:
            return token
    return None


def _slip(place: Place, message: str, label: str, *hints: str) -> Diagnostic:
    return Diagnostic("syntax", message, place.span, label, hints=hints)


def _unclosed(place: Place) -> Diagnostic | None:
    stack = open_brackets(place.before)
    item = _item_word(place)
    if not stack or (place.found is not None and item is None):
        return None
    bracket = stack[-1]
    closing = OPENING[bracket.text]
    where = f"before '{item.text}'" if item else "before the end of the file"
    return Diagnostic(
        "unclosed",
        f"This '{bracket.text}' is never closed.",
        Span(place.file, bracket.start, bracket.end),
        f"expected '{closing}' {where}",
    )


def _stray_closer(place: Place) -> Diagnostic | None:
    text = place.found_text()
    if text not in CLOSING:
        return None
    stack = open_brackets(place.before)
    if not stack:
        return _slip(place, f"This '{text}' closes nothing.", "no bracket is open here")
    if stack[-1].text == CLOSING[text]:
        return None
    span = Span(place.file, stack[-1].start, stack[-1].end)
    message = f"This '{text}' does not match the open '{stack[-1].text}'."
    related = (Related(span, f"'{stack[-1].text}' opened here"),)
    return Diagnostic("syntax", message, place.span, "wrong closing bracket", related)


def _quotes(place: Place) -> Diagnostic | None:
    text = place.found_text()
    if text == '"':
        message = "This string does not end on its line."
        return _slip(place, message, "opened here", 'close it with "')
    if text == "'":
        return _slip(place, "Strings take double quotes.", "here", 'write "..."')
    return None


_FOREIGN = {
    ";": ("Statements are not ended by ';'.", "leave it out"),
    "!": ("There is no operator '!'.", "write not"),
    "&": ("There is no operator '&'.", "write and"),
    "|": ("There is no operator '|'.", "write or, or -> for the next layer"),
    "%": ("There is no operator '%'.", "write a - a // b * b; 7% is a number with a unit"),
    "@": ("There is no operator '@'.", "call matmul(a, b)"),
    "\\": ("A line needs no '\\' to go on.", "leave it out; newlines mean nothing"),
}


def _foreign_character(place: Place) -> Diagnostic | None:
    text = place.found_text()
    if text in _FOREIGN:
        message, hint = _FOREIGN[text]
        return _slip(place, message, "here", hint)
    if place.found and place.found.kind == "unknown":
        return _slip(place, f"The character '{text}' has no meaning here.", "here")
    return None


def _foreign_operator(place: Place) -> Diagnostic | None:
    pair = (place.previous.text if place.previous else "", place.found_text())
    message = {
        ("*", "*"): ("Powers are written with '^'.", "write a ^ b"),
        ("=", "="): ("'==' is a comparison and cannot stand here.", "use one '='"),
        ("/", "/"): ("A comment begins with '#'.", "write # instead of //"),
    }.get(pair)
    if (place.found_text(), place.after and place.after.text) == ("=", ">"):
        message = ("The arrow is '->'.", "write ->")
    if message is None and pair[1] == "==" and "EQUAL" in place.accepts:
        message = ("'==' compares; a value is given with '='.", "use one '='")
    if message is None and pair[1] == "//" and ("FN" in place.accepts or "REPEAT" in place.accepts):
        message = ("A comment begins with '#'.", "write # instead of //")
    return _slip(place, message[0], "here", message[1]) if message else None


def _colon(place: Place) -> Diagnostic | None:
    if place.found_text() != ":":
        return None
    if "EQUAL" in place.accepts:
        return _slip(place, "A value is given with '=', not ':'.", "here", "write name = value")
    if "LBRACE" in place.accepts:
        return _slip(place, "A body stands in braces, not after ':'.", "here", "write { ... }")
    return None


def _foreign_word(place: Place) -> Diagnostic | None:
    words = {
        "elif": ("There is no 'elif'.", "write else if"),
        "def": ("There is no 'def'.", "write block for layers, fn for numbers"),
        "class": ("There is no 'class'.", "write model or block"),
        "return": ("There is no 'return'.", "write output"),
        "from": ("There is no 'from ... import'.", 'write import "file.dhm"'),
        "while": ("There is no 'while'.", "write repeat N { ... } or for x in list { ... }"),
    }
    for token in (place.found, place.previous):
        if token is not None and token.text in words:
            message, hint = words[token.text]
            span = Span(place.file, token.start, token.end)
            return Diagnostic("syntax", message, span, "here", hints=(hint,))
    return None


def _postfix_if(place: Place) -> Diagnostic | None:
    """`a if c else b`, as Python writes it."""
    hint = "a choice of value is written: if condition then a else b"
    if place.found_text() == "if" and "FN" in place.accepts and place.before:
        return _slip(place, "An 'if' cannot follow a value.", "here", hint)
    if place.found_text() == "else":
        return _slip(place, "This 'else' belongs to no 'if'.", "here", hint)
    return None


def _comparison_chain(place: Place) -> Diagnostic | None:
    comparisons = ("<", ">", "<=", ">=", "==", "!=")
    if place.found_text() not in comparisons or "COMPARE" in place.accepts:
        return None
    if not any(token.text in comparisons for token in place.before[-8:]):
        return None
    hint = "write a < b and b < c"
    return _slip(place, "Comparisons cannot be chained.", "a second comparison", hint)


def _missing_parameters(place: Place) -> Diagnostic | None:
    words = [token.text for token in place.before[-2:]]
    if place.found_text() != "{" or not words or words[0] not in ("model", "block", "pipeline"):
        return None
    hint = f"write {words[0]} {words[-1]}() {{ ... }}"
    return _slip(place, f"A {words[0]} has parameters, if only ().", "'(' is missing here", hint)


def _missing_comma(place: Place) -> Diagnostic | None:
    starts_value = place.found is not None and place.found.kind in ("name", "number", "string")
    stack = open_brackets(place.before)
    if not starts_value or "COMMA" not in place.accepts or not stack:
        return None
    if stack[-1].text == "{" or place.previous is None:
        return None
    end = place.previous.end
    return Diagnostic(
        "syntax",
        f"Something is missing between '{place.previous.text}' and '{place.found_text()}'.",
        Span(place.file, end, end),
        "here",
        hints=("did you forget ','?",),
    )


def _arrow_in_front(place: Place) -> Diagnostic | None:
    if place.found_text() != "->" or not place.previous:
        return None
    if "REPEAT" in place.accepts or "FN" in place.accepts:
        return _slip(place, "Nothing flows into this '->'.", "here", "write x -> layer()")
    return None


def _several_outputs(place: Place) -> Diagnostic | None:
    if (
        place.found_text() != ","
        or "COMMA" in place.accepts
        or open_brackets(place.before)[-1:] == []
    ):
        return None
    words = [token.text for token in place.before[-12:]]
    if "output" not in words or open_brackets(place.before)[-1].text != "{":
        return None
    hint = "write one output statement for each: output a = ...  output b = ..."
    return _slip(place, "An output statement gives one result.", "here", hint)


def _top_level_statement(place: Place) -> Diagnostic | None:
    if "FN" not in place.accepts or "REPEAT" in place.accepts or place.found is None:
        return None
    word, following = place.found.text, place.after.text if place.after else ""
    if word not in ("for", "if", "repeat", "input", "output", "oneof") and (
        place.found.kind != "name" or following not in ("=", "(", ",")
    ):
        return None
    hint = f"write let {word} = ..." if following == "=" else "put it in a model or block"
    return _slip(place, "A statement stands outside of any model or block.", "here", hint)


# Most specific first.
SLIPS: tuple[Callable[[Place], Diagnostic | None], ...] = (
    _unclosed,
    _stray_closer,
    _quotes,
    _foreign_character,
    _foreign_operator,
    _foreign_word,
    _postfix_if,
    _comparison_chain,
    _missing_parameters,
    _colon,
    _several_outputs,
    _missing_comma,
    _arrow_in_front,
    _top_level_statement,
)
