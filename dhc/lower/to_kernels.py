"""Turns one node into one kernel: its definition, reductions made loops, shared parts named."""

from __future__ import annotations

from collections.abc import Callable

from dhc.ir.evaluate import reduce_identity, total_type
from dhc.ir.graph import Literal_, Node
from dhc.ir.kernel import Assign, Declare, For, If, Kernel, Statement, Store
from dhc.ir.replace import map_children
from dhc.ir.scalar import (
    Binary,
    Buffer,
    Const,
    Fma,
    Load,
    Number,
    Reduce,
    Scalar,
    Var,
    cast,
    children,
    index,
    lift,
    maximum,
    minimum,
)
from dhc.ir.simplify import interval
from dhc.ir.size import symbols
from dhc.ir.types import DType, Tensor
from dhc.lower.parts import in_parts
from dhc.lower.schedule import Schedule
from dhc.lower.share import Names, share
from dhc.ops.base import Index, Operand, Operator, Structured, axis_variable, size_scalar


class BufferOperand(Operand):
    """An input that lies in memory.

    Args:
        buffer: Where.
        type: Its logical type.
        halo: How many zeros lie around it along each axis.
    """

    def __init__(self, buffer: Buffer, type: Tensor, halo: tuple[int, ...] = ()) -> None:
        self.buffer = buffer
        self.type = type
        self._halo = halo

    def padded(self, index: Index, fill: Number = 0) -> Scalar:
        return self[index] if fill == 0 and self._covers(index) else super().padded(index, fill)

    def _covers(self, index: Index) -> bool:
        """Whether the halo has the zeros of all the padding that is read."""
        for i, size, width in zip(index, self.type.shape, self._halo, strict=False):
            bounds = interval(i)
            if bounds is None or not isinstance(size, int):
                return False
            if bounds[0] < -width or bounds[1] >= size + width:
                return False
        return bool(self._halo)

    def read(self, index: Index, guard: Scalar | None = None, otherwise: Number = 0) -> Scalar:
        if guard is None:
            return Load(self.buffer, index)
        return Load(self.buffer, index, guard, lift(otherwise, self.buffer.type))


def row_major(name: str, type: Tensor) -> Buffer:
    """Returns a dense buffer whose last axis is contiguous."""
    strides: list[int | Scalar] = []
    step: Scalar = index(1)
    for size in reversed(type.shape):
        strides.append(_plain(step))
        step = step * size_scalar(size)
    shape = tuple(_plain(size_scalar(size)) for size in type.shape)
    return Buffer(name, type.dtype, shape, tuple(reversed(strides)))


def kernel_of(
    node: Node,
    name: str,
    schedule: Schedule,
    buffers: tuple[Buffer, ...] | None = None,
    halos: tuple[tuple[int, ...], ...] = (),
) -> Kernel:
    """Returns the kernel that computes a node.

    Args:
        node: What to compute; its operator defines elements or loops. A literal is stored.
        name: The kernel's name.
        schedule: How the output's axes become loops.
        buffers: The result's buffer and one for each input; dense row-major ones if not given.
            An input that is written over is the result's own buffer.
        halos: How many zeros lie around each input along each axis; none if not given.
    """
    types = (node.type, *(source.type for source in node.inputs))
    names = ("out", *(f"in{i}" for i in range(len(node.inputs))))
    used = buffers or tuple(row_major(n, t) for n, t in zip(names, types, strict=True))
    explicit = node.op.loops(*used) if isinstance(node.op, Structured) else None
    around = halos or ((),) * len(node.inputs)
    body = explicit or _element_loops(node, used, schedule, around)
    return Kernel(name, tuple(dict.fromkeys(used)), body, _runtime_sizes(types))


def output_axes(out: Tensor) -> tuple[Var, ...]:
    """Returns the index variables of a result: i0, i1, ..."""
    return tuple(axis_variable(f"i{k}", size) for k, size in enumerate(out.shape))


def definition(
    node: Node, buffers: tuple[Buffer, ...], halos: tuple[tuple[int, ...], ...]
) -> Scalar:
    """Returns the element of a node at `output_axes`, reading these buffers."""
    if isinstance(node.op, Literal_):
        return lift(node.op.value, node.op.dtype)
    assert isinstance(node.op, Operator)
    types = [source.type for source in node.inputs]
    operands = map(BufferOperand, buffers[1:], types, halos)
    return node.op.element(node.type, output_axes(node.type), *operands)


