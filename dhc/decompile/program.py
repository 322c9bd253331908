"""A whole program from a graph, checked: its text is built again and must give the same graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dhc.decompile.arrange import Arrangement
from dhc.decompile.blocks import Folding
from dhc.decompile.modules import module_of
from dhc.decompile.naming import pin_of
from dhc.decompile.statements import Call, Loop, Statement, Term, called_in
from dhc.decompile.text import block_text, model_text
from dhc.errors import DhcError, Diagnostic
from dhc.frontend import format_text, load_text
from dhc.frontend.axes import axis_letters
from dhc.frontend.registry import known_names, known_words
from dhc.frontend.tree import RESERVED
from dhc.ir.counts import found_by
from dhc.ir.graph import Constant, Graph, Literal_, Node, Param, input_label, topological
from dhc.ir.rewrite import specialise
from dhc.ir.size import count_size, symbols
from dhc.ops.base import Operator
from dhc.passes.canonicalize import Canonicalize

STARTS = frozenset(("carry", "input", "let", "output", "share", "yield"))  # words of statements


@dataclass(frozen=True)
class Decompiled:
    """A program that gives a graph.

    Attributes:
        text: The program.
        leaves: For the path of each of its parameters the node of the graph that it stands for.
        name: What it calls the model; words of the language get something behind them.
        inputs: What it calls the inputs of the graph, in their order, likewise.
    """

    text: str
    leaves: Mapping[str, Node]
    name: str
    inputs: tuple[str, ...]


def decompile(graph: Graph, remarks: str = "") -> Decompiled:
    """Writes the program of a graph.

    Args:
        graph: A graph of one model, without updates.
        remarks: Lines for the head of the file.

    Raises:
        DhcError: if something in it has no words in the language.
    """
    arrangement = Arrangement(graph)
    called = frozenset(called_in(arrangement.statements))
    inputs = [_speakable(input_label(node), "in", called) for node in graph.inputs]
    labels = [_speakable(label, "out") for label, _ in graph.outputs]
    outputs = [
        (label, arrangement.numbers[node])
        for label, (_, node) in zip(labels, graph.outputs, strict=True)
    ]
    statements = [*map(_Pins().statement, arrangement.statements)]
    folding = Folding(statements, frozenset(number for _, number in outputs))
    folding.run()
    types = {number: node.type for node, number in arrangement.numbers.items()}
    taken = RESERVED | STARTS | set(known_names()) | known_words() | set(axis_letters())
    taken |= {name for node in graph.inputs for size in node.type.shape for name in symbols(size)}
    taken |= {block.name for block in folding.blocks}
    parts = [block_text(block, types, frozenset(taken)) for block in folding.blocks]
    ports = [
        (name, n.type, arrangement.numbers[n]) for name, n in zip(inputs, graph.inputs, strict=True)
    ]
    name = _speakable(graph.name, "model", frozenset(block.name for block in folding.blocks))
    parts.append(model_text(name, ports, outputs, folding.statements, frozenset(taken)))
    head = "".join(f"# {line}".rstrip() + "\n" for line in remarks.splitlines())
    text = format_text("dhm 1\n" + head + "\n" + "\n".join(parts))
    built = load_text(text).model(name).graph
    return Decompiled(text, _checked(built, graph, (inputs, labels), text), name, tuple(inputs))


def _speakable(name: str, kind: str, taken: frozenset[str] = frozenset()) -> str:
    """A name that means nothing else in the language or in the program."""
    return f"{name}_{kind}" if name in RESERVED or name in taken else name


class _Pins:
    """Pins the paths of weights that have good names, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def statement(self, each: Statement) -> Statement:
        calls = tuple(self._call(c, h) for c, h in zip(each.calls, each.hints, strict=True))
        sources = tuple(self._term(source, each.hints[0]) for source in each.sources)
        return replace(each, calls=calls, sources=sources)

    def _term(self, term: Term, hint: str) -> Term:
        return self._call(term, hint) if isinstance(term, Call) else term

    def _call(self, call: Call, hint: str) -> Call:
        others = tuple(self._term(each, hint) for each in call.others)
        wanted = (call.pin or pin_of(call.paths, hint), module_of(hint) if call.paths else "")
        pin = next((each for each in wanted if each not in self._taken), "")
        self._taken.add(pin)
        said = tuple(
            (name, self._call(value, hint) if isinstance(value, Call) else value)
            for name, value in call.attributes
        )
        made = replace(call, others=others, pin=pin, attributes=said)
        return self._loop(made, hint) if isinstance(made, Loop) else made

    def _loop(self, loop: Loop, hint: str) -> Loop:
        return replace(
            loop,
            elements=tuple((number, self._term(x, hint)) for number, x in loop.elements),
            carried=tuple(
                (number, self._term(start, hint), self._term(following, hint))
                for number, start, following in loop.carried
            ),
            body=tuple(map(self.statement, loop.body)),
            yields=tuple(self._term(each, hint) for each in loop.yields),
        )


