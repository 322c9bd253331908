"""What follows a sum of products in its kernel: any expression of the sum and other tensors."""

from __future__ import annotations

from dataclasses import dataclass

from dhc.ir.graph import Input, Node, input_label
from dhc.ir.kernel import Let, Statement
from dhc.ir.replace import map_children
from dhc.ir.rewrite import rebuild, transform
from dhc.ir.scalar import Buffer, Number, Reduce, Scalar, Var, children, walk
from dhc.ir.types import Tensor
from dhc.lower.expand_math import expand_math
from dhc.lower.share import Names, share
from dhc.lower.stored import stored
from dhc.lower.to_kernels import BufferOperand, output_axes
from dhc.ops.base import Index, Operand
from dhc.ops.region import Inlined, Region

SUM = "sum"


@dataclass(frozen=True)
class Epilogue:
    """`definitions` and then `result`, in terms of the variable `total` and of index variables."""

    total: Var
    definitions: tuple[Statement, ...]
    result: Scalar


def split_definition(value: Scalar) -> tuple[Reduce, Epilogue] | None:
    """Splits an element's definition into its only sum and what is made of it.

    Returns None where there is not exactly one reduction.
    """
    found = {part for part in walk(value) if isinstance(part, Reduce)}
    if len(found) != 1:
        return None
    (reduce,) = found
    total = Var(SUM, reduce.dtype)
    done: dict[Scalar, Scalar] = {reduce: total}
    for part in walk(value):
        if part not in done:
            done[part] = map_children(part, done) if children(part) else part
    definitions, result = share(expand_math(stored(done[value])), Names())
    return reduce, Epilogue(total, definitions, result)


def after(node: Node, inner: Node, buffers: tuple[Buffer, ...]) -> Epilogue:
    """What a step makes of the element of `inner`, an operator within it of the same shape."""
    total = Var(SUM, inner.type.dtype)
    if not isinstance(node.op, Region):
        return Epilogue(total, (), total)
    leaves: dict[str, Operand] = {
        input_label(leaf): BufferOperand(buffer, leaf.type)
        for leaf, buffer in zip(node.op.body.inputs, buffers[1:], strict=True)
    }
    leaves[SUM] = _Known(total, inner.type)
    stand_in = Input(SUM, inner.type)()

    def step(part: Node, inputs: tuple[Node, ...]) -> Node:
        return stand_in if part is inner else rebuild(part, inputs)

    root = transform(node.op.body, step).outputs[0][1]
    value = Inlined(root, leaves, None, {}).read(output_axes(node.type))
    definitions, result = share(expand_math(stored(value)), Names())
    return Epilogue(total, definitions, result)


class _Known(Operand):
    """An operand whose element is a variable, wherever it is read."""

    def __init__(self, element: Var, type: Tensor) -> None:
        self._element = element
        self.type = type

    def read(self, index: Index, guard: Scalar | None = None, otherwise: Number = 0) -> Scalar:
        return self._element


def lets(epilogue: Epilogue) -> list[Let]:
    """The definitions, which are all of one kind."""
    return [statement for statement in epilogue.definitions if isinstance(statement, Let)]
