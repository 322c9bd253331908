"""Loops over time: the operator that a `scan` becomes, and how its body is closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from dhc.frontend.axes import axis_index
from dhc.ir.graph import Array, Graph, Input, Node, Op, input_label, topological
from dhc.ir.rewrite import specialise
from dhc.ir.size import Size
from dhc.ir.types import Tensor
from dhc.ops.base import Operator, OperatorKind, run


@dataclass(frozen=True)
class Scan(Operator):
    """One set of weights for every step along an axis.

    Its inputs are the sequences, the start values of what is carried, and the captures: values of
    the surroundings, parameters among them. The body's inputs are the same by position, with one
    element of each sequence; its outputs are the next carried values, then what is yielded.

    Attributes:
        body: The closed graph of one step.
        sequences, carried: How many of the inputs are sequences and start values.
        axis: The axis of the sequences, and of the result.
        output: Which of the yielded values the result stacks.
    """

    name: ClassVar[str] = "scan"
    kind: ClassVar[OperatorKind] = "opaque"

    body: Graph
    sequences: int
    carried: int
    axis: int
    output: int

    def infer(self, *inputs: Tensor) -> Tensor:
        step = self.body.outputs[self.carried + self.output][1].type
        length = inputs[0].shape[self.axis]
        return step.with_shape((*step.shape[: self.axis], length, *step.shape[self.axis :]))

    def substitute(self, bindings: Mapping[str, Size]) -> Op:
        return replace(self, body=specialise(self.body, bindings))

    def numpy(self, *inputs: Array) -> Array:
        labels = [input_label(node) for node in self.body.inputs]
        values: dict[str, Array] = dict(zip(labels, inputs, strict=True))
        carries = labels[self.sequences : self.sequences + self.carried]
        for label, node in zip(
            labels[self.sequences :], self.body.inputs[self.sequences :], strict=True
        ):
            values[label] = np.broadcast_to(values[label], node.type.static_shape)
        steps = []
        for step in range(inputs[0].shape[self.axis]):
            for label, sequence in zip(labels, inputs[: self.sequences], strict=False):
                values[label] = np.take(sequence, step, self.axis)
            results = run([node for _, node in self.body.outputs], values)
            values.update(zip(carries, results, strict=False))
            steps.append(results[self.carried + self.output])
        return np.stack(steps, self.axis)


def time_axis(sequence: Tensor) -> int:
    """The axis that a scan goes along: T where the type names it, else the second."""
    named = axis_index("T", sequence.shape)
    return 1 if named is None else named


def element_type(sequence: Tensor, axis: int) -> Tensor:
    """The type of one step of a sequence."""
    return sequence.with_shape((*sequence.shape[:axis], *sequence.shape[axis + 1 :]))


def close_body(
    placeholders: tuple[Node, ...], outputs: tuple[tuple[str, Node], ...]
) -> tuple[Graph, tuple[Node, ...]]:
    """The body as a graph of its own, and the outer values that it captures."""
    inside: set[Node] = set(placeholders)
    order = list(topological(node for _, node in outputs))
    for node in order:
        if any(source in inside for source in node.inputs):
            inside.add(node)
    captured: dict[Node, Node] = {}
    rebuilt: dict[Node, Node] = {node: node for node in placeholders}

    def use(node: Node) -> Node:
        if node in inside:
            return rebuilt[node]
        label = f"capture{len(captured)}"
        return captured.setdefault(node, Input(label, node.type)())

    for node in order:
        if node in inside and node not in rebuilt:
            rebuilt[node] = node.op(*map(use, node.inputs))
    closed = tuple((name, use(node)) for name, node in outputs)
    graph = Graph("scan", (*placeholders, *captured.values()), closed)
    return graph, tuple(captured)
