"""What a network consists of: layers, shapes, parameters, work and memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dhc.ir.graph import Constant, Graph, Input, Literal_, Node, Param, topological
from dhc.ir.scalar import Binary, Fma, Reduce, Scalar, Unary, Var, children
from dhc.ir.types import Tensor
from dhc.ops.base import Composite, Index, Operand, Operator, axis_variable

LEAVES = (Input, Param, Constant, Literal_)


@dataclass(frozen=True)
class Row:
    """One layer of a summary.

    Attributes:
        path: The layer's name in the program.
        operators: What it does, in order.
        type: Its result.
        parameters: How many numbers it learns.
        flop: Arithmetic operations on floats for one run; a multiply-add counts as two.
    """

    path: str
    operators: tuple[str, ...]
    type: Tensor
    parameters: int
    flop: int


@dataclass(frozen=True)
class Summary:
    """All layers of a graph with static shapes, and the totals.

    Attributes:
        state: Numbers that are kept but not learnt, such as running statistics.
        activations: Bytes of all intermediate results together.
    """

    name: str
    rows: tuple[Row, ...]
    parameters: int
    state: int
    flop: int
    activations: int


def summarise(graph: Graph) -> Summary:
    """Counts what a graph with known sizes has and does.

    Raises:
        ValueError: if a size is still open.
    """
    groups: dict[str, list[Node]] = {}
    for node in topological(graph.roots):
        if not isinstance(node.op, LEAVES):
            groups.setdefault(graph.origin(node).path or node.op.name, []).append(node)
    owners = _owners(graph, groups)
    rows = tuple(_row(path, nodes, owners.get(path, 0)) for path, nodes in groups.items())
    learnt = sum(_elements(p.type) for p in graph.params if p.trainable)
    kept = sum(_elements(p.type) for p in graph.params if not p.trainable)
    held = sum(_bytes(n.type) for nodes in groups.values() for n in nodes)
    return Summary(graph.name, rows, learnt, kept, sum(row.flop for row in rows), held)


def _owners(graph: Graph, groups: Mapping[str, list[Node]]) -> dict[str, int]:
    """Counts each trainable parameter at the first layer that reads it."""
    seen: set[Node] = set()
    counts: dict[str, int] = {}
    for path, nodes in groups.items():
        for source in (s for node in nodes for s in node.inputs):
            if isinstance(source.op, Param) and source.op.trainable and source not in seen:
                seen.add(source)
                counts[path] = counts.get(path, 0) + _elements(source.type)
    return counts


def _row(path: str, nodes: list[Node], parameters: int) -> Row:
    names = tuple(node.op.name for node in nodes)
    return Row(path, names, nodes[-1].type, parameters, sum(map(count_flop, nodes)))


def _elements(type: Tensor) -> int:
    return math.prod(type.static_shape)


def _bytes(type: Tensor) -> int:
    return _elements(type) * type.dtype.bytes


# ---- counting work -------------------------------------------------------------------------


class _Unread(Operand):
    """An operand whose elements cost nothing."""

    def __init__(self, type: Tensor) -> None:
        self.type = type

    def read(self, index: Index, guard: Scalar | None = None, otherwise: object = 0) -> Scalar:
        return Var("element", self.type.dtype)


def count_flop(node: Node) -> int:
    """Returns the float operations of one node, counted in its own definition.

    A composite costs what its expansion costs; an operator with loops of its own counts as one
    operation for each element.
    """
    if isinstance(node.op, Composite):
        expansion = node.op.expand(*(Input(f"x{i}", s.type)() for i, s in enumerate(node.inputs)))
        inner = topological([expansion])
        return sum(count_flop(part) for part in inner if not isinstance(part.op, LEAVES))
    assert isinstance(node.op, Operator)
    if node.op.kind in ("opaque", "movement"):
        return _elements(node.type) if node.op.kind == "opaque" else 0
    axes = tuple(axis_variable(f"i{k}", size) for k, size in enumerate(node.type.shape))
    value = node.op.element(node.type, axes, *(_Unread(s.type) for s in node.inputs))
    return _elements(node.type) * _flop(value)


def _flop(value: Scalar) -> int:
    total = 0
    for part in _walk_outside(value):
        match part:
            case Reduce(_, axes, body):
                turns = math.prod(axis.extent or 1 for axis in axes)
                total += turns * (_flop(body) + int(body.dtype.is_float))
            case Fma():
                total += 2
            case Binary() | Unary() if part.dtype.is_float:
                total += 1
    return total


def _walk_outside(value: Scalar) -> list[Scalar]:
    """Sub-expressions that are not inside a reduction."""
    reached = {value}
    order = [value]
    for part in order:
        for child in () if isinstance(part, Reduce) else children(part):
            if child not in reached:
                reached.add(child)
                order.append(child)
    return order
