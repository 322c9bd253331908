"""Turns the step of one rank into the step of each of several, with the same result.

Every rank computes with its part of the batch. Sums and means over the samples are summed over the
ranks; where a rank's own values begin to depend on a shared one, such as a parameter, a mark makes
the gradient a sum over the ranks too. So a rank's gradients are those of the whole batch.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Graph, Input, Node, Op, Origin, Param, topological
from dhc.ir.rewrite import transform
from dhc.ir.size import Expr, Size, substitute, symbol, symbols
from dhc.ir.types import Tensor
from dhc.ops.base import Composite, Operator
from dhc.ops.collective import AllReduce, BatchMean, Shared
from dhc.ops.elementwise import Div, Mul
from dhc.ops.movement import Pad, SizeValue, Slice
from dhc.ops.norm_train import BatchNormTrain
from dhc.ops.reduce import ReduceMean, ReduceSum
from dhc.ops.shape import Concat

_LOSS = "loss of this step"


def distribute(network: Graph, loss: Node, batch: Size) -> tuple[Graph, Node]:
    """Returns a network in training and its loss for ranks that share each batch.

    Args:
        network: With its updates, before gradients are taken.
        loss: A scalar.
        batch: The number of samples of a rank, a symbol.

    Raises:
        DhcError: if the number of samples is fixed, or the loss compares samples with each other.
    """
    both = replace(network, outputs=(*network.outputs, (_LOSS, loss)))
    work = _Distribution(both, loss, _symbol(network, batch))
    changed = transform(both, work.step)
    *outputs, (_, found) = changed.outputs
    count = SizeValue(batch, found.type.dtype)()
    updates = tuple(
        (path, _mean_over_ranks(node, count) if node in work.varying else node)
        for path, node in changed.updates
    )
    return replace(changed, outputs=tuple(outputs), updates=updates), found


def _symbol(network: Graph, batch: Size) -> str:
    if isinstance(batch, Expr) and str(batch).isidentifier():
        return str(batch)
    text = f"The model '{network.name}' is for batches of {batch}; ranks share batches of any size."
    hint = "write N for the number of samples: input image: f32[N, ...]"
    raise DhcError(Diagnostic("distribute", text, hints=(hint,)))


def _mean_over_ranks(node: Node, count: Node) -> Node:
    """The mean of the ranks' values, by their numbers of samples."""
    total = AllReduce()(Mul()(node, count))
    return Div()(total, AllReduce()(count))


