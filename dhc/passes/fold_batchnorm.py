"""Folds batch normalisation into the convolution or dense layer before it.

The new weights are computed from parameters alone, so they move into the prepare graph. Parameters
that the graph itself updates are left as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dhc.ir.graph import Graph, Node, literal
from dhc.ir.rewrite import rebuild, transform
from dhc.ir.rules import single_use
from dhc.ops.conv import Conv
from dhc.ops.elementwise import Add, Div, Mul, Sqrt, Sub
from dhc.ops.norm import BatchNorm
from dhc.ops.shape import Reshape
from dhc.passes.manager import Pass
from dhc.passes.prepare import depends_on_state


@dataclass(frozen=True)
class FoldBatchNorm(Pass):
    """batchnorm(conv(x, w, b)) => conv(x, w * factor, (b - mean) * factor + shift)."""

    name: ClassVar[str] = "fold_batchnorm"
    optional: ClassVar[bool] = True

    def __call__(self, graph: Graph) -> Graph:
        once = single_use(graph)
        changing = depends_on_state(graph)

        def step(node: Node, inputs: tuple[Node, ...]) -> Node:
            foldable = isinstance(node.op, BatchNorm) and once[node.inputs[0]]
            foldable = foldable and not any(
                source in changing for source in (*node.inputs[1:], *node.inputs[0].inputs[1:])
            )
            if foldable and isinstance(inputs[0].op, Conv):
                return _fold(node, inputs)
            return rebuild(node, inputs)

        return transform(graph, step)


def _fold(node: Node, inputs: tuple[Node, ...]) -> Node:
    convolution, scale, shift, mean, variance = inputs
    assert isinstance(node.op, BatchNorm)
    x, weight, *bias = convolution.inputs
    epsilon = literal(node.op.epsilon, variance.type.dtype)
    factor = Div()(scale, Sqrt()(Add()(variance, epsilon)))
    column = Reshape((weight.type.shape[0], *[1] * (weight.type.rank - 1)))(factor)
    centred = Sub()(bias[0], mean) if bias else Sub()(literal(0.0, mean.type.dtype), mean)
    offset = Add()(Mul()(centred, factor), shift)
    return convolution.op(x, Mul()(weight, column), offset)