# ---- the check -------------------------------------------------------------------------------


def _checked(
    built: Graph, wanted: Graph, called: tuple[Sequence[str], Sequence[str]], text: str
) -> dict[str, Node]:
    """The same as `_matched` for the graphs or, where layers are made of more, their first form."""
    try:
        return _matched(built, wanted, called, text)
    except DhcError:
        canonical = Canonicalize()
        return _matched(canonical(built), canonical(wanted), called, text)


def _matched(
    built: Graph, wanted: Graph, called: tuple[Sequence[str], Sequence[str]], text: str
) -> dict[str, Node]:
    """The nodes that the parameters of a built graph stand for.

    Raises:
        DhcError: if the graphs differ.
    """
    built = _with_counts_of(built, wanted, called[1])
    found: dict[str, Node] = {}
    seen: dict[Node, Node] = {}
    inputs, outputs = called
    for name, ours, theirs in zip(inputs, built.inputs, wanted.inputs, strict=True):
        if input_label(ours) != name or ours.type != theirs.type:
            raise _different(ours, theirs, text)
        seen[ours] = theirs
    if {name for name, _ in built.outputs} != set(outputs):
        raise _different(built.roots[0], wanted.roots[0], text)
    roots = _in_order(built, outputs)
    pairs = [*zip(roots, wanted.roots, strict=True)]
    while pairs:
        ours, theirs = pairs.pop()
        if seen.get(ours) is theirs:
            continue
        seen[ours] = theirs
        if isinstance(ours.op, Param) and isinstance(theirs.op, (Param, Constant, Literal_)):
            if ours.type == theirs.type and found.setdefault(ours.op.path, theirs) is theirs:
                continue
        elif _equal(ours, theirs):
            pairs += zip(ours.inputs, theirs.inputs, strict=True)
            continue
        raise _different(ours, theirs, text)
    return found


def _in_order(graph: Graph, outputs: Sequence[str]) -> list[Node]:
    """The outputs as they are called for: statements may give them in another order."""
    named = dict(graph.outputs)
    return [named[name] for name in outputs]


def _with_counts_of(built: Graph, wanted: Graph, outputs: Sequence[str]) -> Graph:
    """The graph with the sizes that it finds called as in the other one."""
    if {name for name, _ in built.outputs} != set(outputs):
        return built
    ours, theirs = (
        [each for node in topological(roots) for each in found_by(node.op)]
        for roots in (_in_order(built, outputs), wanted.roots)
    )
    if not theirs or len(ours) != len(theirs):
        return built
    pairs = zip(ours, theirs, strict=True)
    return specialise(built, {a.name: count_size(b.name, b.most) for a, b in pairs})


def _equal(ours: Node, theirs: Node) -> bool:
    """Whether two nodes do the same to their inputs; equal nodes are the same object."""
    if len(ours.inputs) != len(theirs.inputs) or ours.type != theirs.type:
        return False
    return Node(ours.op, theirs.inputs, theirs.type) is theirs or _draws_alike(ours, theirs)


def _draws_alike(ours: Node, theirs: Node) -> bool:
    """Whether operators differ in nothing but the names of their random numbers."""
    said = []
    for node in (ours, theirs):
        if not isinstance(node.op, Operator):
            return False
        said.append(dict(node.op.phrase(*node.inputs).attributes))
    names = [each.pop("name", None) for each in said]
    return type(ours.op) is type(theirs.op) and None not in names and said[0] == said[1]


def _different(ours: Node, theirs: Node, text: str) -> DhcError:
    message = f"The program that was written has {ours.op} where the model has {theirs.op}."
    return DhcError(Diagnostic("internal", message, notes=(text,)))
