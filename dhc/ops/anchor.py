"""Values that are made of sizes alone, made of what finds these sizes.

How many boxes are left is computed from the boxes, and a graph must say so by an edge. Those who
make graphs need not think of it: what they make of sizes is anchored when the graph is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from dhc.ir.counts import counts_in, found_by, said_counts
from dhc.ir.graph import Graph, Node, literal, topological
from dhc.ir.rewrite import rebuild, transform
from dhc.ir.size import Atom, Count, Expr, FloorDiv, Least, Size, count_size, counts
from dhc.ir.types import DType
from dhc.ops.compare import Equal, Not
from dhc.ops.cumulative import CumSum
from dhc.ops.elementwise import Add, Cast, Div, Min, Mul, Where
from dhc.ops.movement import Expand, SizeValue, slice_axis
from dhc.ops.positions import CountUp
from dhc.ops.reduce import ReduceSum
from dhc.ops.rules import TypeRuleError
from dhc.ops.sequence import Positions
from dhc.ops.shape import Reshape


def anchored(graph: Graph, finders: Iterable[Node] = ()) -> Graph:
    """Returns a graph in which all that is said with a count depends on the node that finds it.

    Args:
        graph: The graph.
        finders: Nodes that find counts and that perhaps nothing reads yet.

    Raises:
        TypeRuleError: if an operator makes of a size alone what cannot be made of a node.
    """
    listed = dict.fromkeys([*finders, *(n for n in topological(graph.roots) if n.op.finds)])
    anchors = _Anchors()
    for finder in _in_order(list(listed)):
        (count,) = found_by(finder.op)
        anchors.rows[count.name] = _row(anchors.of(finder), count)
    return transform(graph, lambda node, _: anchors.of(node)) if listed else graph


class _Anchors:
    """Nodes and what they become, of one element for each that is found; see `_row`."""

    def __init__(self) -> None:
        self.rows: dict[str, Node] = {}
        self._made: dict[Node, Node] = {}
        self._known: dict[Node, frozenset[Count]] = {}

    def of(self, root: Node) -> Node:
        """What a node becomes."""
        for node in topological([root], _Without(self._made)):
            if node not in self._made:
                self._made[node] = self._step(node, tuple(self._made[x] for x in node.inputs))
        return self._made[root]

    def _step(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        within = found_by(node.op).union(*(self._known[source] for source in inputs))
        said = counts_in(node.type.shape) | said_counts(node.op)
        new = rebuild(node, inputs) if said <= within else _of_rows(self.rows, node, inputs)
        self._known[new] = within | said
        return new


class _Without:
    """All nodes but some."""

    def __init__(self, some: Container[Node]) -> None:
        self._some = some

    def __contains__(self, node: object) -> bool:
        return node not in self._some


def _in_order(finders: list[Node]) -> list[Node]:
    """The finders so that each comes after those whose sizes it needs, with an edge or without.

    Raises:
        TypeRuleError: if there is no such order.
    """
    needs = {
        finder: frozenset().union(
            *(counts_in(n.type.shape) | said_counts(n.op) for n in topological([finder]))
        )
        - found_by(finder.op)
        for finder in finders
    }
    order: list[Node] = []
    there: frozenset[Count] = frozenset()
    while len(order) < len(finders):
        ready = [each for each in finders if each not in order and needs[each] <= there]
        if not ready:
            raise TypeRuleError("Sizes that are found need each other.")
        order += ready
        there = there.union(*(found_by(each.op) for each in ready))
    return order


def _row(node: Node, count: Count) -> Node:
    """One element for each that is found; whatever it is."""
    size = count_size(count.name, count.most)
    row = node
    for axis in range(1, node.type.rank):
        row = slice_axis(row, axis, 0, 1)
    return row if row.type.rank == 1 else Reshape((size,))(row)


def _of_rows(rows: dict[str, Node], node: Node, inputs: tuple[Node, ...]) -> Node:
    match node.op:
        case SizeValue(size, dtype):
            number = size_node(size, lambda count: ReduceSum()(_ones(rows[count.name])))
            return number if dtype is DType.I64 else Cast(dtype)(number)
        case CountUp(size) | Positions(size):
            numbers = CumSum(0, exclusive=True)(_ones(_row_of(rows, size)))
            return numbers if node.type.dtype is DType.I64 else Cast(node.type.dtype)(numbers)
        case Expand(shape):
            return Expand(shape)(_spread(rows, inputs[0], shape))
    raise TypeRuleError(f"'{node.op.name}' makes something of a size that is only found later.")


def _ones(row: Node) -> Node:
    return Cast(DType.I64)(Equal()(row, row))


def _row_of(rows: dict[str, Node], size: Size) -> Node:
    """One element for each of a size that is a count, or the least of one and a number."""
    atom = size.terms[0][0][0] if isinstance(size, Expr) and size.terms[0][0] else None
    match atom:
        case Count(name) if size == count_size(name, atom.most):
            return rows[name]
        case Least(value) if size == Expr((((atom,), 1),)):
            return slice_axis(_row_of(rows, value), 0, 0, size)
    raise TypeRuleError(f"Nothing has {size} elements, which are only found later.")


def _spread(rows: dict[str, Node], x: Node, shape: tuple[Size, ...]) -> Node:
    """A tensor repeated along the axes whose sizes are found."""
    for axis, size in enumerate(shape):
        if counts(size) and size not in x.type.shape:
            line = (size, *[1] * (len(shape) - axis - 1))
            never = Not()(Equal()(*[Reshape(line)(_row_of(rows, size))] * 2))
            x = Where()(never, x, x)
    return x


def size_node(size: Size, found: Callable[[Count], Node]) -> Node:
    """Returns a size as a number, i64 [], of the numbers that are found."""
    if not counts(size):
        return SizeValue(size, DType.I64)()
    assert isinstance(size, Expr)
    total: Node | None = None
    for monomial, coefficient in size.terms:
        product = literal(coefficient, DType.I64)
        for atom in monomial:
            product = Mul()(product, _atom_node(atom, found))
        total = product if total is None else Add()(total, product)
    assert total is not None
    return total


def _atom_node(atom: Atom, found: Callable[[Count], Node]) -> Node:
    match atom:
        case Count():
            return found(atom)
        case Least(value, most):
            return Min()(size_node(value, found), literal(most, DType.I64))
        case FloorDiv(value, divisor):
            return Div()(size_node(value, found), literal(divisor, DType.I64))
    return SizeValue(Expr((((atom,), 1),)), DType.I64)()
