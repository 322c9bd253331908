"""Source text with positions: every token, node and error points into a `SourceFile`."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

from dhc.errors import DhcError, Diagnostic

MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A text and the name shown for it in messages."""

    path: str
    text: str
    _line_starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the line starts once, so that positions cost a bisection."""
        starts = [0]
        starts.extend(i + 1 for i, character in enumerate(self.text) if character == "\n")
        object.__setattr__(self, "_line_starts", tuple(starts))

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, both counted from 1, of a character offset."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Text of a line, counted from 1, without its line end."""
        start = self._line_starts[number - 1]
        last = number == len(self._line_starts)
        end = len(self.text) if last else self._line_starts[number] - 1
        return self.text[start:end].rstrip("\r")

    @property
    def line_count(self) -> int:
        return len(self._line_starts)


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` (exclusive) of a file."""

    file: SourceFile
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.file.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of the other."""
        return Span(self.file, self.start, other.end)

    def __str__(self) -> str:
        """`path:line:column`, as editors and terminals understand it."""
        line, column = self.file.position(self.start)
        return f"{self.file.path}:{line}:{column}"


def read_source(path: str | Path) -> SourceFile:
    """Read a .dhm file.

    Raises:
        DhcError: the file is missing, larger than 1 MiB, or not UTF-8 text.
    """
    shown = str(path)
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"Cannot read '{shown}': {(error.strerror or 'unknown reason').lower()}."
        raise DhcError(Diagnostic("file-unreadable", message)) from None
    return decode_source(shown, data)


def decode_source(path: str, data: bytes) -> SourceFile:
    """Turn the bytes of a file into text, or say why they are not text."""
    if len(data) > MAX_BYTES:
        message = f"'{path}' is larger than {MAX_BYTES // 1024} KiB, too large for a .dhm file."
        raise DhcError(Diagnostic("file-too-large", message))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DhcError(_not_utf8(path, data, error)) from None
    file = SourceFile(path, text)
    check_characters(file)
    return file


def check_characters(file: SourceFile) -> None:
    """Refuse control characters: they hide in editors and terminals act on them."""
    for offset, character in enumerate(file.text):
        if (character < " " and character not in "\t\n\r") or character == "\x7f":
            message = f"The file holds a control character (code {ord(character)}); is it text?"
            span = Span(file, offset, offset + 1)
            raise DhcError(Diagnostic("not-text", message, span, "this character"))


def _not_utf8(path: str, data: bytes, error: UnicodeDecodeError) -> Diagnostic:
    file = SourceFile(path, data.decode("utf-8", errors="replace"))
    offset = len(data[: error.start].decode("utf-8"))
    return Diagnostic(
        "not-utf8",
        f"The byte 0x{data[error.start]:02x} is not UTF-8 text.",
        Span(file, offset, offset + 1),
        "this byte",
        hints=("save the file as UTF-8",),
    )
