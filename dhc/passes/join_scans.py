"""Makes results of equal loops results of one loop, which gives nothing that nobody reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from dhc.ir.graph import Graph, Node, Op, topological
from dhc.ir.rewrite import rebuild, transform
from dhc.ops.scan import Scan
from dhc.passes.manager import Pass


@dataclass(frozen=True)
class JoinScans(Pass):
    """Differentiation asks a loop for more results; here they come from the loop that is there."""

    name: ClassVar[str] = "join_scans"
    optional: ClassVar[bool] = True

    def __call__(self, graph: Graph) -> Graph:
        loops: dict[object, list[Node]] = {}
        for node in topological(graph.roots):
            if isinstance(node.op, Scan):
                loops.setdefault(_loop_of(node.op, node.inputs), []).append(node)
        joined: dict[Node, Op] = {}
        for nodes in loops.values():
            joined |= _join(nodes)

        def step(node: Node, inputs: tuple[Node, ...]) -> Node:
            if node in joined and joined[node] != node.op:
                return joined[node](*inputs)
            return rebuild(node, inputs)

        return transform(graph, step)


def _loop_of(scan: Scan, inputs: tuple[Node, ...]) -> object:
    """What results of one loop have in common."""
    carries = tuple(node for _, node in scan.body.outputs[: scan.carried])
    shared = (scan.sequences, scan.carried, scan.length, scan.reverse)
    return (*shared, carries, scan.body.inputs, inputs)


def _join(nodes: Sequence[Node]) -> dict[Node, Op]:
    """The operators of results with one body that has just the outputs which are read."""
    scans = {node: node.op for node in nodes if isinstance(node.op, Scan)}
    first = next(iter(scans.values()))
    carries = first.body.outputs[: first.carried]
    results = [node for _, node in carries]
    for scan in scans.values():
        node = scan.body.outputs[scan.output][1]
        if node not in results:
            results.append(node)
    body = replace(
        first.body, outputs=tuple((str(place), node) for place, node in enumerate(results))
    )
    return {
        node: replace(scan, body=body, output=_place(scan, results)) for node, scan in scans.items()
    }


def _place(scan: Scan, results: Sequence[Node]) -> int:
    """Where a result is now; the last value of a carry is that of the carry itself."""
    return scan.output if scan.last else results.index(scan.body.outputs[scan.output][1])
