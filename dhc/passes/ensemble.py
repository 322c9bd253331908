"""Several models as one: each output is the mean of theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Array, Graph, Input, Node, Param, literal
from dhc.ir.rewrite import rebuild, transform
from dhc.ops.elementwise import Add, Mul


def member_path(number: int, path: str) -> str:
    """Returns under which name an ensemble keeps a parameter of one of its members."""
    return f"member{number + 1}.{path}"


def ensemble(name: str, graphs: Sequence[Graph]) -> Graph:
    """Returns a graph whose outputs are the means of the graphs' outputs of the same names.

    Inputs of the same name are one input.

    Args:
        name: Of the new graph.
        graphs: At least one; each keeps its own parameters, see `member_path`.

    Raises:
        DhcError: if inputs or outputs differ in names or types.
    """
    inputs: dict[str, Node] = {}
    members = [_renamed(graph, number) for number, graph in enumerate(graphs)]
    for member in members:
        for node in member.inputs:
            assert isinstance(node.op, Input)
            if inputs.setdefault(node.op.label, node) is not node:
                other = inputs[node.op.label].type
                raise _unlike(f"take '{node.op.label}' as {other} and as {node.type}")
    outputs = tuple((each, _mean(each, members)) for each, _ in members[0].outputs)
    return Graph(
        name,
        tuple(inputs.values()),
        outputs,
        constants={key: data for graph in members for key, data in graph.constants.items()},
        origins={node: own for graph in members for node, own in graph.origins.items()},
    )


def ensemble_values(members: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Returns the parameters of an ensemble from those of its members."""
    return {
        member_path(number, path): array
        for number, values in enumerate(members)
        for path, array in values.items()
    }


def _renamed(graph: Graph, number: int) -> Graph:
    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        if isinstance(node.op, Param):
            return replace(node.op, path=member_path(number, node.op.path))()
        return rebuild(node, inputs)

    return transform(graph, step)


def _mean(name: str, members: Sequence[Graph]) -> Node:
    found = []
    for member in members:
        outputs = dict(member.outputs)
        if name not in outputs:
            raise _unlike(f"do not all have the output '{name}'")
        found.append(outputs[name])
    total = found[0]
    for node in found[1:]:
        if node.type != total.type:
            raise _unlike(f"give '{name}' as {total.type} and as {node.type}")
        total = Add()(total, node)
    if len(found) == 1:
        return total
    return Mul()(total, literal(1 / len(found), total.type.dtype))


def _unlike(what: str) -> DhcError:
    text = f"Models of an ensemble {what}."
    hint = "choose the best model alone, or give all candidates the same inputs and outputs"
    return DhcError(Diagnostic("ensemble", text, hints=(hint,)))
