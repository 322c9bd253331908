"""A graph as statements: chains of calls that begin with values and give a value its name.

A value that one call alone reads, as what flows into it, needs no name: the call continues its
chain. Everything else is a statement of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from dhc.decompile.modules import Items
from dhc.errors import DhcError, Diagnostic
from dhc.frontend.apply import INFIX_OPERATORS
from dhc.ir.graph import Constant, Graph, Input, Literal_, Node, Param, topological
from dhc.ops.base import Operator
from dhc.ops.phrase import Phrase

INFIX: Mapping[str, str] = {name: symbol for symbol, name in INFIX_OPERATORS.items()}
UNSPEAKABLE = ("scan", "map", "region")  # operators with bodies


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
        for term in (*self.sources, *(o for call in self.calls for o in call.others)):
            if isinstance(term, Value):
                found.append(term.number)
        return tuple(found)


class Arrangement:
    """The statements of a graph, and the numbers of its values."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.numbers: dict[Node, int] = {}
        self.statements: list[Statement] = []
        self._phrases = {node: _phrase(node) for node in _spoken(graph)}
        self._uses = self._count()
        self._items = Items(graph.origin(node).path for node in self._phrases)
        self._open: dict[Node, Statement] = {}
        for node in graph.inputs:
            self._number(node)
        for node, phrase in self._phrases.items():
            self._place(node, phrase)
        for node in dict.fromkeys(node for _, node in graph.outputs):
            if not self._is_value(node):  # an output that nothing computes
                made = Statement((self._number(node),), (), (leaf_call(node),), ("",))
                self.statements.append(made)

    def _count(self) -> dict[Node, list[Node]]:
        """Which nodes read a node, once for each time; outputs are read by nobody and twice."""
        uses: dict[Node, list[Node]] = {}
        for node, phrase in self._phrases.items():
            for source in phrase.inputs:
                uses.setdefault(source, []).append(node)
        for _, node in self.graph.outputs:
            uses.setdefault(node, []).extend([node, node])
        return uses

    def _number(self, node: Node) -> int:
        return self.numbers.setdefault(node, len(self.numbers))

    def _place(self, node: Node, phrase: Phrase) -> None:
        """Continues the chain of what flows in, or begins another."""
        first = phrase.inputs[0] if phrase.inputs else None
        begun = self._open.pop(first, None) if first is not None else None
        rest = phrase.inputs if begun is None else phrase.inputs[1:]
        terms = tuple(self._term(each, node, phrase) for each in rest)
        call = Call(
            phrase.callee,
            () if begun is None else terms,
            tuple((name, value) for name, value in phrase.attributes.items() if name != "name"),
            pin=str(phrase.attributes.get("name", "")),
            paths=tuple(_path(each) for each in phrase.weights.values()),
        )
        hint = self.graph.origin(node).path
        if begun is None:
            statement = Statement((), terms, (call,), (hint,))
        else:
            statement = replace(begun, calls=(*begun.calls, call), hints=(*begun.hints, hint))
        if self._flows_on(node):
            self._open[node] = statement
        else:
            self.statements.append(replace(statement, targets=(self._number(node),)))

    def _flows_on(self, node: Node) -> bool:
        """Whether the only use of a value is to flow into a call."""
        uses = self._uses.get(node, [])
        if len(uses) != 1:
            return False
        phrase = self._phrases[uses[0]]
        if self._owner(node) != self._owner(uses[0]):
            return False
        values = [each for each in phrase.inputs if self._is_value(each)]
        return phrase.inputs[0] is node and (len(values) == 1 or phrase.callee in INFIX)

    def _owner(self, node: Node) -> str:
        return self._items.of(self.graph.origin(node).path)

    def _is_value(self, node: Node) -> bool:
        return not isinstance(node.op, (Param, Constant, Literal_))

    def _term(self, node: Node, user: Node, phrase: Phrase) -> Term:
        if isinstance(node.op, (Param, Constant, Literal_)):
            number = _number_beside(node, user, phrase)
            return leaf_call(node) if number is None else number
        return Value(self._number(node))


def leaf_call(node: Node) -> Call:
    """A parameter that no layer makes, or a tensor that is kept as one."""
    type = node.type
    said: list[tuple[str, object]] = [("shape", type.shape)]
    if type.dtype.value != "f32":
        said.append(("dtype", Spelled(type.dtype.value)))
    path = _path(node)
    return Call("parameter", (), tuple(said), pin=path, paths=(path,))


def _path(node: Node) -> str:
    match node.op:
        case Param(path):
            return path
        case Constant(digest):
            return f"constant.{digest[:8]}"
        case Literal_(value, dtype):
            plain = "".join(c if c.isalnum() else "_" for c in str(value)).strip("_")
            return f"constant.{dtype.value}_{plain}"
    raise AssertionError(node)


def _number_beside(node: Node, user: Node, phrase: Phrase) -> float | int | None:
    """A number that an infix operator takes as it stands, beside a tensor of its type."""
    op = node.op
    if not isinstance(op, Literal_) or phrase.callee not in INFIX or isinstance(op.value, bool):
        return None
    tensors = [each for each in phrase.inputs if not isinstance(each.op, Literal_)]
    fits = bool(tensors) and tensors[0].type.dtype is op.dtype
    signed_zero = op.value == 0 and math.copysign(1, op.value) < 0
    return op.value if fits and math.isfinite(op.value) and not signed_zero else None


def _spoken(graph: Graph) -> list[Node]:
    """The nodes that are written as calls, in order; weights that layers make are not."""
    leaves = (Input, Param, Constant, Literal_)
    return [node for node in topological(graph.roots) if not isinstance(node.op, leaves)]


def _phrase(node: Node) -> Phrase:
    """How the language says a node.

    Raises:
        DhcError: if it has no words for it.
    """
    assert isinstance(node.op, Operator)
    if node.op.name in UNSPEAKABLE:
        text = f"'{node.op.name}' cannot be written in a .dhm file yet."
        raise DhcError(Diagnostic("not-yet", text, hints=("dhc.onnx.load reads the model itself",)))
    return node.op.phrase(*node.inputs)


def stages(statements: Sequence[Statement]) -> int:
    """Returns how many calls statements have."""
    return sum(len(each.calls) for each in statements)
