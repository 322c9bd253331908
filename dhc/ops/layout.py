"""Layers that write shapes and places as people do: -1, 0, negative starts, parts of an axis."""

from __future__ import annotations

import math
from itertools import accumulate

from dhc.ir.graph import Node
from dhc.ir.size import Expr, Size, ceil_divide, unify
from dhc.ops.base import Axis, LayerContext, TypeRuleError, layer, normalize_axis
from dhc.ops.conv import int_size
from dhc.ops.foreign import Call, ForeignError, Value, reads
from dhc.ops.movement import Borders, Pad, slice_axis
from dhc.ops.shape import Concat, Reshape


@layer("reshape")
def reshape(context: LayerContext, x: Node, shape: tuple[Size, ...]) -> Node:
    """The same elements under another shape: 0 keeps the axis of that number, -1 takes the rest."""
    return reshaped(x, shape)


def reshaped(x: Node, shape: tuple[Size, ...], zeros: bool = False) -> Node:
    """Returns what the layer `reshape` gives; with `zeros` a 0 is no axis that is kept."""
    whole = x.type.shape
    known: list[Size] = []
    for axis, size in enumerate(shape):
        if size == 0 and zeros:
            raise TypeRuleError("'reshape' cannot make a tensor without elements.")
        if size == 0 and axis >= len(whole):
            raise TypeRuleError(f"'reshape' has 0 for axis {axis}, which {x.type} lacks.", 0)
        known.append(whole[axis] if size == 0 else size)
    if known.count(-1) > 1:
        raise TypeRuleError("'reshape' takes -1 for one axis only.")
    if -1 in known:
        at = known.index(-1)
        known[at] = _left_over(x, [size for size in known if size != -1])
    return Reshape(tuple(known))(x)


def _left_over(x: Node, taken: list[Size]) -> Size:
    """The size that remains for -1: the elements of x, divided by the other sizes."""
    rest, divisor = list(x.type.shape), 1
    for size in taken:
        if size in rest:
            rest.remove(size)
        elif isinstance(size, Expr):
            raise TypeRuleError(f"'reshape' cannot divide {x.type} by {size}.", 0)
        else:
            divisor *= size
    total: Size = math.prod(rest)
    if isinstance(total, int) and total % max(divisor, 1):
        raise TypeRuleError(f"'reshape' cannot split {x.type} into parts of {divisor}.", 0)
    return total // max(divisor, 1)


@layer("squeeze")
def squeeze(context: LayerContext, x: Node, axis: Axis | tuple[Axis, ...] = ()) -> Node:
    """Drops axes of size 1: the named ones, or all."""
    shape = x.type.shape
    axes = _axes("squeeze", axis, len(shape)) or [a for a, s in enumerate(shape) if s == 1]
    for each in axes:
        if shape[each] != 1:
            raise TypeRuleError(f"'squeeze' cannot drop axis {each}, which has {shape[each]}.", 0)
    return Reshape(tuple(size for a, size in enumerate(shape) if a not in axes))(x)


@layer("unsqueeze")
def unsqueeze(context: LayerContext, x: Node, axis: int | tuple[int, ...]) -> Node:
    """Adds axes of size 1, so that they have these numbers in the result."""
    count = 1 if isinstance(axis, int) else len(axis)
    axes = _axes("unsqueeze", axis, x.type.rank + count)
    rest = iter(x.type.shape)
    return Reshape(tuple(1 if a in axes else next(rest) for a in range(x.type.rank + count)))(x)


@layer("stack")
def stack(context: LayerContext, *inputs: Node, axis: int = 0) -> Node:
    """Tensors of one shape, one after another along a new axis."""
    grown = [unsqueeze(context, x, axis) for x in inputs]
    return Concat(normalize_axis("stack", axis, grown[0].type.rank))(*grown)


