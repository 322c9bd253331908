"""Recomputation: values of the forward pass that are cheap are computed again in the backward pass.

A training step keeps what its backward pass needs. Where that follows by elementwise operators and
movements from something that is kept anyway, computing it again costs little time and saves the
memory (Chen et al., arXiv:1604.06174; Rota Bulo et al., arXiv:1712.02616). Random numbers come from
counters, so a dropout has the same zeros the second time; results keep every bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import ClassVar

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Constant, Graph, Input, Literal_, Node, Param, topological
from dhc.ir.rewrite import rebuild, transform
from dhc.ops.after import After
from dhc.ops.base import Operator
from dhc.passes.manager import Pass

CHEAP = ("elementwise", "movement")
LEAVES = (Input, Param, Constant, Literal_)
SMALL = 1 << 12  # elements; what has fewer is not worth it


@dataclass(frozen=True)
class Recompute(Pass):
    """Recomputes as few values as needed, the largest first, so that a program fits into memory.

    Attributes:
        budget: Bytes for intermediate results.
        measure: Returns how many a graph needs.
    """

    name: ClassVar[str] = "recompute"
    budget: int
    measure: Callable[[Graph], int]

    def __call__(self, graph: Graph) -> Graph:
        needed = self.measure(graph)
        if needed <= self.budget:
            return graph
        candidates = sorted(recomputable(graph), key=_elements, reverse=True)
        low, high, best = 0, len(candidates), graph
        while low < high:
            middle = (low + high) // 2 + 1
            tried = recomputed(graph, frozenset(candidates[:middle]))
            bytes = self.measure(tried)
            needed = min(needed, bytes)
            if bytes <= self.budget:
                best, high = tried, middle - 1
            else:
                low = middle
        if best is graph:
            raise DhcError(_too_little(graph, self.budget, needed))
        return best


def recomputable(graph: Graph) -> list[Node]:
    """Returns the large values that late nodes read and that follow from others that are kept.

    In order of execution.
    """
    early = _early(graph)
    read = _read(graph, early)
    return [
        node
        for node in topological(graph.roots)
        if node in read and _is_cheap(node) and _is_large(node) and _follows_from(node, read)
    ]


def recomputed(graph: Graph, chosen: frozenset[Node]) -> Graph:
    """Returns the graph in which every late node computes the chosen values for itself."""
    early = _early(graph)
    again = _Again(_read(graph, early) - chosen)

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        pairs = list(zip(node.inputs, inputs, strict=True))
        late = [new for old, new in pairs if old not in early]
        if node in early or not late or not chosen.intersection(node.inputs):
            return rebuild(node, inputs)
        return node.op(*(again(old, late[0]) if old in chosen else new for old, new in pairs))

    return transform(graph, step)


class _Again:
    """Computes early values a second time.

    Args:
        kept: Values that it may begin with.
    """

    def __init__(self, kept: set[Node]) -> None:
        self._kept = kept
        self._memo: dict[tuple[Node, Node], Node] = {}

    def __call__(self, node: Node, token: Node) -> Node:
        """Returns the value of a node, computed after a token from what is kept."""
        for each in _upstream(node, self._kept):
            if isinstance(each.op, Literal_):
                self._memo[each, token] = each
            elif each in self._kept or not _is_cheap(each):
                self._memo[each, token] = After()(each, token)
            else:
                sources = (self._memo[source, token] for source in each.inputs)
                self._memo[each, token] = each.op(*sources)
        return self._memo[node, token]


def _upstream(node: Node, kept: Container[Node]) -> list[Node]:
    """The nodes from which one follows by cheap operators, from what is kept down to itself."""
    found: dict[Node, None] = {}
    stack = [(node, False)]
    while stack:
        each, ready = stack.pop()
        if each in found:
            continue
        if ready or each in kept or not _is_cheap(each):
            found[each] = None
        else:
            stack.append((each, True))
            stack.extend((source, False) for source in each.inputs)
    return list(found)


def _follows_from(node: Node, kept: set[Node]) -> bool:
    """Whether a value follows by cheap operators from what is kept, leaves and small values."""
    others = kept - {node}
    ends = [n for n in _upstream(node, others) if n in others or not _is_cheap(n)]
    return all(end in others or _is_leaf(end) or not _is_large(end) for end in ends)


def _read(graph: Graph, early: set[Node]) -> set[Node]:
    """The early values that late nodes read."""
    late = (node for node in topological(graph.roots) if node not in early)
    return {source for node in late for source in node.inputs if source in early}


def _early(graph: Graph) -> set[Node]:
    """The forward pass, and what follows from it cheaply, such as masks of the backward pass."""
    found = set(topological(node for _, node in graph.outputs))
    for node in topological(graph.roots):
        follows = all(source in found for source in node.inputs)
        if _is_leaf(node) or (_is_cheap(node) and follows):
            found.add(node)
    return found


def _is_leaf(node: Node) -> bool:
    return isinstance(node.op, LEAVES)


def _is_cheap(node: Node) -> bool:
    return isinstance(node.op, Operator) and node.op.kind in CHEAP


def _elements(node: Node) -> int:
    return math.prod(node.type.static_shape)


def _is_large(node: Node) -> bool:
    return _elements(node) >= SMALL


def _too_little(graph: Graph, budget: int, needed: int) -> Diagnostic:
    text = f"'{graph.name}' needs {needed} bytes for intermediate results, even when it "
    text += f"computes cheap ones again; {budget} are allowed."
    hints = ("use smaller batches, and `accumulate` for the same updates", "allow more memory")
    return Diagnostic("memory", text, hints=hints)
