"""Quantized tensors: narrow numbers that stand for `(x - zero point) * scale`.

Halves go to the even number and what lies outside the type becomes its end. Sums of products are
i32 and exact; they are scaled in f32, as ONNX Runtime does, and rounded once.
"""

from __future__ import annotations

import math

import numpy as np

from dhc.ir.graph import Node, literal
from dhc.ir.types import DType
from dhc.ops.compare import Greater
from dhc.ops.conv import Conv, foreign_conv
from dhc.ops.elementwise import Add, Cast, Div, Max, Min, Mul, Round, Sub, Where
from dhc.ops.foreign import MICROSOFT, Call, ForeignError, Known, reads
from dhc.ops.linear import matrix_product
from dhc.ops.movement import Expand, slice_axis
from dhc.ops.narrow import EIGHT_BITS
from dhc.ops.reduce import ReduceMax, ReduceMin
from dhc.ops.shape import Reshape

_INTEGERS = (
    DType.I8, DType.U8, DType.I16, DType.U16, DType.I4, DType.U4, DType.I2, DType.U2,
)  # fmt: skip
_FLOATS = (*EIGHT_BITS, DType.F4E2M1)


# ---- arithmetic ------------------------------------------------------------------------------


def quantized(x: Node, scale: Node, zero: Node | None, to: DType, saturate: bool = True) -> Node:
    """Returns `x / scale` as narrow numbers about a zero point.

    Args:
        x: The tensor.
        scale: Of the same type, in which they are divided.
        zero: The zero point, if there is one.
        to: The type of the result.
        saturate: Whether the ends of a narrow float take what lies beyond; integers always do.
    """
    if not to.is_float:
        return rounded(_divided(x, scale), zero, to)
    moved = _divided(x, scale)
    if zero is not None:
        moved = Add()(converted(moved, DType.F32), converted(zero, DType.F32))
    return Cast(to, saturate)(moved)


def _divided(x: Node, scale: Node) -> Node:
    """The quotient in the type of both; that of bf16 is computed in f32."""
    if x.type.dtype is not DType.BF16:
        return Div()(x, scale)
    quotient = Div()(converted(x, DType.F32), converted(scale, DType.F32))
    return converted(Cast(DType.BF16)(quotient), DType.F32)


def rounded(x: Node, zero: Node | None, to: DType) -> Node:
    """Returns the nearest integers, moved by a zero point, within the range of their type."""
    whole = converted(Round()(x), DType.F32)
    moved = whole if zero is None else Add()(whole, converted(zero, DType.F32))
    return Cast(to, True)(moved)


def dequantized(x: Node, scale: Node, zero: Node | None) -> Node:
    """Returns the f32 numbers that narrow ones stand for."""
    if x.type.dtype.is_float:
        centre = converted(x, DType.F32)
        centre = centre if zero is None else Sub()(centre, converted(zero, DType.F32))
    else:
        centre = converted(centered(x, zero), DType.F32)
    return Mul()(centre, converted(scale, DType.F32))


def centered(x: Node, zero: Node | None) -> Node:
    """Returns the distance of integers from the zero point as i32.

    Raises:
        ForeignError: if they are floats.
    """
    if x.type.dtype.is_float:
        raise ForeignError(f"it cannot multiply {x.type.dtype} as integers")
    whole = converted(x, DType.I32)
    return whole if zero is None else Sub()(whole, converted(zero, DType.I32))


def converted(x: Node, dtype: DType) -> Node:
    """Returns the same numbers as another type, if they are not."""
    return x if x.type.dtype is dtype else Cast(dtype)(x)


def requantized(total: Node, scales: tuple[Node, Node, Node], zero: Node | None, to: DType) -> Node:
    """Returns sums of products of two quantized tensors as one.

    Args:
        total: The sums, i32.
        scales: Those of both factors, and of the result.
        zero: The zero point of the result.
        to: Its type.
    """
    first, second, result = (converted(each, DType.F32) for each in scales)
    factor = Div()(Mul()(first, second), result)
    scaled = Mul()(converted(total, DType.F32), factor)
    return rounded(scaled, zero, to)


def through_bytes(x: Node) -> Node:
    """Returns f32 numbers as bytes keep them, whose range is that of all of them and of zero.

    This is ONNX's DynamicQuantizeLinear and back; zeros alone stay zeros.
    """
    zero, one = literal(0.0, DType.F32), literal(1.0, DType.F32)
    axes = tuple(range(x.type.rank))
    low, high = Min()(ReduceMin(axes)(x), zero), Max()(ReduceMax(axes)(x), zero)
    distance = Sub()(high, low)
    step = Div()(distance, literal(255.0, DType.F32))
    scale = Where()(Greater()(distance, zero), step, one)
    offset = rounded(Div()(Sub()(zero, low), scale), None, DType.U8)
    return dequantized(quantized(x, scale, offset, DType.U8), scale, offset)


# ---- scales and zero points ------------------------------------------------------------------


def along(values: Node, x: Node, axis: int, block: int = 0) -> Node:
    """Returns scales or zero points so that they meet the elements of a tensor.

    Args:
        values: One for all, one for each element of an axis, or one for each block of the axis.
        x: The tensor.
        axis: The axis, which may count from the end.
        block: How many elements a block has; 0 where there are none.

    Raises:
        ForeignError: if they do not fit the tensor.
    """
    if math.prod(values.type.shape) == 1:
        return values if values.type.rank == 0 else Reshape(())(values)
    if not -x.type.rank <= axis < x.type.rank:
        raise ForeignError(f"attribute 'axis' is {axis}")
    axis %= x.type.rank
    if block > 0 and values.type.rank == x.type.rank:
        return _repeated(values, x, axis, block)
    if block or values.type.rank != 1:
        raise ForeignError(f"scales or zero points of {values.type} do not fit {x.type}")
    shape = [1] * x.type.rank
    return Reshape((*shape[:axis], values.type.shape[0], *shape[axis + 1 :]))(values)


