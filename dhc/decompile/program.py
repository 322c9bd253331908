"""A whole program from a graph, checked: its text is built again and must give the same graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dhc.decompile.blocks import Folding
from dhc.decompile.modules import module_of
from dhc.decompile.naming import pin_of
from dhc.decompile.statements import Arrangement, Call, Statement
from dhc.decompile.text import block_text, model_text
from dhc.errors import DhcError, Diagnostic
from dhc.frontend import format_text, load_text
from dhc.frontend.axes import axis_letters
from dhc.frontend.registry import known_names, known_words
from dhc.frontend.tree import RESERVED
from dhc.ir.graph import Constant, Graph, Literal_, Node, Param, input_label
from dhc.ir.size import symbols
from dhc.ops.base import Operator

STARTS = frozenset(("carry", "input", "let", "output", "share", "yield"))  # words of statements


@dataclass(frozen=True)
class Decompiled:
    """A program that gives a graph.

    Attributes:
        text: The program.
        leaves: For the path of each of its parameters the node of the graph that it stands for.
    """

    text: str
    leaves: Mapping[str, Node]


def decompile(graph: Graph, remarks: str = "") -> Decompiled:
    """Writes the program of a graph.

    Args:
        graph: A graph of one model, without updates.
        remarks: Lines for the head of the file.

    Raises:
        DhcError: if something in it has no words in the language.
    """
    arrangement = Arrangement(graph)
    outputs = [(label, arrangement.numbers[node]) for label, node in graph.outputs]
    pins: set[str] = set()
    statements = [_with_pins(each, pins) for each in arrangement.statements]
    folding = Folding(statements, frozenset(number for _, number in outputs))
    folding.run()
    types = {number: node.type for node, number in arrangement.numbers.items()}
    taken = RESERVED | STARTS | set(known_names()) | known_words() | set(axis_letters())
    taken |= {name for node in graph.inputs for size in node.type.shape for name in symbols(size)}
    taken |= {block.name for block in folding.blocks}
    parts = [block_text(block, types, frozenset(taken)) for block in folding.blocks]
    inputs = [(input_label(n), n.type, arrangement.numbers[n]) for n in graph.inputs]
    parts.append(model_text(graph.name, inputs, outputs, folding.statements, frozenset(taken)))
    head = "".join(f"# {line}".rstrip() + "\n" for line in remarks.splitlines())
    text = format_text("dhm 1\n" + head + "\n" + "\n".join(parts))
    return Decompiled(text, _matched(load_text(text).model(graph.name).graph, graph, text))


def _with_pins(statement: Statement, taken: set[str]) -> Statement:
    """Pins the paths of weights that have good names, each once."""

    def pinned(call: Call, hint: str) -> Call:
        others = tuple(pinned(o, hint) if isinstance(o, Call) else o for o in call.others)
        wanted = (call.pin or pin_of(call.paths, hint), module_of(hint) if call.paths else "")
        pin = next((each for each in wanted if each not in taken), "")
        taken.add(pin)
        return replace(call, others=others, pin=pin)

    hints = statement.hints
    calls = tuple(pinned(c, h) for c, h in zip(statement.calls, hints, strict=True))
    sources = tuple(pinned(s, hints[0]) if isinstance(s, Call) else s for s in statement.sources)
    return replace(statement, calls=calls, sources=sources)


# ---- the check -------------------------------------------------------------------------------


def _matched(built: Graph, wanted: Graph, text: str) -> dict[str, Node]:
    """The nodes that the parameters of a built graph stand for.

    Raises:
        DhcError: if the graphs differ.
    """
    found: dict[str, Node] = {}
    seen: dict[Node, Node] = {}
    pairs = [*zip(built.inputs, wanted.inputs, strict=True)]
    pairs += zip((n for _, n in built.outputs), (n for _, n in wanted.outputs), strict=True)
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
