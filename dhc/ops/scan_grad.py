"""The gradient of loops over time: a loop in the other direction.

It reads what it needs of each step from sequences that the forward loop gives besides its results;
nothing else is kept. The weights' share of each step is not added up in the loop where one product
over all steps does it: for dense layers, biases and tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from dhc.ir.graph import Graph, Node, literal, topological
from dhc.ir.rewrite import rebuild
from dhc.ir.types import Tensor
from dhc.ops.closure import close, placeholder
from dhc.ops.differentiate import pull_back_all
from dhc.ops.elementwise import Add
from dhc.ops.linear import MatMul, transposed
from dhc.ops.lookup_grad import GatherGrad
from dhc.ops.movement import Expand
from dhc.ops.reduce import ReduceSum
from dhc.ops.scan import Scan
from dhc.ops.shape import Permute, Reshape

Gradients = tuple[Node | None, ...]


def scan_gradients(results: Sequence[tuple[Scan, Node]], inputs: Sequence[Node]) -> Gradients:
    """Returns the gradient for each input of a loop.

    Args:
        results: Results of one loop, each with the gradient for it.
        inputs: What the loop reads.
    """
    forward = _Forward(results[0][0].loop, tuple(inputs))
    backward = _Backward(forward.loop)
    moving = forward.loop.sequences + forward.loop.carried
    made: list[Make | None] = []
    for place, step in enumerate(_steps(forward, backward, results)):
        if step is None:
            made.append(None)
        elif place < forward.loop.sequences:
            made.append(backward.stacked(step))
        elif place < moving:
            made.append(backward.final(backward.carried[place - forward.loop.sequences]))
        else:
            made.append(_over_time(backward, step))
    finished = backward.finish()
    return tuple(None if make is None else make(finished) for make in made)


def zeros(type: Tensor) -> Node:
    """Returns a tensor of zeros."""
    zero = literal(0.0 if type.dtype.is_float else 0, type.dtype)
    return Expand(type.shape)(zero) if type.shape else zero


# ---- the two loops ---------------------------------------------------------------------------


@dataclass
class _Forward:
    """The loop forwards, and what the loop backwards reads of it."""

    loop: Scan
    inputs: tuple[Node, ...]

    def __post_init__(self) -> None:
        body, moving = self.loop.body, self.loop.sequences + self.loop.carried
        self.captures = dict(zip(body.inputs[moving:], self.inputs[moving:], strict=True))
        self.elements = dict(zip(body.inputs, self.inputs[: self.loop.sequences], strict=False))
        self._moving = set(body.inputs[:moving])
        for node in topological(body.roots):
            if any(source in self._moving for source in node.inputs):
                self._moving.add(node)

    def changes(self, node: Node) -> bool:
        """Whether a value of the body depends on more than captures."""
        return node in self._moving

    def sequence(self, node: Node) -> Node:
        """The values of all steps: an input, or one more result of the loop."""
        if node in self.elements:
            return self.elements[node]
        body = self.loop.body
        outputs = [output for _, output in body.outputs]
        if node in outputs:
            return replace(self.loop, output=outputs.index(node))(*self.inputs)
        more = Graph(body.name, body.inputs, (*body.outputs, ("kept", node)))
        return replace(self.loop, body=more, output=len(outputs))(*self.inputs)


@dataclass(frozen=True)
class _Finished:
    """The loop backwards when nothing is added to it any more."""

    scan: Scan
    inputs: tuple[Node, ...]

    def stack(self, number: int) -> Node:
        return replace(self.scan, output=self.scan.carried + number)(*self.inputs)

    def final(self, number: int) -> Node:
        return replace(self.scan, output=number, last=True)(*self.inputs)


Make = Callable[[_Finished], Node]


@dataclass(frozen=True)
class _Carry:
    """Something that the loop backwards carries: a gradient or a sum of gradients."""

    start: Node
    inner: Node
    following: Node


@dataclass
class _Backward:
    """The loop backwards while it is put together.

    Attributes:
        forward: The loop that it follows in the other direction.
        sequences: Placeholders of what it reads step by step, by the sequence.
        carries: What it carries; `carried` says which belongs to which forward carry.
        yielded: What it gives for each step.
    """

    forward: Scan
    sequences: dict[Node, Node] = field(default_factory=dict)
    carries: list[_Carry] = field(default_factory=list)
    carried: dict[int, int] = field(default_factory=dict)
    yielded: list[Node] = field(default_factory=list)

    def element(self, sequence: Node) -> Node:
        """The placeholder of one element of a sequence."""
        type = sequence.type.with_shape(sequence.type.shape[1:])
        return self.sequences.setdefault(sequence, placeholder("step", type))

    def stacked(self, step: Node) -> Make:
        """The values of all steps."""
        known = {inner: sequence for sequence, inner in self.sequences.items()}
        if step in known:
            return lambda loop: known[step]
        if step not in self.yielded:
            self.yielded.append(step)
        number = self.yielded.index(step)
        return lambda loop: loop.stack(number)

    def final(self, number: int) -> Make:
        """The carried value after the last step."""
        return lambda loop: loop.final(number)

    def finish(self) -> _Finished:
        bound = (*self.sequences.values(), *(carry.inner for carry in self.carries))
        outputs = [carry.following for carry in self.carries] + self.yielded
        closure = close(bound, outputs)
        starts = (carry.start for carry in self.carries)
        scan = Scan(
            closure.body, len(self.sequences), len(self.carries), self.forward.length,
            reverse=not self.forward.reverse,
        )  # fmt: skip
        return _Finished(scan, (*self.sequences, *starts, *closure.captures))


# ---- one step --------------------------------------------------------------------------------


def _steps(
    forward: _Forward, backward: _Backward, results: Sequence[tuple[Scan, Node]]
) -> Gradients:
    """The gradient for each forward input in one step, as the loop backwards computes it."""
    loop, body = forward.loop, forward.loop.body
    ends = {op.output: upstream for op, upstream in results if op.last}
    inner = {
        place: placeholder("gradient", node.type)
        for place, (_, node) in enumerate(body.outputs[: loop.carried])
        if node.type.dtype.is_float
    }
    pairs = [(body.outputs[place][1], node) for place, node in inner.items()]
    for op, upstream in results:
        if not op.last:
            pairs.append((body.outputs[op.output][1], backward.element(upstream)))
    found = pull_back_all(pairs, body.inputs)
    fresh = {*backward.sequences.values(), *inner.values()}
    steps = _Translation(forward, backward, fresh).all(found)
    for place, node in inner.items():
        following = steps[loop.sequences + place] or zeros(node.type)
        backward.carried[place] = len(backward.carries)
        backward.carries.append(_Carry(ends.get(place) or zeros(node.type), node, following))
    return steps


@dataclass
class _Translation:
    """Puts in place of forward values what the loop backwards has for them."""

    forward: _Forward
    backward: _Backward
    fresh: set[Node]

    def all(self, found: Gradients) -> Gradients:
        order = list(topological(node for node in found if node is not None))
        own = set(self.fresh)
        for node in order:
            if any(source in own for source in node.inputs):
                own.add(node)
        self._known = {node: node for node in self.fresh}
        for node in order:
            if node in own and node not in self._known:
                self._known[node] = rebuild(node, tuple(map(self._value, node.inputs)))
        return tuple(None if node is None else self._value(node) for node in found)

    def _value(self, node: Node) -> Node:
        if node not in self._known:
            self._known[node] = self._of_forward(node)
        return self._known[node]

    def _of_forward(self, node: Node) -> Node:
        if node in self.forward.captures:
            return self.forward.captures[node]
        if self.forward.changes(node):
            return self.backward.element(self.forward.sequence(node))
        return rebuild(node, tuple(map(self._value, node.inputs)))


# ---- sums over all steps ---------------------------------------------------------------------


def _over_time(backward: _Backward, step: Node) -> Make:
    """The sum over all steps of a gradient: one operator over all of them where there is one."""
    match step.op:
        case Add() if all(source.type == step.type for source in step.inputs):
            parts = [_over_time(backward, source) for source in step.inputs]
            return lambda loop: Add()(*(part(loop) for part in parts))
        case Reshape(shape):
            whole = _over_time(backward, step.inputs[0])
            return lambda loop: Reshape(shape)(whole(loop))
        case MatMul() if _is_transposed(step.inputs[0]) and step.inputs[1].type.rank == 2:
            left = backward.stacked(step.inputs[0].inputs[0])
            right = backward.stacked(step.inputs[1])
            return lambda loop: MatMul()(transposed(_rows(left(loop))), _rows(right(loop)))
        case ReduceSum() as reduce:
            axes = (0, *(axis + 1 for axis in reduce.folded(step.inputs[0].type)))
            terms = backward.stacked(step.inputs[0])
            return lambda loop: Reshape(step.type.shape)(ReduceSum(axes)(terms(loop)))
        case GatherGrad(size, 0):
            rows, places = (backward.stacked(source) for source in step.inputs)
            return lambda loop: GatherGrad(size)(rows(loop), places(loop))
    inner = placeholder("sum", step.type)
    backward.carries.append(_Carry(zeros(step.type), inner, Add()(inner, step)))
    return backward.final(len(backward.carries) - 1)


def _is_transposed(matrix: Node) -> bool:
    return matrix.op == Permute((1, 0))


def _rows(stack: Node) -> Node:
    """[T, rows, columns] as [T * rows, columns]."""
    steps, rows, columns = stack.type.shape
    return Reshape((steps * rows, columns))(stack)
