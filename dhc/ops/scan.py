"""Loops over time: one closed graph for every step along the first axis of sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from dhc.ir.graph import Graph, Input, Node, Op, input_label, topological
from dhc.ir.rewrite import rebuild, specialise
from dhc.ir.size import Size, static, substitute, unify
from dhc.ir.types import Tensor
from dhc.ops.activation import Tanh
from dhc.ops.base import Array, Composite, TypeRuleError, op, run
from dhc.ops.elementwise import Add, Mul
from dhc.ops.linear import Dense
from dhc.ops.movement import slice_axis
from dhc.ops.outward import Body, Outward, Term
from dhc.ops.sample import Sample, sample, tensor
from dhc.ops.sequence import Positions
from dhc.ops.shape import Reshape, joined


@op("scan")
class Scan(Composite):
    """What a closed graph gives for each step of sequences, whose first axis is time.

    Its inputs are the sequences [T, ...], the start values of what is carried from step to step,
    and the captures: values that every step reads. The body's inputs are the same by position,
    with one element of each sequence; its outputs are the next carried values, then what else a
    step makes. A loop with several results is several nodes that differ in `output` alone.

    Attributes:
        body: The closed graph of one step; its inputs are called "0", "1", ...
        sequences, carried: How many of the inputs are sequences and start values.
        length: The number of steps.
        output: Which output of the body this is.
        last: Whether the result is that of the last step alone, not one for each step [T, ...].
        reverse: Whether the last element of the sequences comes first.
    """

    body: Graph
    sequences: int
    carried: int
    length: Size
    output: int = 0
    last: bool = False
    reverse: bool = False

    def infer(self, *inputs: Tensor) -> Tensor:
        if len(inputs) != len(self.body.inputs):
            raise TypeRuleError(f"'scan' takes {len(self.body.inputs)} inputs.")
        for position, (given, inner) in enumerate(zip(inputs, self.body.inputs, strict=True)):
            self._check(position, given, inner.type)
        for place in range(self.carried):
            start, following = inputs[self.sequences + place], self.body.outputs[place][1].type
            if start != following:
                raise TypeRuleError(
                    f"'scan' starts with {start} and goes on with {following}.",
                    self.sequences + place,
                )
        if self.last and self.output >= self.carried:
            raise TypeRuleError("'scan' has a last value only of what it carries.")
        step = self.body.outputs[self.output][1].type
        return step if self.last else step.with_shape((self.length, *step.shape))

    def _check(self, position: int, given: Tensor, inner: Tensor) -> None:
        if position < self.sequences:
            if given.rank < 1 or unify(given.shape[0], self.length) is None:
                raise TypeRuleError(f"'scan' has {self.length} steps, not {given}.", position)
            given = given.with_shape(given.shape[1:])
        if given != inner:
            raise TypeRuleError(f"'scan' needs {inner} in each step, not {given}.", position)

    def substitute(self, bindings: Mapping[str, Size]) -> Op:
        length = substitute(self.length, bindings)
        return replace(self, body=specialise(self.body, bindings), length=length)

    def numpy(self, *inputs: Array) -> Array:
        labels = [input_label(node) for node in self.body.inputs]
        values: dict[str, Array] = dict(zip(labels, inputs, strict=True))
        carries = labels[self.sequences : self.sequences + self.carried]
        results: list[Array] = []
        made: dict[int, Array] = {}
        for step in self.steps():
            for label, sequence in zip(labels[: self.sequences], inputs, strict=False):
                values[label] = sequence[step]
            results = run([node for _, node in self.body.outputs], values)
            values.update(zip(carries, results, strict=False))
            made[step] = results[self.output]
        return (
            results[self.output] if self.last else np.stack([made[step] for step in sorted(made)])
        )

    def steps(self) -> Sequence[int]:
        """The steps in the order in which they run."""
        (length,) = static((self.length,))
        return range(length)[::-1] if self.reverse else range(length)

    def expand(self, *inputs: Node) -> Node:
        """All steps one after another: what a short loop becomes."""
        carries = inputs[self.sequences : self.sequences + self.carried]
        captures = inputs[self.sequences + self.carried :]
        made: dict[int, Node] = {}
        results: tuple[Node, ...] = ()
        for step in self.steps():
            elements = [element_at(sequence, step) for sequence in inputs[: self.sequences]]
            results = inline(self.body, (*elements, *carries, *captures))
            carries = results[: self.carried]
            made[step] = results[self.output]
        if self.last:
            return results[self.output]
        return joined([_as_step(made[step]) for step in sorted(made)], 0)

    def grad(self, upstream: Node, output: Node, *inputs: Node) -> tuple[Node | None, ...]:
        from dhc.ops.scan_grad import scan_gradients

        return scan_gradients([(self, upstream)], inputs)

    @property
    def loop(self) -> Scan:
        """The same for all results of one loop."""
        return replace(self, output=0, last=False)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """One loop for all nodes that differ in `output` alone."""
        loop = out.once((self.loop, inputs))
        if not loop:
            loop["last"], loop["steps"] = self._loop_to_onnx(out, inputs)
        return loop["last" if self.last else "steps"][self.output]

    def _loop_to_onnx(
        self, out: Outward, inputs: Sequence[Term]
    ) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
        """The last values of what is carried, and what all steps make.

        Captures are read from outside; ONNX wants a sequence in every loop, if only of numbers.
        """
        bound = self.sequences + self.carried
        sequences = inputs[: self.sequences] or (out.apply(Positions(self.length)),)
        starts = inputs[self.sequences : bound]
        body, steps = self._body_to_onnx(out, sequences, starts, inputs[bound:])
        results = [each.type for each in starts] + [
            each.type.with_shape((self.length, *each.shape)) for each in steps
        ]
        found = out.several(
            "Scan", (*starts, *sequences), results, body=body, num_scan_inputs=len(sequences),
            scan_input_directions=(int(self.reverse),) * len(sequences),
            scan_output_directions=(int(self.reverse),) * len(steps),
        )  # fmt: skip
        return found[: self.carried], found[self.carried :]

    def _body_to_onnx(
        self,
        out: Outward,
        sequences: Sequence[Term],
        starts: Sequence[Term],
        captures: Sequence[Term],
    ) -> tuple[Body, list[Term]]:
        """One step as a graph, and what it makes besides the next carried values."""
        inner = out.within()
        elements = [inner.parameter(s.type.with_shape(s.shape[1:])) for s in sequences]
        carries = [inner.parameter(each.type) for each in starts]
        given = (*elements[: self.sequences], *carries, *captures)
        known = dict(zip(self.body.inputs, given, strict=True))
        made = [inner.graph(node, known) for node in self.body.roots]
        states = [inner.node("Identity", (each,), each.type) for each in made[: self.carried]]
        steps = [inner.node("Identity", (each,), each.type) for each in made]
        return Body((*carries, *elements), (*states, *steps), tuple(inner.nodes)), steps

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        types = ("f32[4, 2, 3]", "f32[2, 5]", "f32[5, 3]", "f32[5, 5]", "f32[5]")
        body = _sample_body(*(tensor(text) for text in ("f32[2, 3]", *types[1:])))
        variants = (cls(body, 1, 1, 4, 1), cls(body, 1, 1, 4, last=True, reverse=True))
        return [sample(variant, *types) for variant in variants]


def _sample_body(*types: Tensor) -> Graph:
    """A recurrent layer whose steps also give the product of the old and the new state."""
    x, h, into, back, bias = (Input(str(i), type)() for i, type in enumerate(types))
    following = Tanh()(Add()(Dense()(x, into, bias), Dense()(h, back)))
    outputs = (("h", following), ("y", Mul()(following, h)))
    return Graph("step", (x, h, into, back, bias), outputs)


# ---- bodies ----------------------------------------------------------------------------------


def element_at(sequence: Node, step: int) -> Node:
    """Returns one element of a sequence."""
    return Reshape(sequence.type.shape[1:])(slice_axis(sequence, 0, step, step + 1))


def _as_step(value: Node) -> Node:
    return Reshape((1, *value.type.shape))(value)


def inline(body: Graph, inputs: Sequence[Node]) -> tuple[Node, ...]:
    """Returns the results of a closed graph for these inputs."""
    done: dict[Node, Node] = dict(zip(body.inputs, inputs, strict=True))
    for node in topological(body.roots):
        if node not in done:
            done[node] = rebuild(node, tuple(done[source] for source in node.inputs))
    return tuple(done[node] for node in body.roots)
