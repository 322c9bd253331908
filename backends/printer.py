"""What printers of the kernel language share: lines with indentation, and expressions as text.

A printer for a language says how one statement and one operation look; this class visits them. C
for all devices is printed with it, and any language with infix operators can be.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from dhc.backends.fold import fold
from dhc.ir.kernel import Alloc, Assign, Barrier, Declare, For, If, Let, Statement, Store
from dhc.ir.scalar import Scalar, walk


@dataclass(frozen=True, slots=True)
class Text:
    """A printed expression.

    Attributes:
        text: The expression.
        level: How tightly its outermost operator binds; the tightest is the highest.
    """

    text: str
    level: int

    def __str__(self) -> str:
        return self.text

    def at(self, level: int) -> str:
        """Returns the text in parentheses if it binds less tightly than `level`."""
        return self.text if self.level >= level else f"({self.text})"


PRIMARY = 16
"""The level of what needs no parentheses anywhere: names, calls, elements."""


def call(function: str, *arguments: Text) -> Text:
    """Prints a call."""
    return Text(f"{function}({', '.join(map(str, arguments))})", PRIMARY)


class Printer(ABC):
    """Collects the lines of one kernel. Expressions are printed without recursion.

    Attributes:
        indent: What a level of nesting adds before a line.
        folds_inside: Whether long lines may be folded only inside brackets.
    """

    indent: ClassVar[str] = "  "
    folds_inside: ClassVar[bool] = False

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._depth = 0

    def line(self, text: str) -> None:
        self.lines.extend(fold(text, self.margin, self.folds_inside))

    @property
    def margin(self) -> str:
        """What stands before a line."""
        return self.indent * self._depth

    @contextmanager
    def indented(self) -> Iterator[None]:
        self._depth += 1
        yield
        self._depth -= 1

    def body(self, statements: tuple[Statement, ...]) -> None:
        for statement in statements:
            self.statement(statement)

    def statement(self, statement: Statement) -> None:
        match statement:
            case For():
                self.loop(statement)
            case If():
                self.branch(statement)
            case Let():
                self.let(statement)
            case Declare():
                self.declare(statement)
            case Assign():
                self.assign(statement)
            case Store():
                self.store(statement)
            case Alloc():
                self.alloc(statement)
            case Barrier():
                self.barrier()

    def expression(self, value: Scalar) -> Text:
        """Returns the text of an expression."""
        done: dict[Scalar, Text] = {}
        for part in walk(value):
            done[part] = self.operation(part, done)
        return done[value]

    @abstractmethod
    def operation(self, part: Scalar, operands: Mapping[Scalar, Text]) -> Text:
        """Returns the text of one operation; that of its operands is in `operands`."""

    @abstractmethod
    def loop(self, loop: For) -> None: ...

    @abstractmethod
    def branch(self, branch: If) -> None: ...

    @abstractmethod
    def let(self, let: Let) -> None: ...

    @abstractmethod
    def declare(self, declare: Declare) -> None: ...

    @abstractmethod
    def assign(self, assign: Assign) -> None: ...

    @abstractmethod
    def store(self, store: Store) -> None: ...

    @abstractmethod
    def alloc(self, alloc: Alloc) -> None: ...

    @abstractmethod
    def barrier(self) -> None: ...
