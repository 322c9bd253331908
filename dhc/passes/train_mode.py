"""Turns a network as it is used into one as it is trained: zeros and statistics of batches."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Graph, Node, Origin, Param, literal, topological
from dhc.ir.rewrite import rebuild, transform
from dhc.ir.size import Size
from dhc.ir.types import DType
from dhc.ops.compare import GreaterEqual
from dhc.ops.dropout import Dropout
from dhc.ops.elementwise import Add, Mul, Where
from dhc.ops.norm import BatchNorm
from dhc.ops.norm_train import BatchNormTrain, channel_mean, channel_variance, unbiased
from dhc.ops.random import RandomUniform, counter, counters_of
from dhc.ops.scan import Scan
from dhc.passes.manager import Pass


@dataclass(frozen=True)
class TrainMode(Pass):
    """Dropout draws zeros; batch normalisation uses the batch and keeps running statistics.

    Attributes:
        batch: The number of samples; the first axis of what dropout takes.
        frozen: Paths of parameters that training leaves alone. A batch normalisation whose scale
            is among them goes on using its running statistics.
        across: Whether statistics of batches are those of all ranks.
    """

    name: ClassVar[str] = "train_mode"
    batch: Size
    frozen: frozenset[str] = frozenset()
    across: bool = False

    def __call__(self, graph: Graph) -> Graph:
        state = _State(self, graph)
        changed = transform(graph, state.step)
        new = [each for each in counters_of(changed.roots) if each not in changed.inputs]
        updates = (*graph.updates, *((path, node) for path, node in state.running.items()))
        return replace(changed, inputs=(*changed.inputs, *new), updates=updates)


@dataclass
class _State:
    """What one run of the pass knows.

    Attributes:
        running: The newest value of every running statistic, by path.
    """

    options: TrainMode
    graph: Graph
    running: dict[str, Node] = field(default_factory=dict)

    def step(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        match node.op:
            case Dropout() as dropout:
                return self._zeros(dropout, inputs[0], self.graph.origin(node))
            case BatchNorm() as norm if self._learns(inputs):
                return self._normalised(norm, inputs)
            case Scan() as scan:
                self._check_body(scan.body, self.graph.origin(node))
        return rebuild(node, inputs)

    def _check_body(self, body: Graph, origin: Origin) -> None:
        """Refuses what draws or learns statistics in every step of a loop."""
        for node in topological(body.roots):
            if isinstance(node.op, Scan):
                self._check_body(node.op.body, origin)
            draws = isinstance(node.op, Dropout) and node.op.rate > 0
            if draws or isinstance(node.op, BatchNorm):
                text = f"'{node.op.name}' cannot be trained inside of a scan."
                hint = "put it before the scan or after it, where it takes the whole sequence"
                raise DhcError(Diagnostic("no-gradient", text, origin.span, hints=(hint,)))

    def _zeros(self, dropout: Dropout, x: Node, origin: Origin) -> Node:
        if dropout.rate == 0:
            return x
        if not x.type.shape or x.type.shape[0] != self.options.batch:
            text = f"In training, 'dropout' needs the samples along its first axis, not {x.type}."
            raise DhcError(Diagnostic("shape-mismatch", text, origin.span))
        drawn = RandomUniform(dropout.stream, x.type.shape[1:])(counter(self.options.batch))
        kept = GreaterEqual()(drawn, literal(dropout.rate, DType.F32))
        dtype = x.type.dtype
        grown = Mul()(x, literal(1 / (1 - dropout.rate), dtype))
        return Where()(kept, grown, literal(0.0, dtype))

    def _learns(self, inputs: tuple[Node, ...]) -> bool:
        _, scale, _, mean, variance = inputs
        if not isinstance(mean.op, Param) or not isinstance(variance.op, Param):
            return False
        return not (isinstance(scale.op, Param) and scale.op.path in self.options.frozen)

    def _normalised(self, norm: BatchNorm, inputs: tuple[Node, ...]) -> Node:
        x, scale, shift, mean, variance = inputs
        across = self.options.across
        own = channel_mean(x, across)
        spread = unbiased(channel_variance(x, own, across), x, across)
        self._mix(mean, own, norm.momentum)
        self._mix(variance, spread, norm.momentum)
        return BatchNormTrain(norm.epsilon, across)(x, scale, shift)

    def _mix(self, statistic: Node, own: Node, momentum: float) -> None:
        """Mixes a share of the batch's own statistic into the running one."""
        assert isinstance(statistic.op, Param)
        path, dtype = statistic.op.path, own.type.dtype
        before = self.running.get(path, statistic)
        kept = Mul()(before, literal(1 - momentum, dtype))
        self.running[path] = Add()(kept, Mul()(own, literal(momentum, dtype)))
