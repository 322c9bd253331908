"""Removes what does nothing and brings the rest into one form.

Every rule keeps results bit by bit. So `x + 0.0` stays, since it turns -0.0 into 0.0, and so does
`x * 0.0`, which is not 0 for infinities.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from dhc.ir.graph import Graph, Literal_, Node
from dhc.ir.number import type_range
from dhc.ir.rules import RuleSet
from dhc.ir.types import DType
from dhc.ops.conv import Conv
from dhc.ops.dropout import Dropout
from dhc.ops.elementwise import Add, Cast, Clip, Div, Mul, Neg, Pow, Sub, Where
from dhc.ops.movement import Expand, Pad, Slice, Tile
from dhc.ops.shape import Concat, Permute, Reshape
from dhc.passes.manager import Pass

_set = RuleSet()


@dataclass(frozen=True)
class Canonicalize(Pass):
    """Identities vanish; chains of reshapes, of permutations and of slices become one."""

    name: ClassVar[str] = "canonicalize"
    optional: ClassVar[bool] = True

    def __call__(self, graph: Graph) -> Graph:
        return _set.apply(graph)


# ---- shapes ----------------------------------------------------------------------------------


@_set.rule(Reshape)
def merge_reshapes(node: Node) -> Node | None:
    """reshape(reshape(x)) => reshape(x), and reshape to the same shape => x."""
    (x,) = node.inputs
    if x.type.shape == node.type.shape:
        return x
    return node.op(x.inputs[0]) if isinstance(x.op, Reshape) else None


@_set.rule(Permute)
def merge_permutations(node: Node) -> Node | None:
    """permute(permute(x)) => permute(x), and the identity => x."""
    (x,) = node.inputs
    match node.op:
        case Permute(order) if order == tuple(range(len(order))):
            return x
        case Permute(outer) if isinstance(x.op, Permute):
            return Permute(tuple(x.op.order[axis] for axis in outer))(x.inputs[0])
    return None


@_set.rule(Permute)
def reshape_where_only_ones_move(node: Node) -> Node | None:
    """permute(x) => reshape(x), where nothing but axes of size 1 changes its place."""
    (x,) = node.inputs
    assert isinstance(node.op, Permute)
    moved = [axis for axis in node.op.order if x.type.shape[axis] != 1]
    return Reshape(node.type.shape)(x) if moved == sorted(moved) else None


@_set.rule(Slice)
def merge_slices(node: Node) -> Node | None:
    """slice(slice(x)) => slice(x), and a slice of everything in its order => x."""
    (x,) = node.inputs
    assert isinstance(node.op, Slice)
    if node.type == x.type and all(step == 1 for step in node.op.step):
        return x
    if not isinstance(x.op, Slice):
        return None
    outer, inner = node.op, x.op
    start = [a + b * s for a, b, s in zip(inner.start, outer.start, inner.step, strict=True)]
    step = [a * b for a, b in zip(inner.step, outer.step, strict=True)]
    return Slice(tuple(start), outer.size, tuple(step))(x.inputs[0])


@_set.rule(Pad)
def drop_empty_padding(node: Node) -> Node | None:
    """pad(x) without any element => x."""
    return node.inputs[0] if node.type == node.inputs[0].type else None


@_set.rule(Conv)
def absorb_padding(node: Node) -> Node | None:
    """conv(pad(x)) with zeros around the spatial axes => conv(x) with as much more padding."""
    padded, conv = node.inputs[0], node.op
    if not isinstance(conv, Conv) or not isinstance(padded.op, Pad):
        return None
    (batch, channels, *around), pad = padded.op.pads, padded.op
    if pad.mode != "constant" or pad.value != 0 or any((*batch, *channels)):
        return None
    pads = tuple((a + c, b + d) for (a, b), (c, d) in zip(conv.pads, around, strict=True))
    return replace(conv, pads=pads)(padded.inputs[0], *node.inputs[1:])


@_set.rule(Expand)
@_set.rule(Tile)
def drop_single_copies(node: Node) -> Node | None:
    """expand(x) to its own shape, and tile(x) once along each axis => x."""
    return node.inputs[0] if node.type == node.inputs[0].type else None


@_set.rule(Concat)
def drop_single_parts(node: Node) -> Node | None:
    """concat(x) => x."""
    return node.inputs[0] if len(node.inputs) == 1 else None


# ---- numbers ---------------------------------------------------------------------------------


def _is_number(node: Node, value: float) -> bool:
    """Whether a node is a literal of this value, the sign of zero included."""
    if not isinstance(node.op, Literal_) or isinstance(node.op.value, bool):
        return False
    same_sign = math.copysign(1, node.op.value) == math.copysign(1, value)
    return node.op.value == value and (same_sign or node.op.dtype.is_integer)


def _neutral(node: Node, neutral: float, positions: tuple[int, ...]) -> Node | None:
    """The other operand, if the one at one of the positions changes nothing."""
    for position in positions:
        other = node.inputs[1 - position]
        if _is_number(node.inputs[position], neutral) and other.type == node.type:
            return other
    return None


@_set.rule(Add)
def drop_zero_sums(node: Node) -> Node | None:
    """X + -0.0 => x, and for integers x + 0 => x."""
    return _neutral(node, -0.0, (1, 0))


@_set.rule(Sub)
def drop_zero_differences(node: Node) -> Node | None:
    """X - 0 => x."""
    return _neutral(node, 0.0, (1,))


@_set.rule(Mul)
def drop_products_with_one(node: Node) -> Node | None:
    """X * 1 => x."""
    return _neutral(node, 1.0, (1, 0))


@_set.rule(Div)
@_set.rule(Pow)
def drop_quotients_and_powers_of_one(node: Node) -> Node | None:
    """X / 1 => x, and x ^ 1 => x."""
    return _neutral(node, 1.0, (1,))


@_set.rule(Neg)
def drop_double_negation(node: Node) -> Node | None:
    """-(-x) => x."""
    (x,) = node.inputs
    return x.inputs[0] if isinstance(x.op, Neg) else None


# ---- elements --------------------------------------------------------------------------------


@_set.rule(Cast)
def drop_casts_to_the_same_type(node: Node) -> Node | None:
    """cast(x) to its own element type => x."""
    return node.inputs[0] if node.type == node.inputs[0].type else None


@_set.rule(Cast)
def drop_wider_types(node: Node) -> Node | None:
    """cast(cast(x)) => cast(x), where the type between holds all that x can be."""
    inner, to = node.inputs[0], node.type.dtype
    if not isinstance(inner.op, Cast):
        return None
    (x,) = inner.inputs
    first = x.type.dtype
    exact = first is to or to.is_float or not first.is_float  # others may be out of range
    return node.op(x) if exact and _holds(inner.type.dtype, first) else None


def _holds(wide: DType, narrow: DType) -> bool:
    """Whether one type has all values of another."""
    if narrow is DType.BOOL or wide is narrow:
        return True
    if wide is DType.BOOL or wide is DType.BF16:
        return False
    if wide.is_float and narrow.is_integer:
        return narrow.bits - narrow.is_signed <= np.finfo(wide.numpy).nmant
    if wide.is_float:
        return wide.bits > narrow.bits
    if narrow.is_float:
        return False
    (low, high), (least, most) = type_range(narrow), type_range(wide)
    return least <= low and high <= most


@_set.rule(Clip)
def drop_clips_without_limits(node: Node) -> Node | None:
    """clip(x) between minus and plus infinity => x."""
    assert isinstance(node.op, Clip)
    open_ = (node.op.low, node.op.high) == (-math.inf, math.inf)
    return node.inputs[0] if open_ else None


@_set.rule(Where)
def drop_choices_of_the_same(node: Node) -> Node | None:
    """where(condition, x, x) => x."""
    _, then, otherwise = node.inputs
    return then if then is otherwise and then.type == node.type else None


@_set.rule(Dropout)
def drop_dropout(node: Node) -> Node | None:
    """dropout(x) => x: training has replaced it before, and without training it is nothing."""
    return node.inputs[0]
