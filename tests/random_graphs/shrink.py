"""The smallest graph that still fails, which is found by leaving out what it does not need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from dhc.ir.graph import Graph, Input, Node, topological
from dhc.ir.rewrite import rebuild, transform
from tests.random_graphs.meaning import Meanings

Fails = Callable[[Graph], bool]


def shrunk(graph: Graph, meanings: Meanings, fails: Fails) -> Graph:
    """Returns the smallest graph that was found; inputs have the values that were computed."""
    while (smaller := next(filter(fails, _smaller(graph, meanings)), None)) is not None:
        graph = smaller
    return graph


def _smaller(graph: Graph, meanings: Meanings) -> Iterator[Graph]:
    """Graphs with one output, and with an input in the place of a node."""
    if len(graph.outputs) > 1:
        yield from (_with(graph, [output]) for output in graph.outputs)
        for place in range(len(graph.outputs)):
            yield _with(graph, [o for k, o in enumerate(graph.outputs) if k != place])
    for node in reversed([n for n in topological(graph.roots) if n.inputs]):
        if node not in graph.roots:
            yield _cut(graph, node, meanings)


def _cut(graph: Graph, node: Node, meanings: Meanings) -> Graph:
    label = f"v{len(meanings.leaves)}"
    meanings.leaves[label] = meanings.of(node).plain
    fresh = Input(label, node.type)()
    whole = transform(graph, lambda old, inputs: fresh if old is node else rebuild(old, inputs))
    return _with(whole, whole.outputs)


def _with(graph: Graph, outputs: list[tuple[str, Node]] | tuple[tuple[str, Node], ...]) -> Graph:
    chosen = replace(graph, outputs=tuple(outputs))
    used = tuple(node for node in topological(chosen.roots) if isinstance(node.op, Input))
    return replace(chosen, inputs=used)
