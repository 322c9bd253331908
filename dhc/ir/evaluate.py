"""Evaluates scalar expressions on numpy arrays: the meaning every printer is held to."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

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
)
from dhc.ir.types import DType

Array = NDArray[np.generic]
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
        if expression not in self._known:
            with np.errstate(all="ignore"):
                self._known[expression] = self._compute(expression)
        return self._known[expression]

    def _compute(self, expression: Scalar) -> Array:
        match expression:
            case Const(value, dtype):
                return np.asarray(value, dtype.numpy)
            case Var(name):
                raise KeyError(f"variable '{name}' has no value")
            case Unary(function, operand):
                return _UNARY[function](self.value(operand))
            case Binary(function, left, right):
                return _BINARY[function](self.value(left), self.value(right))
            case Compare(relation, left, right):
                return _COMPARE[relation](self.value(left), self.value(right))
            case Select(condition, then, otherwise):
                return np.where(self.value(condition), self.value(then), self.value(otherwise))
            case Fma(left, right, addend):
                return _fused(self.value(left), self.value(right), self.value(addend))
            case Cast(operand, dtype, saturate):
                return convert(self.value(operand), dtype, saturate)
            case Bitcast(operand, dtype):
                return np.asarray(self.value(operand)).view(dtype.numpy)
            case Load():
                return self._load(expression)
            case Reduce():
                return self._reduce(expression)
        raise TypeError(f"cannot evaluate {type(expression).__name__}")

    def _load(self, load: Load) -> Array:
        array = self._memory[load.buffer]
        index = [self.value(i) for i in load.index]
        if load.guard is None:
            return np.asarray(array[tuple(index)])
        assert load.otherwise is not None
        guard = self.value(load.guard)
        safe = tuple(np.where(guard, i, 0) for i in index)
        return np.where(guard, array[safe], self.value(load.otherwise))

    def _reduce(self, reduce: Reduce) -> Array:
        ranges = [range(axis.extent or 0) for axis in reduce.axes]
        bodies = (
            self._with(reduce, point).value(reduce.body) for point in itertools.product(*ranges)
        )
        if reduce.kind.startswith("arg"):
            return _first_extreme(list(bodies), reduce.kind)
        total: Array | None = None
        for body in bodies:
            total = body if total is None else _REDUCE[reduce.kind](total, body)
        if total is None:
            return np.asarray(reduce_identity(reduce.kind, reduce.dtype), reduce.dtype.numpy)
        return total.astype(reduce.dtype.numpy)

    def _with(self, reduce: Reduce, point: tuple[int, ...]) -> _Evaluator:
        known = {v: a for v, a in self._known.items() if isinstance(v, Var)}
        known |= {axis: np.asarray(p) for axis, p in zip(reduce.axes, point, strict=True)}
        return _Evaluator(known, self._memory)


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


def convert(array: Array, dtype: DType, saturate: bool = False) -> Array:
    """Converts as `Cast` does: truncation toward zero; `saturate` clamps to the range first."""
    if saturate and dtype.is_integer:
        info = np.iinfo(dtype.numpy)
        array = np.clip(np.nan_to_num(array), info.min, info.max)
    return array.astype(dtype.numpy)


def _fused(left: Array, right: Array, addend: Array) -> Array:
    """Emulates a fused multiply-add: exact product and sum in a wider type, rounded once."""
    if left.dtype == np.float32:
        wide = left.astype(np.float64) * right.astype(np.float64) + addend.astype(np.float64)
        return wide.astype(np.float32)
    return left * right + addend


def _first_extreme(bodies: list[Array], kind: str) -> Array:
    stacked = np.stack(np.broadcast_arrays(*bodies))
    choose = np.argmax if kind == "argmax" else np.argmin
    return np.asarray(choose(stacked, axis=0), np.int64)
