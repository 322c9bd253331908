"""Order of execution and places of new parameter values, for graphs that change their parameters.

An update should be written over the old value. That is right where every other reader of the old
value has run before, and where the update itself reads each old element only for the new one.
Updates that cannot be written in place are copied there at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dhc.ir.graph import Constant, Graph, Input, Literal_, Node, Param, topological, users
from dhc.ops.base import Operator
from dhc.ops.collective import AllReduceStart, BucketPart
from dhc.ops.region import Region
from dhc.ops.shape import Copy

LEAVES = (Input, Param, Constant)
STORED = (*LEAVES, BucketPart)  # values that lie somewhere without being computed


@dataclass(frozen=True)
class Order:
    """The nodes of a graph as they run.

    Attributes:
        nodes: All nodes, operands first, and updates after the other readers of the old value.
        in_place: For updates that may be written over it, the parameter.
        copied: For the other updates, the parameter that they are copied to at the end.
        joint: Updates that read each other, such as moments and the weight that follows them, by
            the last of them: they are computed in one pass over memory, in its place.
    """

    nodes: tuple[Node, ...]
    in_place: Mapping[Node, Node]
    copied: Mapping[Node, Node]
    joint: Mapping[Node, tuple[Node, ...]] = field(default_factory=dict)

    @property
    def steps(self) -> Iterator[tuple[Node, ...]]:
        """What is computed at once, in order: single nodes, and updates that go together."""
        inside = {node for last, nodes in self.joint.items() for node in nodes if node is not last}
        for node in self.nodes:
            if not isinstance(node.op, STORED) and node not in inside:
                yield self.joint.get(node, (node,))


def results_are_computed(graph: Graph) -> Graph:
    """Copies results that only lie somewhere, or are the same value as another result."""
    seen: set[Node] = set()

    def own(name: str, node: Node) -> tuple[str, Node]:
        if node in seen or isinstance(node.op, STORED):
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
    nodes = _sorted((*_starts(graph), *graph.roots), before)
    place = {node: number for number, node in enumerate(nodes)}
    in_place = {
        node: param
        for node, param in targets.items()
        if all(place[other] < place[node] for other in others[node])
        and reads_own_elements(node, param)
    }
    copied = {node: param for node, param in targets.items() if node not in in_place}
    return Order(tuple(nodes), in_place, copied, _joint(in_place, place, readers))


def _starts(graph: Graph) -> list[Node]:
    """Where sums over ranks begin, in the order that all ranks keep."""
    found = {n.op.number: n for n in topological(graph.roots) if isinstance(n.op, AllReduceStart)}
    return [found[number] for number in sorted(found)]


def _joint(
    in_place: Mapping[Node, Node], place: Mapping[Node, int], readers: Mapping[Node, list[Node]]
) -> dict[Node, tuple[Node, ...]]:
    """Groups updates of one shape with those that they read, if nothing else needs these sooner."""
    groups: dict[Node, tuple[Node, ...]] = {}
    for last in sorted(in_place, key=lambda node: place[node]):
        parts = [groups.get(s, (s,)) for s in last.inputs if s in in_place]
        members = tuple(dict.fromkeys((*(node for part in parts for node in part), last)))
        others = [r for m in members for r in readers.get(m, ()) if r not in members]
        sooner = any(place[reader] < place[last] for reader in others)
        if len(members) < 2 or sooner or not all(_goes_with(m, last) for m in members):
            continue
        for member in members:
            groups.pop(member, None)
        groups[last] = members
    return groups


def _goes_with(node: Node, last: Node) -> bool:
    return node.type.shape == last.type.shape and is_pointwise(node)


def is_pointwise(node: Node) -> bool:
    """Whether each element of a node is computed from elements in its own place."""
    if isinstance(node.op, Region):
        return all(is_elementwise(p) for p in topological(node.op.body.roots) if p.inputs)
    return is_elementwise(node) and not any(isinstance(s.op, Literal_) for s in node.inputs)


def reads_own_elements(node: Node, param: Node) -> bool:
    """Whether a node reads each element of another only to compute the element in its place."""
    if param not in node.inputs:
        return True
    if param.type.shape != node.type.shape:
        return False
    return is_pointwise(node)


def is_elementwise(node: Node) -> bool:
    """Whether a node is one elementwise operator."""
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
