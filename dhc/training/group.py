"""Gradient accumulation: one update from a group of batches, equal to one from a large batch.

The gradient of each batch is added up with the weight that the batch has in the mean of the loss:
its number of samples, or, where the loss is a weighted mean, the sum of its weights. After the last
batch of a group the sum is divided by the sum of those weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dhc.ir.graph import Node, Param, literal
from dhc.ir.types import Tensor
from dhc.ops.base import Composite
from dhc.ops.collective import BatchMean
from dhc.ops.compare import Greater
from dhc.ops.elementwise import Add, Div, Mul

SUM, WEIGHT = "group/sum", "group/weight"  # of the gradients so far, and of the batches' weights


@dataclass(frozen=True)
class Part:
    """The place of a batch in its group.

    Attributes:
        samples: How many the batch has, on all ranks.
        first, last: Whether it begins and ends the group.
        present: Whether this rank has samples of its own in it.
    """

    samples: int = 1
    first: bool = True
    last: bool = True
    present: bool = True

    def numbers(self) -> dict[str, float]:
        """Returns what the step is told, by name."""
        named = {"samples": self.samples, "keep": not self.first, "last": self.last}
        return {f"group.{name}": float(value) for name, value in named.items()}


@dataclass(frozen=True)
class Accumulated:
    """Gradients of a group so far.

    Attributes:
        gradients: By path; means over the group as far as it has come.
        updates: New values of what is kept between the batches of a group.
        weight: Of this batch in the mean of the loss.
        last: Whether the group is complete, a bool.
    """

    gradients: dict[str, Node]
    updates: list[tuple[str, Node]]
    weight: Node
    last: Node


def accumulate(
    gradients: Mapping[str, Node], loss: Node, numbers: Mapping[str, Node]
) -> Accumulated:
    """Adds the gradients of a batch to those of its group."""
    samples, keep, last = (numbers[f"group.{name}"] for name in ("samples", "keep", "last"))
    dtype = loss.type.dtype
    weight = weight_of(loss, samples)
    total = _added(WEIGHT, weight, keep)
    sums = {path: _added(f"{SUM}/{path}", Mul()(g, weight), keep) for path, g in gradients.items()}
    means = {path: Div()(node, total) for path, node in sums.items()}
    updates = [(WEIGHT, total), *((f"{SUM}/{path}", node) for path, node in sums.items())]
    return Accumulated(means, updates, weight, Greater()(last, literal(0.5, dtype)))


def weight_of(loss: Node, samples: Node) -> Node:
    """Returns by what the mean of a batch was divided; the number of samples if nothing tells."""
    while isinstance(loss.op, Composite) and not isinstance(loss.op, BatchMean):
        loss = loss.op.expand(*loss.inputs)
    if isinstance(loss.op, BatchMean) and len(loss.inputs) > 1:
        return loss.op.weight(*loss.inputs)
    return samples


def _added(path: str, new: Node, keep: Node) -> Node:
    before = Param(path, Tensor(new.type.dtype, new.type.shape), trainable=False)()
    return Add()(Mul()(before, keep), new)
