"""What is computed while a model is read: constants, shapes, and arithmetic on both.

Elements may be sizes with names, such as the batch; Python's own operators compute with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.size import Expr, Size
from dhc.ir.types import DType
from dhc.ops.foreign import Array, Call, ForeignError, Known, Results, Value, as_size, reads
from dhc.ops.movement import SizeValue
from dhc.ops.sequence import Positions
from dhc.ops.shape import Reshape, joined

MOST_SIZES = 1 << 16  # in one tensor
MOST_OPERANDS = 64  # sizes with names, of which each is an operand
MOST_ELEMENTS = 1 << 27  # of a tensor that a model only describes


def sizes_array(sizes: tuple[Size, ...] | list[Size]) -> Array:
    """Returns sizes as the elements of a known tensor."""
    if all(isinstance(size, int) for size in sizes):
        return np.array(sizes, np.int64)
    found = np.empty(len(sizes), object)
    found[:] = sizes
    return found


def sizes_node(sizes: Known) -> Node:
    """Returns a known tensor, some of whose elements are sizes with names, as a node.

    Raises:
        ForeignError: if they are more than the sizes of a tensor can be.
    """
    elements = sizes.array.reshape(-1).tolist()
    if len(elements) > MOST_OPERANDS:
        raise ForeignError("it computes with too many sizes that are not known")
    numbers = [SizeValue(as_size(each), sizes.dtype)() for each in elements]
    row = joined([Reshape((1,))(number) for number in numbers], 0)
    return Reshape(sizes.array.shape)(row)


# ---- constants and shapes --------------------------------------------------------------------


@reads("Constant")
def _constant(call: Call) -> Value:
    for name, kind in (("value_float", np.float32), ("value_int", np.int64)):
        if call.says(name):
            array = np.asarray(call.get(name, kind(0).item()), kind)
            return Known(array, DType.F32 if kind is np.float32 else DType.I64)
    if call.says("value_ints"):
        return Known(np.array(call.ints("value_ints"), np.int64), DType.I64)
    if call.says("value_floats"):
        return Known(np.array(call.get("value_floats", ()), np.float32), DType.F32)
    return call.array("value")


@reads("Identity")
def _identity(call: Call) -> Results:
    return call.held(0)


@reads("Shape")
def _shape(call: Call) -> Value:
    found = call.value(0)
    sizes = list(found.array.shape if isinstance(found, Known) else found.type.shape)
    start, end = call.get("start", 0), call.get("end", len(sizes))
    return Known(sizes_array(sizes[start:end]), DType.I64)


@reads("Size")
def _size(call: Call) -> Value:
    found = call.value(0)
    sizes = found.array.shape if isinstance(found, Known) else found.type.shape
    return Known(sizes_array([math.prod(sizes)]).reshape(()), DType.I64)


@reads("ConstantOfShape")
def _constant_of_shape(call: Call) -> Value:
    shape = call.numbers(0).reshape(-1)
    element = (
        call.array("value") if call.says("value") else Known(np.zeros(1, np.float32), DType.F32)
    )
    if math.prod(int(size) for size in shape) > MOST_ELEMENTS:
        raise ForeignError(f"it makes a tensor of {shape.tolist()}")
    whole = np.full(tuple(int(size) for size in shape), element.array.reshape(-1)[0])
    return Known(whole.astype(element.array.dtype), element.dtype)


@reads("Range")
def _range(call: Call) -> Value:
    first = call.value(0)
    end = call.known(1).reshape(-1)[0]
    if isinstance(end, Expr):
        if int(call.numbers(0)) != 0 or int(call.numbers(2)) != 1:
            raise ForeignError("it counts to a size that is not known, but not from 0 by 1")
        return Positions(end)()
    start, stop, step = (call.numbers(number).reshape(-1)[0] for number in range(3))
    if step == 0 or (stop - start) / step > MOST_ELEMENTS:
        raise ForeignError("it makes too many numbers")
    assert isinstance(first, Known)
    return Known(np.arange(start, stop, step, dtype=first.array.dtype), first.dtype)


# ---- arithmetic on sizes ---------------------------------------------------------------------


def on_sizes(call: Call) -> Value | None:
    """Returns the result for known inputs among which are sizes with names; None if unknown.

    Raises:
        ForeignError: if it cannot be known while reading.
    """
    function = _SIZES.get(call.op_type)
    floats = call.op_type == "Cast" and not call.dtype("to").is_integer
    first = call.value(0)
    assert isinstance(first, Known)
    moved = call.op_type in _MOVES and not first.has_names  # numbers, by sizes with names
    if function is None or floats or moved:
        return None
    found = function(call)
    if found is None:
        return None
    found = np.asarray(found)
    if found.size > MOST_SIZES:
        raise ForeignError(f"it computes {found.size} sizes")
    chosen = call.value(1) if call.op_type == "Where" else first
    assert isinstance(chosen, Known)
    return Known(_plain(found), DType.BOOL if found.dtype == bool else chosen.dtype)


def _plain(array: Array) -> Array:
    """Whole numbers as such, if no size with a name is left."""
    if array.dtype != object or any(isinstance(each, Expr) for each in array.reshape(-1)):
        return array
    return array.astype(np.int64)


def _sliced(call: Call) -> Array:
    array = call.known(0)
    starts, ends = call.listed(1, "starts"), call.listed(2, "ends")
    axes = call.listed(3, "axes") or tuple(range(len(starts)))
    steps = call.listed(4, "steps") or (1,) * len(starts)
    picks = [slice(None)] * array.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        least = -array.shape[axis] - 1
        picks[axis] = slice(start, None if step < 0 and end <= least else end, step)
    return np.asarray(array[tuple(picks)])


def _whole(call: Call) -> Array:
    """Conversion of sizes: to whole numbers they stay what they are."""
    return call.known(0)


def _reshaped(call: Call) -> Array:
    call.must("allowzero", 0)
    return call.known(0).reshape(call.listed(1))


def _equals(call: Call) -> Array | None:
    """Which sizes are the same; None if that depends on the inputs."""
    found = np.asarray(np.vectorize(_equal, otypes=[object])(call.known(0), call.known(1)))
    return None if any(each is None for each in found.reshape(-1)) else found.astype(bool)


def _equal(a: object, b: object) -> bool | None:
    """Whether two sizes are the same, as far as it is known; exporters ask whether one is -1."""
    left, right = as_size(a), as_size(b)
    if (isinstance(left, int) and isinstance(right, int)) or left == right:
        return left == right
    distance = left - right
    terms = () if isinstance(distance, int) else distance.terms
    constant = next((count for atoms, count in terms if not atoms), 0)
    # Symbols are positive, and quotients at least zero.
    return False if constant > 0 and all(count > 0 for _, count in terms) else None


def _divided(call: Call) -> Array:
    a, b = call.known(0), call.known(1)
    return np.asarray(np.vectorize(_quotient, otypes=[object])(a, b))


def _quotient(a: object, b: object) -> Size:
    left, right = as_size(a), as_size(b)
    if isinstance(right, int) and right > 0:
        return left // right
    if left == right:
        return 1
    raise ForeignError(f"{left} cannot be divided by {right}")


_MOVES = ("Gather", "Reshape", "Slice", "Squeeze", "Unsqueeze", "ReduceProd")
_SIZES: dict[str, Callable[[Call], Array | None]] = {
    "Add": lambda call: call.known(0) + call.known(1),
    "Sub": lambda call: call.known(0) - call.known(1),
    "Mul": lambda call: call.known(0) * call.known(1),
    "Div": _divided,
    "Cast": _whole,
    "Concat": lambda call: np.concatenate(
        [call.known(k) for k in range(len(call))], call.get("axis", 1)
    ),
    "Gather": lambda call: np.take(
        call.known(0), call.numbers(1).astype(np.int64), call.get("axis", 0)
    ),
    "Reshape": _reshaped,
    "Equal": _equals,
    "Where": lambda call: np.where(call.numbers(0), call.known(1), call.known(2)),
    "Slice": _sliced,
    "Squeeze": lambda call: np.squeeze(call.known(0), call.listed(1, "axes") or None),
    "Unsqueeze": lambda call: np.expand_dims(call.known(0), call.listed(1, "axes")),
    "ReduceProd": lambda call: np.prod(
        call.known(0), axis=call.listed(1, "axes") or None, keepdims=bool(call.get("keepdims", 1))
    ),
}
