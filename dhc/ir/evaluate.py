"""Evaluates scalar expressions on numpy arrays: the meaning every printer is held to."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dhc.ir.number import type_range
from dhc.ir.scalar import (
    Binary,
    Bitcast,
    Buffer,
    Cast,
    Compare,
    Const,
    Fma,
    Load,
    Reduce,
    Scalar,
    Select,
    Unary,
    Var,
    children,
)
from dhc.ir.types import DType, dtype_of

Array = NDArray[np.generic]
Doubles = NDArray[np.float64]
Environment = dict[Scalar, Array]

_erf = np.vectorize(math.erf, otypes=[np.float64])

_UNARY: Mapping[str, Callable[[Array], Array]] = {
    "neg": np.negative, "abs": np.abs, "not": np.invert, "exp": np.exp, "log": np.log,
    "tanh": np.tanh, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "floor": np.floor,
    "ceil": np.ceil, "round": np.rint, "trunc": np.trunc,
    "erf": lambda x: np.asarray(_erf(x)).astype(x.dtype),
}  # fmt: skip
_BINARY: Mapping[str, Callable[[Array, Array], Array]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide,
    "floordiv": np.floor_divide, "mod": np.mod, "min": np.minimum, "max": np.maximum,
    "pow": np.power, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "shl": np.left_shift, "shr": np.right_shift,
}  # fmt: skip
_COMPARE: Mapping[str, Callable[[Array, Array], Array]] = {
    "lt": np.less, "le": np.less_equal, "eq": np.equal, "ne": np.not_equal,
    "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip
_REDUCE: Mapping[str, Callable[[Array, Array], Array]] = {
    "sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum,
    "any": np.logical_or, "all": np.logical_and,
}  # fmt: skip


def evaluate(
    expression: Scalar, values: Mapping[Scalar, Array], memory: Mapping[Buffer, Array] | None = None
) -> Array:
    """Evaluates an expression for whole arrays at once.

    Args:
        expression: What to compute.
        values: The arrays that variables stand for; they broadcast against each other.
        memory: For each buffer an array of its logical shape.

    Returns:
        The values, of the broadcast shape of all variables.
    """
    return _Evaluator(dict(values), memory or {}).value(expression)


class _Evaluator:
    def __init__(self, known: Environment, memory: Mapping[Buffer, Array]) -> None:
        self._known = known
        self._memory = memory

    def value(self, expression: Scalar) -> Array:
        stack = [expression]
        with np.errstate(all="ignore"):
            while stack:
                current = stack[-1]
                inner = () if isinstance(current, Reduce) else children(current)
                missing = [part for part in inner if part not in self._known]
                if missing and current not in self._known:
                    stack.extend(missing)
                    continue
                stack.pop()
                if current not in self._known:
                    self._known[current] = self._compute(current)
        return self._known[expression]

    def _compute(self, expression: Scalar) -> Array:
        match expression:
            case Load():
                return self._load(expression)
            case Reduce():
                return self._reduce(expression)
        return apply(expression, [self._known[child] for child in children(expression)])

    def _load(self, load: Load) -> Array:
        array = self._memory[load.buffer]
        index = [self._known[i] for i in load.index]
        if load.guard is None:
            _check_range(load.buffer, array, index, np.asarray(True))
            return np.asarray(array[tuple(index)])
        assert load.otherwise is not None
        guard, otherwise = self._known[load.guard], self._known[load.otherwise]
        _check_range(load.buffer, array, index, guard)
        if not guard.any():
            return np.broadcast_to(otherwise, np.broadcast_shapes(*(np.shape(i) for i in index)))
        safe = tuple(np.where(guard, i, 0) for i in index)
        return np.where(guard, array[safe], otherwise)

    def _reduce(self, reduce: Reduce) -> Array:
        points = itertools.product(*(range(_extent(axis)) for axis in reduce.axes))
        at = (self._with(reduce, point) for point in points)
        if reduce.kind.startswith("arg"):
            return _first_extreme([inner.value(reduce.body) for inner in at], reduce.kind)
        wide = total_type(reduce.kind, reduce.dtype).numpy
        total = np.asarray(reduce_identity(reduce.kind, reduce.dtype), wide)
        for inner in at:
            total = inner.fold(reduce, total)
        return convert(total, reduce.dtype)

    def fold(self, reduce: Reduce, total: Array) -> Array:
        """Adds one turn of a reduction to what the turns before have given."""
        match reduce.kind, reduce.body:
            case "sum", Binary("mul", left, right) if reduce.dtype.is_float:
                return fused(self.value(left), self.value(right), total)
        return _REDUCE[reduce.kind](total, self.value(reduce.body))

    def _with(self, reduce: Reduce, point: tuple[int, ...]) -> _Evaluator:
        known: Environment = {v: a for v, a in self._known.items() if isinstance(v, Var)}
        known |= {axis: np.asarray(p) for axis, p in zip(reduce.axes, point, strict=True)}
        return _Evaluator(known, self._memory)


def apply(expression: Scalar, operands: Sequence[Array]) -> Array:
    """Computes one operation from its operands; reads and reductions are not operations.

    Raises:
        KeyError: for a variable, whose value is unknown.
    """
    match expression:
        case Const(value, dtype):
            return np.asarray(value, dtype.numpy)
        case Var(name):
            raise KeyError(f"variable '{name}' has no value")
        case Unary(function):
            return _UNARY[function](*operands)
        case Binary(function):
            return _BINARY[function](*operands)
        case Compare(relation):
            return _COMPARE[relation](*operands)
        case Select():
            return np.where(operands[0].astype(np.bool_), operands[1], operands[2])
        case Fma():
            return fused(*operands)
        case Cast(_, dtype, saturate):
            return convert(operands[0], dtype, saturate)
        case Bitcast(_, dtype):
            return np.asarray(operands[0]).view(dtype.numpy)
    raise TypeError(f"cannot evaluate {type(expression).__name__}")


def _extent(axis: Var) -> int:
    if axis.extent is None:
        raise ValueError(f"the extent of '{axis.name}' is not known yet")
    return axis.extent


def _check_range(buffer: Buffer, array: Array, index: Sequence[Array], guard: Array) -> None:
    """Refuses what numpy would take from the other end of the array."""
    for i, size in zip(index, array.shape, strict=True):
        if np.any(guard & ((i < 0) | (i >= size))):  # type: ignore[operator]
            raise IndexError(f"a read of '{buffer.name}' is outside 0..{size - 1}")


def reduce_identity(kind: str, dtype: DType) -> float | int | bool:
    """Returns the value a reduction of nothing has: 0, 1, or the lowest or highest number."""
    if kind in ("sum", "any"):
        return False if dtype is DType.BOOL else 0
    if kind in ("prod", "all"):
        return True if dtype is DType.BOOL else 1
    lowest = kind in ("max", "argmax")
    if dtype.is_float:
        return -math.inf if lowest else math.inf
    if dtype is DType.BOOL:
        return not lowest
    info = np.iinfo(dtype.numpy)
    return int(info.min if lowest else info.max)


def total_type(kind: str, dtype: DType) -> DType:
    """Returns in what a reduction adds or multiplies: numbers of half precision as f32.

    Ones would add up to 2048 at most, if every sum were rounded.
    """
    return DType.F32 if dtype is DType.F16 and kind in ("sum", "prod") else dtype


def convert(array: Array, dtype: DType, saturate: bool = False) -> Array:
    """Converts as `Cast` does: truncation toward zero; `saturate` clamps to the range first."""
    array = np.asarray(array)
    source = dtype_of(array)
    if source.is_narrow or dtype.is_narrow:
        return _convert_narrow(array, source, dtype, saturate)
    with np.errstate(all="ignore"):
        if saturate and dtype.is_integer:
            return _saturated(array, dtype)
        return array.astype(dtype.numpy)


def _convert_narrow(array: Array, source: DType, dtype: DType, saturate: bool) -> Array:
    from dhc.ir.narrow import conversion

    value, expression = conversion(source, dtype, saturate)
    found = evaluate(expression, {value: array.view(source.stored.numpy)})
    return found.view(dtype.numpy)


def _saturated(array: Array, dtype: DType) -> Array:
    low, high = type_range(dtype)
    if array.dtype.kind == "f":
        array = np.nan_to_num(array, posinf=math.inf, neginf=-math.inf)
    above, below = np.greater_equal(array, high), np.less_equal(array, low)
    inside = np.where(above | below, 0, array).astype(dtype.numpy)
    limits = np.array([low, high], dtype.numpy)
    return np.where(above, limits[1], np.where(below, limits[0], inside))


def fused(left: Array, right: Array, addend: Array) -> Array:
    """Emulates a fused multiply-add: the exact product plus the addend, rounded once."""
    dtype = np.result_type(left, right, addend)
    a, b, c = (np.asarray(x, np.float64) for x in (left, right, addend))
    with np.errstate(all="ignore"):
        if dtype == np.float64:
            return _fused_doubles(a, b, c)
        return _to_odd(*_two_sum(a * b, c)).astype(dtype)  # the product of f32 values is exact


def _fused_doubles(a: Doubles, b: Doubles, c: Doubles) -> Doubles:
    """The algorithm of Boldo and Melquiond (2008), with the plain result where it overflows."""
    high, low = _two_product(a, b)
    top, rest = _two_sum(c, low)
    upper, lower = _two_sum(high, top)
    result = upper + _to_odd(*_two_sum(rest, lower))
    return np.where(np.isfinite(result), result, a * b + c)


def _two_sum(a: Doubles, b: Doubles) -> tuple[Doubles, Doubles]:
    """Returns the rounded sum and its error."""
    total = a + b
    virtual = total - a
    return total, (a - (total - virtual)) + (b - virtual)


def _two_product(a: Doubles, b: Doubles) -> tuple[Doubles, Doubles]:
    """Returns the rounded product and its error, by splitting the factors in halves."""
    product = a * b
    (ah, al), (bh, bl) = _halves(a), _halves(b)
    return product, ((ah * bh - product) + ah * bl + al * bh) + al * bl


def _halves(a: Doubles) -> tuple[Doubles, Doubles]:
    scaled = a * 134217729.0  # 2**27 + 1
    high = scaled - (scaled - a)
    return high, a - high


def _to_odd(total: Doubles, error: Doubles) -> Doubles:
    """Returns an inexact sum as its neighbour with an odd last bit: rounding it again is right."""
    even = (total.view(np.int64) & 1) == 0
    inexact = np.isfinite(error) & (error != 0) & np.isfinite(total)
    neighbour = np.nextafter(total, np.copysign(np.inf, error))
    return np.where(even & inexact, neighbour, total)


def _first_extreme(bodies: list[Array], kind: str) -> Array:
    stacked = np.stack(np.broadcast_arrays(*bodies))
    choose = np.argmax if kind == "argmax" else np.argmin
    return np.asarray(choose(stacked, axis=0), np.int64)
