"""Puts numbers in the place of size symbols, and explains sizes that do not work."""

from __future__ import annotations

from collections.abc import Mapping

from dhc.errors import DhcError, Diagnostic
from dhc.ir.counts import found_by
from dhc.ir.graph import Graph, Node
from dhc.ir.rewrite import transform
from dhc.ir.size import Size
from dhc.ops.rules import TypeRuleError


def bind_sizes(graph: Graph, bindings: Mapping[str, Size]) -> Graph:
    """Binds size symbols, and infers every type anew.

    Raises:
        DhcError: if a layer cannot work with these sizes, or finds one of them itself.
    """

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        for count in found_by(node.op):
            if count.name in bindings:
                text = f"The size '{count.name}' is found when the program runs."
                raise DhcError(Diagnostic("size", text, graph.origin(node).span))
        try:
            return node.op.substitute(bindings)(*inputs)
        except TypeRuleError as problem:
            raise _unfit(graph, node, inputs, bindings, problem) from None

    return transform(graph, step)


def _unfit(
    graph: Graph,
    node: Node,
    inputs: tuple[Node, ...],
    bindings: Mapping[str, Size],
    problem: TypeRuleError,
) -> DhcError:
    origin = graph.origin(node)
    sizes = ", ".join(f"{name} = {size}" for name, size in sorted(bindings.items()))
    types = " and ".join(str(source.type) for source in inputs)
    return DhcError(
        Diagnostic(
            "size",
            problem.message,
            origin.span,
            f"gets {types}",
            notes=(f"with {sizes}",),
            hints=(problem.hint or "other sizes may work: `dhc check` prints what they must be",),
        )
    )
