"""Text in models: it is given when a model is read, and what is made of it is computed then."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from dhc.ir.types import DType
from dhc.ops.foreign import Array, Call, ForeignError, Known, Results, Strings

MOST_CHARACTERS = 1 << 24  # of one tensor


def on_strings(call: Call) -> Results:
    """Computes what a node makes of text.

    Raises:
        ForeignError: if dhc has no such operator on text.
    """
    if call.op_type == "RegexFullMatch":
        raise ForeignError("regular expressions of files may take for ever, and are not run")
    reader = _READERS.get(call.op_type)
    if reader is None:
        raise ForeignError("text is normalised, joined, split and compared, and nothing else")
    return reader(call)


def strings_of(array: Array) -> Strings:
    """Returns an array of text, whose elements may be bytes.

    Raises:
        ForeignError: if it is too long, or no text.
    """
    elements = [
        each.decode("utf-8", "replace") if isinstance(each, bytes) else each
        for each in array.reshape(-1).tolist()
    ]
    if not all(isinstance(each, str) for each in elements):
        raise ForeignError("it is no text")
    if sum(map(len, elements)) > MOST_CHARACTERS:
        raise ForeignError(f"it has more than {MOST_CHARACTERS} characters")
    found = np.empty(len(elements), object)
    found[:] = elements
    return Strings(found.reshape(array.shape))


def _same(call: Call) -> Results:
    return call.held(0)


def _equal(call: Call) -> Results:
    return Known(np.asarray(call.strings(0) == call.strings(1), np.bool_), DType.BOOL)


def _concat(call: Call) -> Results:
    first, second = call.strings(0), call.strings(1)
    longest = sum(max(map(len, each.reshape(-1)), default=0) for each in (first, second))
    if longest * np.broadcast(first, second).size > MOST_CHARACTERS:
        raise ForeignError(f"it makes more than {MOST_CHARACTERS} characters")
    return strings_of(np.asarray(first + second, object))


def _split(call: Call) -> Results:
    """The parts of each text, filled up with empty ones, and how many there are."""
    x, most = call.strings(0), call.get("maxsplit", -1)
    delimiter = call.get("delimiter", "") or None
    parts = [each.split(delimiter, most) for each in x.reshape(-1)]
    longest = max(map(len, parts), default=0)
    if longest * len(parts) > MOST_CHARACTERS:
        raise ForeignError(f"it makes more than {MOST_CHARACTERS} texts")
    found = np.full((len(parts), longest), "", object)
    for row, each in zip(found, parts, strict=True):
        row[: len(each)] = each
    counts = np.array([len(each) for each in parts], np.int64).reshape(x.shape)
    return strings_of(found.reshape(*x.shape, longest)), Known(counts, DType.I64)


def _normalize(call: Call) -> Results:
    """Leaves out stop words and changes the case; of nothing, one empty text is left."""
    x = call.strings(0)
    if x.ndim not in (1, 2) or (x.ndim == 2 and len(x) != 1):
        raise ForeignError(f"its input is text of the shape {list(x.shape)}")
    call.get("locale", "")  # Python's changes of case are those of Unicode everywhere
    fold: Callable[[str], str] = str if call.get("is_case_sensitive", 0) else str.lower
    words: tuple[str, ...] = call.get("stopwords", ())
    stop = {fold(word) for word in words}
    action = call.word("case_change_action", "NONE", _CASES)
    kept = [_CASES[action](each) for each in x.reshape(-1) if fold(each) not in stop]
    found = np.array(kept or [""], object)
    return strings_of(found.reshape(1, -1) if x.ndim == 2 else found)


_CASES: Mapping[str, Callable[[str], str]] = {"NONE": str, "LOWER": str.lower, "UPPER": str.upper}
_READERS: Mapping[str, Callable[[Call], Results]] = {
    "Equal": _equal,
    "Identity": _same,
    "StringConcat": _concat,
    "StringNormalizer": _normalize,
    "StringSplit": _split,
}