class _Distribution:
    """One run of the transformation.

    Attributes:
        varying: The new nodes of which each rank has its own.
    """

    def __init__(self, graph: Graph, loss: Node, batch: str) -> None:
        self.varying: set[Node] = set()
        self._graph = graph
        self._batch = batch
        self._inside = set(topological([loss]))
        self._learning: set[Node] = set()  # new nodes that depend on parameters
        self._mixing: dict[tuple[Op, tuple[Tensor, ...]], bool] = {}

    def step(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        if node not in self._inside:
            return self._made(node.op, inputs)
        return self._distributed(node.op, inputs, self._graph.origin(node))

    def _distributed(self, op: Op, inputs: tuple[Node, ...], origin: Origin) -> Node:
        match op:
            case BatchNormTrain():
                return self._marked(op, inputs)
            case SizeValue(size) if self._mentions(size):
                return self._summed(self._linear(op, size, origin), ())
            case BatchMean():
                return self._made(replace(op, across=True), inputs)
            case Composite() if self._mixes(op, inputs):
                return self._expanded(op, inputs, origin)
        if self._crosses(op, inputs):
            raise _refusal(op, origin)
        if not self._folds_samples(op, inputs):
            return self._marked(op, inputs)
        match op:
            case ReduceSum():
                return self._summed(op, inputs)
            case ReduceMean(axes, keepdims):
                total = self._summed(ReduceSum(axes, keepdims), inputs)
                (x,) = inputs
                count = math.prod(x.type.shape[axis] for axis in op.folded(x.type))
                return self._made(Div(), (total, self._summed(SizeValue(count, x.type.dtype), ())))
        raise _refusal(op, origin)

    def _marked(self, op: Op, inputs: tuple[Node, ...]) -> Node:
        """The operator, with marks where a value of this rank depends on a shared one."""
        if self._varies(op, inputs):
            inputs = tuple(self._shared(source) for source in inputs)
        return self._made(op, inputs)

    def _shared(self, source: Node) -> Node:
        if source in self.varying or source not in self._learning:
            return source
        mark = Shared()(source)
        self._learning.add(mark)
        self.varying.add(mark)
        return mark

    def _summed(self, op: Op, inputs: tuple[Node, ...]) -> Node:
        return self._made(AllReduce(), (self._marked(op, inputs),))

    def _made(self, op: Op, inputs: tuple[Node, ...]) -> Node:
        node = op(*inputs)
        if self._varies(op, inputs):
            self.varying.add(node)
        if isinstance(op, Param) or any(source in self._learning for source in inputs):
            self._learning.add(node)
        return node

    def _varies(self, op: Op, inputs: tuple[Node, ...]) -> bool:
        if isinstance(op, AllReduce) or (isinstance(op, BatchMean) and op.across):
            return False
        own = any(self._mentions(getattr(op, field.name)) for field in fields(op))
        return own or any(source in self.varying for source in inputs)

    # ---- composites --------------------------------------------------------------------------

    def _expanded(self, op: Composite, inputs: tuple[Node, ...], origin: Origin) -> Node:
        """What the composite is made of, each part distributed."""
        places = {Input(f"x{k}", node.type)(): node for k, node in enumerate(inputs)}
        done: dict[Node, Node] = {}
        root = op.expand(*places)
        for node in topological([root]):
            parts = tuple(done[source] for source in node.inputs)
            done[node] = places.get(node) or self._distributed(node.op, parts, origin)
        return done[root]

    def _mixes(self, op: Composite, inputs: tuple[Node, ...]) -> bool:
        """Whether samples meet within an operator: in a sum, a mean or by their number."""
        key = op, tuple(node.type for node in inputs)
        if key not in self._mixing:
            places = [Input(f"x{k}", node.type)() for k, node in enumerate(inputs)]
            inside = topological([op.expand(*places)])
            self._mixing[key] = any(self._meets(node) for node in inside)
        return self._mixing[key]

    def _meets(self, node: Node) -> bool:
        if isinstance(node.op, SizeValue):
            return self._mentions(node.op.size)
        if isinstance(node.op, BatchNormTrain):
            return False
        if isinstance(node.op, Composite) and self._mixes(node.op, node.inputs):
            return True
        return self._folds_samples(node.op, node.inputs) or self._crosses(node.op, node.inputs)

    # ---- sizes -------------------------------------------------------------------------------

    def _folds_samples(self, op: Op, inputs: tuple[Node, ...]) -> bool:
        """Whether the samples are an axis of an input and no axis of the result."""
        if not any(self._mentions(node.type) for node in inputs):
            return False
        return not self._mentions(op.infer(*(node.type for node in inputs)))

    def _crosses(self, op: Op, inputs: tuple[Node, ...]) -> bool:
        """Whether an operator brings samples together that stay apart in its result.

        It does if it works along their axis, as sorting and joining do, or pairs them with each
        other, as a product of all samples with all does.
        """
        types = [node.type for node in inputs]
        if isinstance(op, Composite) or not any(self._axes(each) for each in types):
            return False
        result = op.infer(*types)
        if any(len(self._axes(each)) > 1 for each in (*types, result)):
            return True
        changed = result if isinstance(op, Concat) else types[0]
        return any(axis in _worked_along(op, changed) for axis in self._axes(changed))

    def _axes(self, type: Tensor) -> tuple[int, ...]:
        """The axes along which samples lie."""
        return tuple(axis for axis, size in enumerate(type.shape) if self._mentions(size))

    def _mentions(self, value: object) -> bool:
        match value:
            case Tensor(_, shape):
                return self._mentions(shape)
            case tuple():
                return any(self._mentions(item) for item in value)
            case Expr():
                return self._batch in symbols(value)
        return False

    def _linear(self, op: SizeValue, size: Size, origin: Origin) -> SizeValue:
        """The operator, if the numbers of the ranks add up to the number of all samples."""
        if substitute(size, {self._batch: 2 * symbol(self._batch)}) != 2 * size:
            raise _refusal(op, origin)
        return op


def _worked_along(op: Op, first: Tensor) -> set[int]:
    """The axes of what it changes along which an operator relates elements to each other."""
    match op:
        case Slice(start, size, step):
            whole = zip(start, size, step, first.shape, strict=True)
            return {k for k, (a, n, s, all_) in enumerate(whole) if (a, n, s) != (0, all_, 1)}
        case Pad(pads):
            return {axis for axis, both in enumerate(pads) if any(both)}
        case Operator() if op.kind == "opaque":
            return {first.rank - 1}  # explicit loops run along the last axis
    axis = getattr(op, "axis", None)
    windows = range(2, first.rank) if hasattr(op, "kernel") or hasattr(op, "dilation") else ()
    return {*windows, *(() if axis is None else (axis % first.rank,))}


def _refusal(op: Op, origin: Origin) -> DhcError:
    text = f"'{op.name}' puts the samples of a batch together; they lie on several ranks."
    hints = ("let the loss be a sum or a mean over samples", "leave 'distribute' out")
    return DhcError(Diagnostic("distribute", text, origin.span, hints=hints))
