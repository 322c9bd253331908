"""The kernel language: loops and stores over buffers, with parallelism as annotation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dhc.ir.scalar import Buffer, Scalar, Var

LoopKind = Literal["serial", "parallel", "vector", "unroll", "block", "thread", "pipeline"]


@dataclass(frozen=True, slots=True)
class For:
    """Runs `body` for `var` = 0 .. extent - 1.

    `parallel`: turns may run in any order, on any worker. `vector`: turns are independent and
    neighbouring in memory. `block`, `thread`: spread over a device's grid. `unroll`, `pipeline`: as
    for FPGA tools.
    """

    var: Var
    extent: Scalar
    body: tuple[Statement, ...]
    kind: LoopKind = "serial"


@dataclass(frozen=True, slots=True)
class Let:
    """Names a value; the name never changes."""

    var: Var
    value: Scalar


@dataclass(frozen=True, slots=True)
class Declare:
    """A variable that `Assign` may change: an accumulator."""

    var: Var
    value: Scalar


@dataclass(frozen=True, slots=True)
class Assign:
    var: Var
    value: Scalar


@dataclass(frozen=True, slots=True)
class Store:
    buffer: Buffer
    index: tuple[Scalar, ...]
    value: Scalar


@dataclass(frozen=True, slots=True)
class If:
    condition: Scalar
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class Alloc:
    """Scratch memory for the body that follows; its space says where it lies."""

    buffer: Buffer


@dataclass(frozen=True, slots=True)
class Barrier:
    """All threads of a block wait for each other. Never inside divergent control flow."""


Statement = For | Let | Declare | Assign | Store | If | Alloc | Barrier


@dataclass(frozen=True, slots=True)
class Kernel:
    """One launch.

    Attributes:
        name: An identifier, unique in its plan.
        buffers: Parameters in calling order: what is written first, then what is read.
        sizes: Run-time sizes (i64), passed after the buffers.
        body: The statements.
        outputs: How many of the first buffers are written.
    """

    name: str
    buffers: tuple[Buffer, ...]
    body: tuple[Statement, ...]
    sizes: tuple[Var, ...] = ()
    outputs: int = 1


def statements(body: tuple[Statement, ...]) -> Iterator[Statement]:
    """Yields all statements of a body, nested ones too, in order."""
    for statement in body:
        yield statement
        match statement:
            case For(body=inner):
                yield from statements(inner)
            case If(then=then, otherwise=otherwise):
                yield from statements(then)
                yield from statements(otherwise)
