"""Order of execution and places of new parameter values, for graphs that change their parameters.

An update should be written over the old value. That is right where every other reader of the old
value has run before, and where the update itself reads each old element only for the new one.
Updates that cannot be written in place are copied there at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dhc.ir.graph import Constant, Graph, Input, Node, Param, topological, users
from dhc.ops.base import Operator
from dhc.ops.region import Region
from dhc.ops.shape import Copy

LEAVES = (Input, Param, Constant)


@dataclass(frozen=True)
class Order:
    """The nodes of a graph as they run.

    Attributes:
        nodes: All nodes, operands first, and updates after the other readers of the old value.
        in_place: For updates that may be written over it, the parameter.
        copied: For the other updates, the parameter that they are copied to at the end.
    """

    nodes: tuple[Node, ...]
    in_place: Mapping[Node, Node]
    copied: Mapping[Node, Node]


def results_are_computed(graph: Graph) -> Graph:
    """Copies results that are inputs or weights, or the same value as another result."""
    seen: set[Node] = set()

    def own(name: str, node: Node) -> tuple[str, Node]:
        if node in seen or isinstance(node.op, LEAVES):
            node = Copy(name)(node)
        seen.add(node)
        return name, node

    outputs = tuple(own(name, node) for name, node in graph.outputs)
    updates = tuple((path, own(f"new {path}", node)[1]) for path, node in graph.updates)
    return replace(graph, outputs=outputs, updates=updates)


def order_of(graph: Graph) -> Order:
    """Returns the order of a graph whose results are computed."""
    targets = _targets(graph)
    readers = users(graph.roots)
    late = _dependents(targets, readers)  # none of these can be asked to come before an update
    others = {
        node: [other for other in readers.get(param, ()) if other is not node]
        for node, param in targets.items()
    }
    before = {node: [r for r in found if r not in late] for node, found in others.items()}
    nodes = _sorted(graph.roots, before)
    place = {node: number for number, node in enumerate(nodes)}
    in_place = {
        node: param
        for node, param in targets.items()
        if all(place[other] < place[node] for other in others[node])
        and reads_own_elements(node, param)
    }
    copied = {node: param for node, param in targets.items() if node not in in_place}
    return Order(tuple(nodes), in_place, copied)


def reads_own_elements(node: Node, param: Node) -> bool:
    """Whether a node reads each element of another only to compute the element in its place."""
    if param not in node.inputs:
        return True
    if param.type.shape != node.type.shape:
        return False
    if isinstance(node.op, Region):
        parts = [part for part in topological(node.op.body.roots) if part.inputs]
        return all(_is_elementwise(part) for part in parts)
    return _is_elementwise(node)


def _is_elementwise(node: Node) -> bool:
    return isinstance(node.op, Operator) and node.op.kind == "elementwise"


def _targets(graph: Graph) -> dict[Node, Node]:
    """The parameter that each update is for."""
    params = {n.op.path: n for n in topological(graph.roots) if isinstance(n.op, Param)}
    return {node: params.get(path) or Param(path, node.type)() for path, node in graph.updates}


def _sorted(roots: Sequence[Node], before: Mapping[Node, list[Node]]) -> list[Node]:
    """Operands first, and before each node what `before` names for it; there are no circles."""
    order: list[Node] = []
    done: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, expanded = stack.pop()
        if node in done:
            continue
        if expanded:
            order.append(node)
            done.add(node)
        else:
            stack.append((node, True))
            stack.extend((source, False) for source in reversed(node.inputs))
            stack.extend((other, False) for other in reversed(before.get(node, ())))
    return order


def _dependents(starts: Iterable[Node], readers: Mapping[Node, list[Node]]) -> set[Node]:
    """The nodes themselves and all that are computed from them."""
    found: set[Node] = set()
    stack = list(starts)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(readers.get(node, ()))
    return found
