"""Explains syntax errors: what stands there, what was expected, and the usual slip behind it."""

from __future__ import annotations

from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from dhc.errors import Diagnostic, Related, did_you_mean
from dhc.frontend.slips import ITEM_WORDS, SLIPS, Place
from dhc.frontend.tokens import open_brackets, tokenize
from dhc.source import SourceFile, Span

STATEMENT_WORDS = ("input", "output", "if", "for", "repeat", "oneof", "let", "share")
MAX_EXPECTED = 4

# Terminals of the grammar in the words of the user, in the order of a sentence.
_PHRASES = {
    "RBRACE": "'}'",
    "RPAR": "')'",
    "RSQB": "']'",
    "LBRACE": "'{'",
    "LPAR": "'('",
    "EQUAL": "'='",
    "COLON": "':'",
    "COMMA": "','",
    "IN": "'in'",
    "THEN": "'then'",
    "ELSE": "'else'",
    "__ANON_0": "'->'",
}


def explain(file: SourceFile, error: UnexpectedToken | UnexpectedCharacters) -> Diagnostic:
    """Turns the parser's complaint into a diagnostic in plain words."""
    place = _locate(file, error)
    for slip in SLIPS:
        diagnostic = slip(place)
        if diagnostic is not None:
            return diagnostic
    return _unexpected(place)


def _locate(file: SourceFile, error: UnexpectedToken | UnexpectedCharacters) -> Place:
    if isinstance(error, UnexpectedToken):
        accepts = frozenset(error.accepts or error.expected)
        at_end = error.token.type == "$END"
    else:
        accepts = frozenset(error.allowed or ())
        at_end = False
    offset = len(file.text) if at_end else error.pos_in_stream or 0
    tokens = [token for token in tokenize(file.text) if token.kind != "comment"]
    before = [token for token in tokens if token.end <= offset]
    rest = [token for token in tokens if token.end > offset]
    found = rest[0] if rest else None
    return Place(file, before, found, rest[1] if len(rest) > 1 else None, accepts)


# ---- the general message ---------------------------------------------------------------------


def _unexpected(place: Place) -> Diagnostic:
    expected = _expected(place)
    what = f"Unexpected '{place.found_text()}'" if place.found else "The file ends too early"
    message = f"{what}; expected {expected}." if expected else f"{what}."
    return Diagnostic(
        "syntax",
        message,
        place.span,
        "here",
        _open_bracket(place),
        hints=_word_hint(place),
    )


def _expected(place: Place) -> str:
    phrases: list[str] = []
    accepts = place.accepts
    if "NUMBER" in accepts and "NAME" in accepts:
        if place.previous is not None and place.previous.text == "->":
            return "a layer such as conv(32)"
        phrases.append("a value")
    elif "REPEAT" in accepts:
        phrases.append("a statement")
    elif "FN" in accepts:
        phrases.append("'model', 'train' or another item")
    elif "STRING" in accepts:
        phrases.append("a string in double quotes")
    elif "NUMBER" in accepts:
        phrases.append("a number")
    elif "NAME" in accepts:
        phrases.append("a name")
    if "a value" not in phrases:
        phrases += [text for terminal, text in _PHRASES.items() if terminal in accepts]
    else:
        closers = ("RPAR", "RSQB", "RBRACE")
        phrases += [_PHRASES[terminal] for terminal in closers if terminal in accepts]
    return _either(phrases[:MAX_EXPECTED])


def _either(phrases: list[str]) -> str:
    if len(phrases) < 2:
        return "".join(phrases)
    return f"{', '.join(phrases[:-1])} or {phrases[-1]}"


def _open_bracket(place: Place) -> tuple[Related, ...]:
    stack = open_brackets(place.before)
    if not stack or place.found is not None:
        return ()
    bracket = stack[-1]
    span = Span(place.file, bracket.start, bracket.end)
    return (Related(span, f"this '{bracket.text}' is still open"),)


def _word_hint(place: Place) -> tuple[str, ...]:
    """A guess at a misspelt word where an item or a statement had to begin."""
    slip = _word_slip(place)
    return (f"did you mean '{slip}'?",) if slip else ()


def _word_slip(place: Place) -> str | None:
    if "FN" in place.accepts and "REPEAT" not in place.accepts:
        return did_you_mean(place.found_text(), ITEM_WORDS)
    if place.found and place.found.kind == "name" and place.previous:
        # `ouput x`: the misspelt word was taken for a name, and the name after it is the surprise.
        return did_you_mean(place.previous.text, STATEMENT_WORDS)
    return None