def _repeated(values: Node, x: Node, axis: int, block: int) -> Node:
    """Each value for all elements of its block; the last block may have fewer."""
    before, (count, *behind) = values.type.shape[:axis], values.type.shape[axis:]
    apart = Reshape((*before, count, 1, *behind))(values)
    repeated = Expand((*before, count, block, *behind))(apart)
    whole = Reshape((*before, count * block, *behind))(repeated)
    if whole.type.shape == x.type.shape:
        return whole
    return slice_axis(whole, axis, 0, x.type.shape[axis])


def _optional(call: Call, number: int) -> Node | None:
    return call.tensor(number) if call.has(number) else None


# ---- nodes of ONNX ---------------------------------------------------------------------------


@reads("QuantizeLinear")
@reads("QuantizeLinear", domain=MICROSOFT)
def _read_quantize(call: Call) -> Node:
    """Reads a node that quantizes a tensor."""
    x, scale, zero = call.tensor(0), call.tensor(1), _zero(call)
    said = call.dtype("output_dtype") if call.get("output_dtype", 0) else None
    own = call.tensor(2).type.dtype if call.has(2) else None
    to = said or own or DType.U8
    if to not in (*_INTEGERS, *_FLOATS) or own not in (None, to):
        raise ForeignError(f"it cannot quantize to {to}")
    saturate = bool(call.get("saturate", 1))
    precision = _precision(call, x, scale)
    axis, block = call.get("axis", 1), call.get("block_size", 0)
    divisor = converted(along(scale, x, axis, block), precision)
    moved = None if zero is None else along(zero, x, axis, block)
    return quantized(converted(x, precision), divisor, moved, to, saturate)


def _zero(call: Call) -> Node | None:
    """The zero point, unless it is known to be 0."""
    if not call.has(2):
        return None
    found = call.value(2)
    return None if isinstance(found, Known) and not np.any(found.array != 0) else call.node(found)


def _precision(call: Call, x: Node, scale: Node) -> DType:
    """The type in which a node divides; powers of two have none of their own."""
    if call.get("precision", 0):
        return call.dtype("precision")
    own = x.type.dtype
    if scale.type.dtype is DType.F8E8M0:
        return own if own.is_float else DType.F32
    if own.is_float and own is not scale.type.dtype:
        raise ForeignError("its input and its scale have different types, and no 'precision'")
    return scale.type.dtype


@reads("DequantizeLinear")
@reads("DequantizeLinear", domain=MICROSOFT)
def _read_dequantize(call: Call) -> Node:
    """Reads a node that gives the numbers which integers stand for."""
    x, scale, zero = call.tensor(0), call.tensor(1), _zero(call)
    to = call.dtype("output_dtype") if call.get("output_dtype", 0) else scale.type.dtype
    if to is DType.F8E8M0:
        raise ForeignError("its scale is a power of two, and no 'output_dtype' says what it gives")
    axis, block = call.get("axis", 1), call.get("block_size", 0)
    moved = None if zero is None else along(zero, x, axis, block)
    return converted(dequantized(x, along(scale, x, axis, block), moved), to)


@reads("MatMulInteger")
def _read_matmul_integer(call: Call) -> Node:
    """Zero points are one for all, or one for each row of a and each column of b."""
    left = _rows(call.tensor(0), _optional(call, 2))
    return matrix_product(left, centered(call.tensor(1), _optional(call, 3)))


@reads("QLinearMatMul")
def _read_matmul(call: Call) -> Node:
    a, a_scale, a_zero, b, b_scale, b_zero, scale, zero = call.tensors
    total = matrix_product(_rows(a, a_zero), centered(b, b_zero))
    return requantized(total, (_as_column(a_scale), b_scale, scale), zero, zero.type.dtype)


@reads("ConvInteger")
def _read_conv_integer(call: Call) -> Node:
    x, weight = call.tensor(0), call.tensor(1)
    zero = None if not call.has(3) else along(call.tensor(3), weight, 0)
    conv = foreign_conv(call, x, weight)
    return conv(centered(x, _optional(call, 2)), centered(weight, zero))


@reads("QLinearConv")
def _read_conv(call: Call) -> Node:
    x, x_scale, x_zero, weight, w_scale, w_zero, scale, zero = (call.tensor(k) for k in range(8))
    bias = (call.tensor(8),) if call.has(8) else ()
    conv: Conv = foreign_conv(call, x, weight)
    kernels = centered(weight, along(w_zero, weight, 0))
    total = conv(centered(x, x_zero), kernels, *bias)
    return requantized(total, (x_scale, along(w_scale, total, 1), scale), zero, zero.type.dtype)


def _rows(a: Node, zero: Node | None) -> Node:
    return centered(a, None if zero is None else _as_column(zero))


def _as_column(values: Node) -> Node:
    """One value for each row of matrices."""
    if values.type.rank != 1 or values.type.shape == (1,):
        return values
    return Reshape((*values.type.shape, 1))(values)
