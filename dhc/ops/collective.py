"""Operators over the whole batch of all ranks."""

from __future__ import annotations

from collections.abc import Sequence

from dhc.ir.graph import Node
from dhc.ops.base import Composite, op, require_elements
from dhc.ops.elementwise import Div
from dhc.ops.reduce import ReduceMean, ReduceSum
from dhc.ops.sample import Sample, sample


@op("batch_mean")
class BatchMean(Composite):
    """The mean of all elements of the batch, a scalar: of each rank's part together.

    With a second tensor it is a weighted mean, sum(x) / sum(weight), where x has been multiplied
    by its weights already; the two may differ in shape.
    """

    def expand(self, x: Node, *weight: Node) -> Node:
        require_elements(self.name, "float", tuple(node.type for node in (x, *weight)))
        if not weight:
            return ReduceMean()(x)
        return Div()(ReduceSum()(x), ReduceSum()(weight[0]))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            sample(cls(), "f32[2, 3, 4]"),
            sample(cls(), "f32[3, 2]", "f32[3]", ranges=((-2.0, 2.0), (0.5, 1.5))),
        ]