def _element_loops(
    node: Node,
    buffers: tuple[Buffer, ...],
    schedule: Schedule,
    halos: tuple[tuple[int, ...], ...],
) -> tuple[Statement, ...]:
    out = node.type
    axes = output_axes(out)
    value = definition(node, buffers, halos)
    body = materialise(value, lambda result: (Store(buffers[0], axes, result),))
    extents = tuple(size_scalar(size) for size in out.shape)
    return schedule.nest(axes, extents, body, buffers[0])


def _runtime_sizes(types: tuple[Tensor, ...]) -> tuple[Var, ...]:
    names = {name for type in types for size in type.shape for name in symbols(size)}
    return tuple(Var(name, DType.I64) for name in sorted(names))


def _plain(size: Scalar) -> int | Scalar:
    return int(size.value) if isinstance(size, Const) else size


# ---- expressions with reductions become statements -------------------------------------------


def materialise(
    value: Scalar, finish: Callable[[Scalar], tuple[Statement, ...]]
) -> tuple[Statement, ...]:
    """Returns statements that compute `value` and then do what `finish` says with the result."""
    return _materialise(value, finish, Names())


def _materialise(
    value: Scalar, finish: Callable[[Scalar], tuple[Statement, ...]], names: Names
) -> tuple[Statement, ...]:
    body: list[Statement] = []
    lets, result = share(_without_reductions(value, body, names), names)
    return (*body, *lets, *finish(result))


def _without_reductions(value: Scalar, body: list[Statement], names: Names) -> Scalar:
    """Appends the loops of all reductions; returns the value that reads their results."""
    done: dict[Scalar, Scalar] = {}
    for part in _walk_outside_reductions(value):
        if isinstance(part, Reduce):
            done[part] = _accumulate(part, body, names)
        else:
            done[part] = map_children(part, done) if children(part) else part
    return done[value]


def _walk_outside_reductions(value: Scalar) -> list[Scalar]:
    """The sub-expressions that are not inside a reduction, operands first."""
    order: list[Scalar] = []
    done: set[int] = set()
    stack: list[tuple[Scalar, bool]] = [(value, False)]
    while stack:
        current, expanded = stack.pop()
        if id(current) in done:
            continue
        if expanded:
            done.add(id(current))
            order.append(current)
            continue
        stack.append((current, True))
        if not isinstance(current, Reduce):
            stack.extend((child, False) for child in reversed(children(current)))
    return order


def _accumulate(reduce: Reduce, body: list[Statement], names: Names) -> Scalar:
    """Appends the loops of a reduction; returns its result, from the variable that holds it."""
    if reduce.kind.startswith("arg"):
        return _accumulate_position(reduce, body, names)
    wide = total_type(reduce.kind, reduce.dtype)
    parts = in_parts(reduce) if wide is reduce.dtype else reduce  # a part would be rounded
    if parts is not reduce:
        return _without_reductions(parts, body, names)
    total = names.fresh("acc", wide)
    start = lift(reduce_identity(reduce.kind, reduce.dtype), total.dtype)
    inner = _materialise(reduce.body, lambda v: (Assign(total, _fold(reduce, total, v)),), names)
    body.append(Declare(total, start))
    body.extend(_loops(reduce.axes, inner))
    return cast(total, reduce.dtype)


def _accumulate_position(reduce: Reduce, body: list[Statement], names: Names) -> Scalar:
    best, where = names.fresh("best", reduce.body.dtype), names.fresh("where", DType.I64)
    position = index(0)
    for axis in reduce.axes:
        position = position * (axis.extent or 1) + axis

    def keep(value: Scalar) -> tuple[Statement, ...]:
        better = value > best if reduce.kind == "argmax" else value < best
        if value.dtype.is_float:
            better = (better | value.differs(value)) & best.equals(best)
        return (If(better, (Assign(best, value), Assign(where, position))),)

    start = lift(reduce_identity(reduce.kind, best.dtype), best.dtype)
    inner = _materialise(reduce.body, keep, names)
    body.extend([Declare(best, start), Declare(where, index(0)), *_loops(reduce.axes, inner)])
    return where


def _loops(axes: tuple[Var, ...], body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    for axis in reversed(axes):
        assert axis.extent is not None, "sizes of reductions are bound before kernels are made"
        body = (For(axis, index(axis.extent), body),)
    return body


def _fold(reduce: Reduce, total: Scalar, value: Scalar) -> Scalar:
    wide = total.dtype
    match reduce.kind:
        case "sum":
            if isinstance(value, Binary) and value.function == "mul" and value.dtype.is_float:
                return Fma(cast(value.left, wide), cast(value.right, wide), total)
            return total + cast(value, wide)
        case "prod":
            return total * cast(value, wide)
        case "max":
            return maximum(total, value)
        case "min":
            return minimum(total, value)
        case "any":
            return total | value
        case "all":
            return total & value
    raise AssertionError(reduce.kind)
