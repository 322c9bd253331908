"""Kernels that compute each element from the elements in the same place: one or several results.

Several results are computed in one pass over memory. Where all tensors of the full shape lie alike
and without gaps, the kernel runs over one long axis.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dhc.ir.graph import Literal_, Node
from dhc.ir.kernel import Kernel, Let, Statement, Store
from dhc.ir.replace import map_children
from dhc.ir.scalar import Buffer, Load, Number, Reduce, Scalar, Var, children, walk
from dhc.ir.types import Tensor
from dhc.lower.schedule import Schedule
from dhc.lower.share import Names, share_all
from dhc.lower.to_kernels import BufferOperand, output_axes
from dhc.ops.base import Index, Operand, Operator, size_scalar


@dataclass(frozen=True)
class Pointwise:
    """Results of one shape, element by element.

    Attributes:
        axes: The index variables.
        values: One element of each result, reading buffers.
        outs: Where the results lie.
    """

    axes: tuple[Var, ...]
    values: tuple[Scalar, ...]
    outs: tuple[Buffer, ...]


def joint_kernel(
    nodes: Sequence[Node],
    buffers: Mapping[Node, Buffer],
    schedule: Schedule,
    flat: bool = False,
) -> Kernel:
    """Returns the kernel that computes several elementwise nodes of one shape.

    Args:
        nodes: What to compute; a node may read those before it.
        buffers: Where the nodes, and everything else that they read, lie. A result may lie where
            an input lies, whose elements are all read first.
        schedule: How axes become loops.
        flat: Whether one long axis may stand for all, where tensors have no gaps.
    """
    found = _elements(nodes, buffers)
    if flat:
        found = flattened(found)
    lets, results = share_all(found.values, Names())
    named, stores = _store_after_reading(results, found)
    read = [part.buffer for value in found.values for part in walk(value) if isinstance(part, Load)]
    extents = tuple(size_scalar(size) for size in _shape(found))
    body = schedule.nest(found.axes, extents, (*lets, *named, *stores), found.outs[0])
    used = tuple(dict.fromkeys((*found.outs, *read)))
    return Kernel("", used, body, outputs=len(found.outs))


def _elements(nodes: Sequence[Node], buffers: Mapping[Node, Buffer]) -> Pointwise:
    axes = output_axes(nodes[0].type)
    known: dict[Node, Scalar] = {}
    for node in nodes:
        assert isinstance(node.op, Operator)
        operands = [_operand(source, known, buffers, axes) for source in node.inputs]
        known[node] = node.op.element(node.type, axes, *operands)
        assert not any(isinstance(part, Reduce) for part in walk(known[node]))
    return Pointwise(axes, tuple(known.values()), tuple(buffers[node] for node in nodes))


def _operand(
    source: Node, known: Mapping[Node, Scalar], buffers: Mapping[Node, Buffer], axes: Index
) -> Operand:
    if source in known:
        return _Known(known[source], source.type, axes)
    assert not isinstance(source.op, Literal_), "literals are part of regions"
    return BufferOperand(buffers[source], source.type)


class _Known(Operand):
    """An operand whose element is being computed in the same place."""

    def __init__(self, element: Scalar, type: Tensor, axes: Index) -> None:
        self._element = element
        self._axes = axes
        self.type = type

    def read(self, index: Index, guard: Scalar | None = None, otherwise: Number = 0) -> Scalar:
        assert _is_own_place(index, self._axes, self.type.shape)
        assert guard is None
        return self._element


def _store_after_reading(
    results: Sequence[Scalar], found: Pointwise
) -> tuple[list[Statement], list[Statement]]:
    """Names for all results, and stores of them: nothing is written before all is read."""
    named: list[Statement] = []
    stores: list[Statement] = []
    for number, (value, out) in enumerate(zip(results, found.outs, strict=True)):
        if children(value):
            name = Var(f"result{number}", value.dtype)
            named.append(Let(name, value))
            value = name
        stores.append(Store(out, found.axes, value))
    return named, stores


# ---- one long axis ---------------------------------------------------------------------------


def flattened(found: Pointwise) -> Pointwise:
    """Returns the same over one axis, if every tensor of the full shape lies alike."""
    parts = list(dict.fromkeys(part for value in found.values for part in walk(value)))
    full = [part for part in parts if _reads_own_place(part, found)]
    buffers = {*found.outs, *(load.buffer for load in full if isinstance(load, Load))}
    others = [part for part in parts if isinstance(part, Load) and part not in full]
    known = all(isinstance(size, int) for size in found.outs[0].shape)
    alike = len({buffer.strides for buffer in buffers}) == 1 and _is_dense(found.outs[0])
    if len(found.axes) < 2 or not (known and alike) or any(load.index for load in others):
        return found
    outside = {child for part in parts if part not in full for child in children(part)}
    if outside & set(found.axes) or set(found.values) & set(found.axes):
        return found
    count = math.prod(_shape(found))
    place = Var("i0", found.axes[0].dtype, count)
    flat = {b: Buffer(b.name, b.type, (count,), (1,), b.space) for b in buffers}
    done: dict[Scalar, Scalar] = {}
    for part in parts:
        if part in found.axes:
            done[part] = part
        elif part in full:
            assert isinstance(part, Load)
            done[part] = Load(flat[part.buffer], (place,))
        else:
            done[part] = map_children(part, done) if children(part) else part
    return Pointwise(
        (place,), tuple(done[value] for value in found.values), tuple(flat[b] for b in found.outs)
    )


def _reads_own_place(part: Scalar, found: Pointwise) -> bool:
    if not isinstance(part, Load) or part.guard is not None:
        return False
    shape = found.outs[0].shape
    return part.buffer.shape == shape and _is_own_place(part.index, found.axes, shape)


def _is_own_place(index: Index, axes: Index, shape: Sequence[object]) -> bool:
    """Whether an index is the place that is being computed; along an axis of one it may say 0."""
    triples = zip(index, axes, shape, strict=True)
    return all(i is axis or size == 1 for i, axis, size in triples)


def _shape(found: Pointwise) -> tuple[int, ...]:
    return tuple(size for size in found.outs[0].shape if isinstance(size, int))


def _is_dense(buffer: Buffer) -> bool:
    """Whether a buffer has no gaps, in whatever order its axes lie."""
    axes = [
        (stride, size)
        for stride, size in zip(buffer.strides, buffer.shape, strict=True)
        if isinstance(stride, int) and isinstance(size, int) and size != 1
    ]
    step = 1
    for stride, size in sorted(axes):
        if stride != step:
            return False
        step *= size
    return True
