"""What is computed while a model is read: constants, shapes, and arithmetic on both.

Elements may be sizes with names, such as the batch; Python's own operators compute with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dhc.ir.graph import Node, literal
from dhc.ir.size import Expr, Size, ceil_divide, least
from dhc.ir.types import DType
from dhc.ops.elementwise import Add, Mul
from dhc.ops.foreign import Array, Call, ForeignError, Known, Results, Value, as_size, reads
from dhc.ops.movement import Expand, SizeValue
from dhc.ops.sequence import Positions
from dhc.ops.shape import Reshape, joined

MOST_SIZES = 1 << 16  # in one tensor
MOST_OPERANDS = 64  # sizes with names, of which each is an operand
MOST_ELEMENTS = 1 << 31  # of a tensor that a model only describes
MOST_KNOWN = 1 << 20  # of one that is filled while it is read
MOST_NUMBERS = 1 << 24  # that are counted


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
    element = (
        call.array("value") if call.says("value") else Known(np.zeros(1, np.float32), DType.F32)
    )
    if any(isinstance(size, Expr) for size in call.sizes(0)):
        one = call.node(Known(element.array.reshape(()), element.dtype))
        return Expand(call.sizes(0))(one)
    shape = call.numbers(0).reshape(-1)
    sizes = tuple(int(size) for size in shape)
    number = element.array.reshape(-1)[0]
    if min(sizes, default=0) < 0 or math.prod(sizes) > MOST_ELEMENTS:
        raise ForeignError(f"it makes a tensor of {list(sizes)}")
    if math.prod(sizes) > MOST_KNOWN:  # a short file can describe more than there is memory
        return Expand(sizes)(literal(number.item(), element.dtype))
    return Known(np.full(sizes, number), element.dtype)


@reads("Range")
def _range(call: Call) -> Value:
    first = call.value(0)
    start, stop, step = (call.known(number).reshape(-1)[0] for number in range(3))
    if any(isinstance(each, Expr) for each in (start, stop, step)):
        return _of_sizes(_limit(start), _limit(stop), _limit(step), _type(call))
    low, high, gap = (each.item() for each in (start, stop, step))
    turns = max((high - low) / gap, 0.0) if gap else math.inf
    if not turns <= MOST_NUMBERS:
        raise ForeignError("it makes too many numbers")
    assert isinstance(first, Known)
    dtype = first.array.dtype
    wide = np.float64 if first.dtype.is_float else dtype  # integers wrap on the way, and back
    numbers = np.arange(math.ceil(turns)).astype(wide) * step.astype(wide) + start.astype(wide)
    return Known(numbers.astype(dtype), first.dtype)


def _limit(value: object) -> Size:
    if isinstance(value, (float, np.floating)) and value.is_integer():
        return int(value)
    return as_size(value)


def _of_sizes(start: Size, stop: Size, step: Size, dtype: DType) -> Node:
    """The numbers from a start, as many as there are steps up to the stop.

    Raises:
        ForeignError: if the step is no number, or there are none.
    """
    if not isinstance(step, int) or step == 0:
        raise ForeignError(f"it counts in steps of {step}")
    count = ceil_divide(stop - start, step) if step > 0 else ceil_divide(start - stop, -step)
    if isinstance(count, int) and count < 1:
        raise ForeignError("it counts nothing")
    numbers = Positions(count, dtype)()
    if step != 1:
        numbers = Mul()(numbers, literal(step, dtype))
    if start == 0:
        return numbers
    first = literal(start, dtype) if isinstance(start, int) else SizeValue(start, dtype)()
    return Add()(numbers, first)


# ---- arithmetic on sizes ---------------------------------------------------------------------


def on_sizes(call: Call) -> Value | None:
    """Returns the result for known inputs among which are sizes with names; None if unknown.

    Sizes stay what they are as floats: exporters count up to them, and compute with them.

    Raises:
        ForeignError: if it cannot be known while reading.
    """
    function = _SIZES.get(call.op_type)
    first = call.value(0)
    assert isinstance(first, Known)
    moved = call.op_type in _MOVES and not first.has_names  # numbers, by sizes with names
    if function is None or moved or not all(_is_whole(call.known(k)) for k in range(len(call))):
        return None
    found = function(call)
    if found is None:
        return None
    found = np.asarray(found)
    if found.size > MOST_SIZES:
        raise ForeignError(f"it computes {found.size} sizes")
    dtype = _type(call)
    if found.dtype == bool:
        return Known(found, DType.BOOL)
    return Known(_plain(found, dtype), dtype)


def _type(call: Call) -> DType:
    """The element type of what a node makes of sizes."""
    if call.op_type == "Cast":
        return call.dtype("to")
    chosen = call.value(1 if call.op_type == "Where" else 0)
    return chosen.dtype if isinstance(chosen, Known) else chosen.type.dtype


def _is_whole(array: Array) -> bool:
    return array.dtype.kind != "f" or bool(np.all(np.isfinite(array) & (array == np.floor(array))))


def _whole(call: Call, number: int) -> Array:
    """An input of whole numbers, as integers."""
    array = call.known(number)
    return array.astype(np.int64) if array.dtype.kind == "f" else array


def _plain(array: Array, dtype: DType) -> Array:
    """Whole numbers as such, if no size with a name is left."""
    if any(isinstance(each, Expr) for each in array.reshape(-1)):
        return array
    return array.astype(dtype.numpy)


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


def _cast(call: Call) -> Array | None:
    """Conversion of sizes, which stay what they are."""
    if call.dtype("to") is DType.BOOL:
        return None
    call.get("saturate", 1)
    call.get("round_mode", "up")
    return call.known(0)


def _reshaped(call: Call) -> Array:
    call.must("allowzero", 0)
    return call.known(0).reshape(call.listed(1))


def _equals(call: Call) -> Array | None:
    """Which sizes are the same; None if that depends on the inputs."""
    found = np.asarray(np.vectorize(_equal, otypes=[object])(_whole(call, 0), _whole(call, 1)))
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


def _divided(call: Call) -> Array | None:
    """Quotients; those of floats are known where nothing remains."""
    divide = _quotient if _type(call).is_integer else _exact
    found = np.vectorize(divide, otypes=[object])(_whole(call, 0), _whole(call, 1))
    return None if any(each is None for each in np.reshape(found, -1)) else np.asarray(found)


def _exact(a: object, b: object) -> Size | None:
    left, right = as_size(a), as_size(b)
    if not isinstance(right, int) or right < 1 or left % right != 0:
        return None
    return left // right


def _smallest(call: Call) -> Array | None:
    """The least of sizes and numbers; None if that depends on the inputs."""
    found = call.known(0)
    for number in range(1, len(call)):
        found = np.vectorize(_smaller, otypes=[object])(found, call.known(number))
    return None if any(each is None for each in found.reshape(-1)) else np.asarray(found)


def _smallest_of_all(call: Call) -> Array | None:
    """The least of all elements, as exporters have it for `min` of two sizes."""
    found = call.known(0).reshape(-1)
    axes = call.listed(1, "axes")
    if call.known(0).ndim != 1 or (axes and axes not in ((0,), (-1,))):
        return None
    total: object = found[0]
    for each in found[1:]:
        total = _smaller(total, each)
    if total is None:
        return None
    shape = (1,) if call.get("keepdims", 1) else ()
    return _filled(shape, total)


def _filled(shape: tuple[int, ...], value: object) -> Array:
    found = np.empty(shape, object)
    found[...] = value
    return found


def _smaller(a: object, b: object) -> Size | None:
    """The least of two sizes, where one is a number or they are the same."""
    if a is None or b is None:
        return None
    left, right = as_size(a), as_size(b)
    if isinstance(left, int):
        left, right = right, left
    if isinstance(right, int):
        return least(left, right)
    return left if left == right else None


def _quotient(a: object, b: object) -> Size:
    left, right = as_size(a), as_size(b)
    if isinstance(right, int) and right > 0:
        return left // right
    if left == right:
        return 1
    raise ForeignError(f"{left} cannot be divided by {right}")


_MOVES = ("Gather", "Reshape", "Slice", "Squeeze", "Unsqueeze", "ReduceProd")
_SIZES: dict[str, Callable[[Call], Array | None]] = {
    "Add": lambda call: _whole(call, 0) + _whole(call, 1),
    "Sub": lambda call: _whole(call, 0) - _whole(call, 1),
    "Mul": lambda call: _whole(call, 0) * _whole(call, 1),
    "Div": _divided,
    "Cast": _cast,
    "Ceil": lambda call: call.known(0),
    "Floor": lambda call: call.known(0),
    "Concat": lambda call: np.concatenate(
        [_whole(call, k) for k in range(len(call))], call.get("axis", 1)
    ),
    "Gather": lambda call: np.take(
        call.known(0), call.numbers(1).astype(np.int64), call.get("axis", 0)
    ),
    "Reshape": _reshaped,
    "Equal": _equals,
    "Where": lambda call: np.where(call.numbers(0), _whole(call, 1), _whole(call, 2)),
    "Min": _smallest,
    "ReduceMin": _smallest_of_all,
    "Slice": _sliced,
    "Squeeze": lambda call: np.squeeze(call.known(0), call.listed(1, "axes") or None),
    "Unsqueeze": lambda call: np.expand_dims(call.known(0), call.listed(1, "axes")),
    "ReduceProd": lambda call: np.prod(
        call.known(0), axis=call.listed(1, "axes") or None, keepdims=bool(call.get("keepdims", 1))
    ),
}
