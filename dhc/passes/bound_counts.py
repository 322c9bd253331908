"""Gives what is only found when a program runs the room for the most that can be found.

Backends plan memory and launches for sizes that are known. So each count gets its largest value,
and what is found becomes numbers that the graph computes: see decision 20.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dhc.errors import DhcError, Diagnostic
from dhc.ir.counts import counts_in, found_by, is_counted, said_counts
from dhc.ir.graph import Graph, Node, topological
from dhc.ir.rewrite import rebuild, specialise, transform
from dhc.ir.scalar import Scalar, Var, walk
from dhc.ir.size import Shape, counts, largest
from dhc.ir.types import Tensor
from dhc.lower.to_kernels import output_axes
from dhc.ops.base import Composite, Elementwise, Index, Operand, Operator
from dhc.ops.rules import TypeRuleError
from dhc.ops.scan import Scan
from dhc.passes.room_rules import rules
from dhc.passes.rooms import NoRoomError, Rooms


@dataclass(frozen=True)
class Bounded:
    """A graph whose sizes are known, and how much of its outputs is there.

    Attributes:
        graph: It has an output more for each count that its outputs have.
        shapes: What is there of each output that has room for more, by its name.
        found: The names of the outputs that say what was found, by the names of the counts.
    """

    graph: Graph
    shapes: Mapping[str, Shape]
    found: Mapping[str, str]


def bound_counts(graph: Graph) -> Bounded:
    """Returns a graph with room for the most that it can find.

    Raises:
        DhcError: for the first layer that cannot work so.
    """
    if not is_counted(graph):
        return Bounded(graph, {}, {})
    rooms = Rooms()
    expanded = _expanded(graph)

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        try:
            return _with_room(rooms, node, inputs)
        except (NoRoomError, TypeRuleError) as error:
            raise _refused(expanded, node, error) from None

    made = transform(expanded, step)
    shapes = {name: n.type.shape for name, n in graph.outputs if counts_in(n.type.shape)}
    names = sorted({each.name for shape in shapes.values() for each in counts_in(shape)})
    labels = _labels(names, {name for name, _ in graph.outputs})
    numbers = tuple((labels[name], rooms.found[name]) for name in names)
    return Bounded(replace(made, outputs=(*made.outputs, *numbers)), shapes, labels)


def with_most(graph: Graph) -> Graph:
    """Returns a graph of the largest sizes that it can find, for what looks at sizes alone."""
    found = [each for node in topological(graph.roots) for each in found_by(node.op)]
    return specialise(graph, {each.name: largest(each.most) for each in found}) if found else graph


def _labels(names: Sequence[str], taken: set[str]) -> dict[str, str]:
    """Names of outputs that no other output has."""
    found: dict[str, str] = {}
    for number, name in enumerate(names):
        label = f"found_{number}"
        while label in taken:
            label += "_"
        taken.add(label)
        found[name] = label
    return found


def _refused(graph: Graph, node: Node, error: Exception) -> DhcError:
    types = " and ".join(str(source.type) for source in node.inputs)
    text = f"'{node.op.name}' cannot work with a size that is only known when the program runs."
    notes = (str(error).rstrip(".") + ".",)
    origin = graph.origin(node)
    return DhcError(Diagnostic("found-size", text, origin.span, f"gets {types}", notes=notes))


def _touches(node: Node) -> bool:
    """Whether a node has to do with counts."""
    shapes = (node.type.shape, *(source.type.shape for source in node.inputs))
    return any(map(counts_in, shapes)) or bool(said_counts(node.op))


def _expanded(graph: Graph) -> Graph:
    """The graph with composites that have to do with counts made of other operators."""

    def expands(node: Node) -> bool:
        whole = isinstance(node.op, Composite) and not isinstance(node.op, Scan)
        return whole and _touches(node)

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        found = rebuild(node, inputs)
        return found.op.expand(*inputs) if expands(found) else found  # type: ignore[attr-defined]

    while any(map(expands, topological(graph.roots))):
        graph = transform(graph, step)
    return graph


def _with_room(rooms: Rooms, node: Node, inputs: tuple[Node, ...]) -> Node:
    if not _touches(node):
        return rebuild(node, inputs)
    rule = rules.get(type(node.op))
    if rule is not None:
        return rule(rooms, node, inputs)
    if not isinstance(node.op, Elementwise) and not keeps_apart(node):
        raise NoRoomError("what it computes for one entry depends on others")
    return rooms.op(node.op)(*inputs)


# ---- what keeps entries apart ----------------------------------------------------------------


def keeps_apart(node: Node) -> bool:
    """Whether each entry of an axis with a count depends on the same entry of inputs alone.

    The definition of an element tells: along such an axis it reads its own place.
    """
    if not isinstance(node.op, Operator):
        return False
    axes = output_axes(node.type)
    reads = [_Probe(f"x{k}", source.type, node.type, axes) for k, source in enumerate(node.inputs)]
    try:
        value = node.op.element(node.type, axes, *reads)
    except (NotImplementedError, AssertionError, TypeError, ValueError):
        return False  # it has none, or none for a size that is not known
    return _is_free(value, node.type) and all(probe.apart for probe in reads)


class _Probe(Operand):
    """An input that looks at where it is read."""

    def __init__(self, name: str, type: Tensor, out: Tensor, axes: tuple[Var, ...]) -> None:
        self.type = type
        self.apart = True
        self._name = name
        self._out = out
        self._own = dict(zip(axes, out.shape, strict=True))

    def read(self, index: Index, guard: Scalar | None = None, otherwise: float = 0) -> Scalar:
        self.apart &= all(map(self._is_own, index, self.type.shape))
        parts = (*index, *(() if guard is None else (guard,)))
        self.apart &= all(_is_free(part, self._out, self.type) for part in parts)
        return Var(self._name, self.type.dtype)

    def padded(self, index: Index, fill: float = 0) -> Scalar:
        """Own places are inside: no condition says so."""
        self.apart &= all(map(self._is_own, index, self.type.shape))
        return self.read(index)

    def _is_own(self, place: Scalar, size: object) -> bool:
        counted = not isinstance(size, int) and bool(counts(size))  # type: ignore[arg-type]
        return not counted or (isinstance(place, Var) and self._own.get(place) == size)


def _is_free(value: Scalar, *types: Tensor) -> bool:
    """Whether an expression does not depend on counts."""
    names = {each.name for type in types for each in counts_in(type.shape)}
    return not any(isinstance(part, Var) and part.name in names for part in walk(value))
