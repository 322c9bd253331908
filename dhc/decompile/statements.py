"""Statements: chains of calls that begin with values and give a value its name, and loops."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dhc.frontend.apply import INFIX_OPERATORS
from dhc.ir.graph import Constant, Literal_, Node, Param

KEPT = "constant"  # what the paths of tensors without a name begin with
INFIX: Mapping[str, str] = {name: symbol for symbol, name in INFIX_OPERATORS.items()}


@dataclass(frozen=True)
class Value:
    """A value by its number."""

    number: int


@dataclass(frozen=True)
class Spelled:
    """What stands in the text as it is, such as the parameter of a block."""

    text: str


Term: TypeAlias = "Value | float | int | Spelled | Call"


@dataclass(frozen=True)
class Call:
    """One stage of a chain.

    Attributes:
        callee: A layer, an operator or a block.
        others: What it reads besides what flows in.
        attributes: Its arguments by name.
        pin: The path of its weights, if it is pinned.
        paths: The paths of its weights in the graph.
        is_block: Whether it is a block of the program.
    """

    callee: str
    others: tuple[Term, ...] = ()
    attributes: tuple[tuple[str, object], ...] = ()
    pin: str = ""
    paths: tuple[str, ...] = ()
    is_block: bool = False


@dataclass(frozen=True)
class Loop(Call):
    """A loop over time; `others` are all values of the surroundings that it reads.

    Attributes:
        elements: The number of each element within a step, and the sequence that it is of.
        carried: The number of each carried value within a step, its start, and the next one.
        body: What a step does.
        yields: What else a step makes.
    """

    elements: tuple[tuple[int, Term], ...] = ()
    carried: tuple[tuple[int, Term, Term], ...] = ()
    body: tuple[Statement, ...] = ()
    yields: tuple[Term, ...] = ()


@dataclass(frozen=True)
class Statement:
    """Values that flow through calls.

    Attributes:
        targets: The values that it defines.
        sources: What flows into the first call.
        calls: The chain.
        hints: Where its calls came from, as paths in the original model.
    """

    targets: tuple[int, ...]
    sources: tuple[Term, ...]
    calls: tuple[Call, ...]
    hints: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[int, ...]:
        """The numbers of the values it reads, in order."""
        found: list[int] = []
        others = (o for call in self.calls for o in (*call.others, *dict(call.attributes).values()))
        for term in (*self.sources, *others):
            if isinstance(term, Value):
                found.append(term.number)
        return tuple(found)


def leaf_call(node: Node) -> Call:
    """A number, a parameter that no layer makes, or a tensor that is kept as one."""
    if isinstance(node.op, Literal_):
        return Call("number", (), (("value", _spoken_number(node.op)), *_dtype(node)))
    path = _path(node)
    return Call("parameter", (), (("shape", node.type.shape), *_dtype(node)), path, (path,))


def _dtype(node: Node) -> tuple[tuple[str, object], ...]:
    """The element type where it is not the usual one."""
    name = node.type.dtype.value
    return () if name == "f32" else (("dtype", Spelled(name)),)


def _spoken_number(op: Literal_) -> object:
    """A number; negative zero is a word."""
    if op.dtype.is_float and op.value == 0 and math.copysign(1, op.value) < 0:
        return Spelled("minus_zero")
    return op.value if op.dtype.is_float else Spelled(str(int(op.value)))


def _path(node: Node) -> str:
    match node.op:
        case Param(path):
            return path
        case Constant(digest):
            return f"{KEPT}.{digest[:8]}"
    raise AssertionError(node)


def stages(statements: Sequence[Statement]) -> int:
    """Returns how many calls statements have."""
    return sum(len(each.calls) for each in statements)


def called_in(statements: Sequence[Statement]) -> Iterator[str]:
    """Yields the names of all layers, operators and blocks that are called."""
    for each in statements:
        for term in (*each.sources, *each.calls):
            yield from _called(term)


def _called(term: Term) -> Iterator[str]:
    if not isinstance(term, Call):
        return
    yield term.callee
    for other in term.others:
        yield from _called(other)
    if isinstance(term, Loop):
        yield from called_in(term.body)
        for inner in (*term.yields, *(t for _, *both in term.carried for t in both)):
            yield from _called(inner)
        for _, sequence in term.elements:
            yield from _called(sequence)
