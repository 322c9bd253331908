"""A graph as statements.

A value that one call alone reads, as what flows into it, needs no name: the call continues its
chain. Everything else is a statement of its own. Bodies of loops are arranged like graphs, among
the values around them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dhc.decompile.modules import Items
from dhc.decompile.recurrent import Layered, layer_of
from dhc.decompile.statements import INFIX, Call, Loop, Statement, Term, Value, leaf_call
from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Constant, Graph, Input, Literal_, Node, Param, topological
from dhc.ir.size import Expr, counts
from dhc.ops.base import Operator
from dhc.ops.closure import placeholder
from dhc.ops.phrase import Phrase, plain_phrase
from dhc.ops.scan import Scan, inline
from dhc.ops.shape import Concat, Permute

_LEAVES = (Param, Constant, Literal_)
_UNSPEAKABLE = ("map", "region")  # operators with bodies that only passes make


@dataclass(frozen=True)
class _Maker:
    """What makes values: a call, or a loop.

    Attributes:
        results: The values, of which some may not be wanted.
        reads: The values that it reads.
    """

    results: tuple[Node, ...]
    reads: tuple[Node, ...]
    phrase: Phrase | None = None
    loop: Step | None = None
    layer: Layered | None = None


class Step:
    """One step of a loop, opened: its nodes stand among the values around it."""

    def __init__(self, node: Node) -> None:
        scan = node.op
        assert isinstance(scan, Scan)
        bound = scan.sequences + scan.carried
        self.scan = scan
        self.sequences = node.inputs[: scan.sequences]
        self.starts = node.inputs[scan.sequences : bound]
        inner = [each.type for each in scan.body.inputs[:bound]]
        self.elements = [placeholder("step", type) for type in inner[: scan.sequences]]
        self.carries = [placeholder("state", type) for type in inner[scan.sequences :]]
        given = (*self.elements, *self.carries, *node.inputs[bound:])
        self.roots = inline(scan.body, given)
        self.inside = _depending((*self.elements, *self.carries), self.roots)
        self.order = _Order(self.roots, self.inside)
        shared = frozenset(leaf for leaf, count in self.order.leaves().items() if count > 1)
        self.shared = [leaf for leaf in node.inputs[bound:] if leaf in shared]
        self.order.name(shared)

    def results(self, node: Node) -> tuple[Node, ...]:
        """What steps yield, then the last of what is carried, as nodes around the loop."""
        scan, count = self.scan, len(self.scan.body.outputs)
        every = [replace(scan, output=k, last=False) for k in range(scan.carried, count)]
        last = [replace(scan, output=k, last=True) for k in range(scan.carried)]
        return tuple(op(*node.inputs) for op in (*every, *last))


def _depending(bound: Sequence[Node], roots: Sequence[Node]) -> frozenset[Node]:
    """The bound values, and all that follows from them."""
    inside = set(bound)
    for node in topological(roots):
        if any(source in inside for source in node.inputs):
            inside.add(node)
    return frozenset(inside)


class _Order:
    """What makes the values of one body, in an order in which they can be made.

    Args:
        roots: What is wanted in the end.
        inside: The nodes of the body; None means all.
    """

    def __init__(self, roots: Sequence[Node], inside: frozenset[Node] | None = None) -> None:
        self._inside = inside
        self._roots = roots
        self.makers: dict[Node, _Maker] = {}
        self.wanted: set[Node] = set()
        self.list = list(self._walk(roots))

    def _walk(self, roots: Sequence[Node]) -> Iterator[_Maker]:
        done: set[int] = set()
        stack = [(root, False) for root in reversed(roots)]
        while stack:
            node, ready = stack.pop()
            if not self._is_made(node):
                continue
            self.wanted.add(node)
            maker = self._maker(node)
            if id(maker) in done:
                continue
            if ready:
                done.add(id(maker))
                yield maker
            else:
                stack.append((node, True))
                stack.extend((each, False) for each in reversed(maker.reads))

    def _is_made(self, node: Node) -> bool:
        if isinstance(node.op, (*_LEAVES, Input)):
            return False
        return self._inside is None or node in self._inside

    def _maker(self, node: Node) -> _Maker:
        if node not in self.makers:
            made = self._layer(node)
            if made is None:
                made = self._loop(node) if isinstance(node.op, Scan) else self._call(node)
            self.makers.update(dict.fromkeys(made.results, made))
        return self.makers[node]

    def _layer(self, node: Node) -> _Maker | None:
        """A recurrent layer of the language, if the node is a result of one."""
        if self._inside is not None or not isinstance(node.op, Scan | Concat | Permute):
            return None
        layer = layer_of(node)
        if layer is None:
            return None
        tensors = [each for each in layer.phrase.attributes.values() if isinstance(each, Node)]
        return _Maker(layer.results, (*layer.phrase.inputs, *tensors), layer.phrase, layer=layer)

    def _call(self, node: Node) -> _Maker:
        phrase = _phrase(node)
        return _Maker((node,), phrase.inputs, phrase)

    def _loop(self, node: Node) -> _Maker:
        step = Step(node)
        results = step.results(node)
        if node not in results or not step.sequences:
            raise _speechless("a loop that goes over nothing")
        return _Maker(results, node.inputs, loop=step)

    def name(self, shared: frozenset[Node]) -> None:
        """Makes weights that have names operands: a loop reads them more than once."""
        for place, maker in enumerate(self.list):
            if maker.loop is not None:
                maker.loop.order.name(shared)
            elif maker.phrase and not shared.isdisjoint(maker.phrase.weights.values()):
                (node,) = maker.results
                made = replace(maker, phrase=plain_phrase(node.op, node.inputs), reads=node.inputs)
                self.list[place] = self.makers[node] = made

    def leaves(self) -> Counter[Node]:
        """How often each tensor of weights is read."""
        found = Counter(each for each in self._roots if isinstance(each.op, _LEAVES))
        for maker in self.list:
            if maker.phrase is not None:
                found.update(maker.phrase.inputs)
                found.update(maker.phrase.weights.values())
            elif maker.loop is not None:
                found.update((*maker.loop.sequences, *maker.loop.starts, *maker.loop.shared))
                found.update(maker.loop.order.leaves())
        return Counter({n: k for n, k in found.items() if isinstance(n.op, Param | Constant)})


# ---- statements ------------------------------------------------------------------------------


class Arrangement:
    """The statements of a graph, and the numbers of its values."""

    def __init__(self, graph: Graph) -> None:
        self.numbers: dict[Node, int] = {}
        for node in graph.inputs:
            self.number(node)
        outputs = [node for _, node in graph.outputs]
        body = _Body(_Order(list(graph.roots)), outputs, graph, self.numbers)
        self.statements = body.statements
        for node in dict.fromkeys(outputs):
            if isinstance(node.op, _LEAVES) and node not in self.numbers:
                made = Statement((self.number(node),), (), (leaf_call(node),), ("",))
                self.statements.append(made)  # an output that nothing computes

    def number(self, node: Node) -> int:
        return self.numbers.setdefault(node, len(self.numbers))


class _Body:
    """Arranges the statements of a graph or of a step."""

    def __init__(
        self, order: _Order, roots: Sequence[Node], graph: Graph, numbers: dict[Node, int]
    ) -> None:
        self.statements: list[Statement] = []
        self._order = order
        self._graph = graph
        self._numbers = numbers
        self._uses = self._count(roots)
        calls = [maker.results[0] for maker in order.list]
        self._items = Items(graph.origin(node).path for node in calls)
        self._open: dict[Node, Statement] = {}
        for maker in order.list:
            if maker.layer is not None:
                self._place(*maker.layer.giving(order.wanted))
            elif maker.phrase is not None:
                self._place(maker.phrase, maker.results)
            elif maker.loop is not None:
                self._place_loop(maker, maker.loop)

    def _count(self, roots: Sequence[Node]) -> dict[Node, list[_Maker]]:
        """What reads a node, once for each time; roots and what loops read cannot flow on."""
        uses: dict[Node, list[_Maker]] = {}
        for maker in self._order.list:
            times = 1 if maker.loop is None else 2
            for source in maker.reads:
                uses.setdefault(source, []).extend([maker] * times)
        for node in roots:
            if node in self._order.makers:
                uses.setdefault(node, []).extend([self._order.makers[node]] * 2)
        return uses

    def _number(self, node: Node) -> int:
        return self._numbers.setdefault(node, len(self._numbers))

    def _place(self, phrase: Phrase, results: tuple[Node, ...]) -> None:
        """Continues the chain of what flows in, or begins another."""
        node = results[0]
        first = phrase.inputs[0] if phrase.inputs else None
        begun = self._open.pop(first, None) if first is not None else None
        rest = phrase.inputs if begun is None else phrase.inputs[1:]
        terms = tuple(self._term(each, node, phrase) for each in rest)
        call = Call(
            phrase.callee,
            () if begun is None else terms,
            tuple((k, self._said(value)) for k, value in phrase.attributes.items() if k != "name"),
            pin=str(phrase.attributes.get("name", "")),
            paths=tuple(path for each in phrase.weights.values() for path in leaf_call(each).paths),
        )
        hint = self._graph.origin(node).path
        if begun is None:
            statement = Statement((), terms, (call,), (hint,))
        else:
            statement = replace(begun, calls=(*begun.calls, call), hints=(*begun.hints, hint))
        if len(results) == 1 and self._flows_on(node):
            self._open[node] = statement
        else:
            self.statements.append(replace(statement, targets=tuple(map(self._number, results))))

    def _said(self, value: object) -> object:
        """An argument; tensors are values of the program."""
        return self._term(value) if isinstance(value, Node) else value

    def _flows_on(self, node: Node) -> bool:
        """Whether the only use of a value is to flow into a call."""
        uses = self._uses.get(node, [])
        if len(uses) != 1 or uses[0].phrase is None:
            return False
        phrase, user = uses[0].phrase, uses[0].results[0]
        if self._owner(node) != self._owner(user):
            return False
        values = [each for each in phrase.inputs if self._is_value(each)]
        return phrase.inputs[0] is node and (len(values) == 1 or phrase.callee in INFIX)

    def _owner(self, node: Node) -> str:
        return self._items.of(self._graph.origin(node).path)

    def _is_value(self, node: Node) -> bool:
        return node in self._numbers or not isinstance(node.op, _LEAVES)

    def _term(self, node: Node, user: Node | None = None, phrase: Phrase | None = None) -> Term:
        if node in self._numbers or not isinstance(node.op, _LEAVES):
            return Value(self._number(node))
        beside = user is not None and phrase is not None
        number = _number_beside(node, phrase) if beside and phrase else None
        return leaf_call(node) if number is None else number

    # ---- loops

    def _place_loop(self, maker: _Maker, step: Step) -> None:
        """A loop, behind the weights that it reads more than once."""
        for leaf in step.shared:
            if leaf not in self._numbers:
                made = Statement((self._number(leaf),), (), (leaf_call(leaf),), ("",))
                self.statements.append(made)
        elements = tuple(
            (self._number(inner), self._term(outer))
            for inner, outer in zip(step.elements, step.sequences, strict=True)
        )
        carries = [self._number(inner) for inner in step.carries]
        body = _Body(step.order, step.roots, self._graph, self._numbers)
        following = [body._term(node) for node in step.roots]
        starts = [self._term(start) for start in step.starts]
        count = len(carries)
        loop = Loop(
            "scan",
            attributes=self._options(maker, step),
            elements=elements,
            carried=tuple(zip(carries, starts, following[:count], strict=True)),
            body=tuple(body.statements),
            yields=tuple(following[count:]),
        )
        loop = replace(loop, others=tuple(map(Value, _read_outside(loop))))
        last = any(name == "last" for name, _ in loop.attributes)
        results = maker.results if last else maker.results[: len(loop.yields)]
        targets = tuple(self._number(node) for node in results)
        hint = self._graph.origin(maker.results[0]).path
        self.statements.append(Statement(targets, (), (loop,), (hint,)))

    def _options(self, maker: _Maker, step: Step) -> tuple[tuple[str, object], ...]:
        """What a loop says of itself."""
        lasts = maker.results[len(step.roots) - step.scan.carried :]
        last = any(node in self._order.wanted for node in lasts) or len(lasts) == len(maker.results)
        said = {"axis": 0, "reverse": step.scan.reverse, "last": last}
        return tuple((name, value) for name, value in said.items() if value or name == "axis")


def _read_outside(loop: Loop) -> Iterator[int]:
    """The numbers of the values around a loop that it reads, each once."""
    terms = [term for _, term in loop.elements] + [start for _, start, _ in loop.carried]
    terms += [*loop.yields, *(following for _, _, following in loop.carried)]
    read = [term.number for term in terms if isinstance(term, Value)]
    read += [number for each in loop.body for number in each.reads]
    made = {number for each in loop.body for number in each.targets}
    made |= {number for number, _ in loop.elements} | {number for number, *_ in loop.carried}
    yield from (number for number in dict.fromkeys(read) if number not in made)


def _number_beside(node: Node, phrase: Phrase) -> float | int | None:
    """A number that an infix operator takes as it stands, beside a tensor of its type."""
    op = node.op
    if not isinstance(op, Literal_) or phrase.callee not in INFIX or isinstance(op.value, bool):
        return None
    tensors = [each for each in phrase.inputs if not isinstance(each.op, Literal_)]
    fits = bool(tensors) and tensors[0].type.dtype is op.dtype
    signed_zero = op.value == 0 and math.copysign(1, op.value) < 0
    return op.value if fits and math.isfinite(op.value) and not signed_zero else None


def _phrase(node: Node) -> Phrase:
    """How the language says a node.

    Raises:
        DhcError: if it has no words for it.
    """
    assert isinstance(node.op, Operator)
    if node.op.name in _UNSPEAKABLE:
        raise _speechless(f"'{node.op.name}'")
    phrase = node.op.phrase(*node.inputs)
    if any(map(_has_counts, phrase.attributes.values())):
        raise _speechless(f"A size in '{node.op.name}' that is found when the program runs")
    return phrase


def _has_counts(value: object) -> bool:
    if isinstance(value, tuple):
        return any(map(_has_counts, value))
    return isinstance(value, Expr) and bool(counts(value))


def _speechless(what: str) -> DhcError:
    text = f"{what} cannot be written in a .dhm file yet."
    return DhcError(Diagnostic("not-yet", text, hints=("dhc.onnx.load reads the model itself",)))