@layer("split")
def split(
    context: LayerContext, x: Node, parts: int | tuple[int, ...], axis: Axis = 1
) -> tuple[Node, ...]:
    """An axis cut into so many equal parts, or into parts of these sizes."""
    place = normalize_axis("split", axis, x.type.rank)
    whole = int_size(x.type.shape[place])
    if isinstance(parts, int) and (parts < 1 or whole % parts):
        raise TypeRuleError(f"'split' cannot cut {whole} elements into {parts} equal parts.", 0)
    if not isinstance(parts, int) and min(parts, default=0) < 1:
        raise TypeRuleError("'split' needs parts of at least one element.", 0)
    sizes = (whole // parts,) * parts if isinstance(parts, int) else parts
    if sum(sizes) != whole:
        raise TypeRuleError(f"'split' has parts of {sum(sizes)} elements, not {whole}.", 0)
    starts = [0, *accumulate(sizes)]
    return tuple(slice_axis(x, place, s, s + n) for s, n in zip(starts, sizes, strict=False))


@layer("pad")
def pad(
    context: LayerContext,
    x: Node,
    amount: int | tuple[int | tuple[int, int], ...],
    mode: Borders = "constant",
    value: float = 0.0,
) -> Node:
    """Elements around the last axes.

    One number goes around H and W; a list has a number, or a pair [before, after], for each of as
    many last axes.
    """
    listed = (amount, amount) if isinstance(amount, int) else amount
    pairs = tuple((each, each) if isinstance(each, int) else each for each in listed)
    if len(pairs) > x.type.rank:
        raise TypeRuleError(f"'pad' has amounts for {len(pairs)} axes, not {x.type.rank}.", 0)
    return Pad((*((0, 0),) * (x.type.rank - len(pairs)), *pairs), mode, value)(x)


def _axes(name: str, axis: int | tuple[int, ...], rank: int) -> list[int]:
    axes = (axis,) if isinstance(axis, int) else axis
    found = [normalize_axis(name, each, rank) for each in axes]
    if len(set(found)) != len(found):
        raise TypeRuleError(f"'{name}' names an axis twice.", 0)
    return found


# ---- nodes of ONNX ---------------------------------------------------------------------------


@reads("Flatten")
def _read_flatten(call: Call) -> Node:
    x = call.tensor(0)
    given, shape = call.get("axis", 1), x.type.shape
    axis = given + len(shape) if given < 0 else given
    if not 0 <= axis <= len(shape):
        raise ForeignError(f"attribute 'axis' is {given}")
    return Reshape((math.prod(shape[:axis]), math.prod(shape[axis:])))(x)


@reads("Squeeze")
def _read_squeeze(call: Call) -> Node:
    x = call.tensor(0)
    shape = x.type.shape
    axes = _axes("squeeze", call.listed(1, "axes"), len(shape))
    axes = axes or [axis for axis, size in enumerate(shape) if _is_one(size)]
    return Reshape(tuple(size for axis, size in enumerate(shape) if axis not in axes))(x)


def _is_one(size: Size) -> bool:
    if isinstance(size, Expr) and unify(size, 1) is not None:
        raise ForeignError(f"which axes it leaves out depends on whether {size} is 1")
    return size == 1


@reads("Unsqueeze")
def _read_unsqueeze(call: Call) -> Node:
    x, given = call.tensor(0), call.listed(1, "axes")
    axes = _axes("unsqueeze", given, x.type.rank + len(given))
    rest = iter(x.type.shape)
    rank = x.type.rank + len(axes)
    return Reshape(tuple(1 if axis in axes else next(rest) for axis in range(rank)))(x)


@reads("Split")
def _read_split(call: Call) -> tuple[Value, ...]:
    from dhc.ops.empty import cut, type_of

    x = call.value(0)
    axis = normalize_axis("split", call.get("axis", 0), type_of(x).rank)
    count = len(call.results)
    call.must("num_outputs", count)
    whole = type_of(x).shape[axis]
    sizes = call.sizes(1) if call.has(1) else call.ints("split")
    if not sizes:
        each = ceil_divide(whole, count)
        sizes = (*[each] * (count - 1), whole - each * (count - 1))
    if len(sizes) != count:
        raise ForeignError(f"it makes {len(sizes)} parts for {count} outputs")
    starts = [0, *accumulate(sizes)]
    return tuple(cut(call, x, (axis, s, s + n, 1)) for s, n in zip(starts, sizes, strict=False))
