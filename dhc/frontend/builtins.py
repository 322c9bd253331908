"""Pure functions that a file may call on numbers, strings and lists."""

from __future__ import annotations

import math
from collections.abc import Callable

from dhc.frontend.limits import MAX_ITEMS
from dhc.frontend.values import Builtin, Value, Zeros


class BuiltinError(Exception):
    """A builtin cannot take its arguments; the message is a plain sentence."""


class BuiltinLimitError(BuiltinError):
    """A builtin would compute too much."""


def _number(value: Value) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise BuiltinError("It takes numbers.")


def _whole(value: Value) -> int:
    number = _number(value)
    if not float(number).is_integer():
        raise BuiltinError("It takes whole numbers.")
    return int(number)


def _list(value: Value) -> tuple[Value, ...]:
    if isinstance(value, tuple):
        return value
    raise BuiltinError("It takes a list.")


def _extreme(pick: Callable[[list[int | float]], int | float]) -> Callable[..., Value]:
    def function(*values: Value) -> Value:
        items = _list(values[0]) if len(values) == 1 and isinstance(values[0], tuple) else values
        if not items:
            raise BuiltinError("It takes at least one number.")
        return pick([_number(item) for item in items])

    return function


def _sqrt(x: Value) -> Value:
    if _number(x) < 0:
        raise BuiltinError("The square root of a negative number is not a real number.")
    return math.sqrt(_number(x))


def _log2(x: Value) -> Value:
    if _number(x) <= 0:
        raise BuiltinError("Only positive numbers have a logarithm.")
    return math.log2(_number(x))


def _range(*bounds: Value) -> Value:
    if not 1 <= len(bounds) <= 3:
        raise BuiltinError("It takes an end, or a start and an end, and perhaps a step.")
    numbers = [_whole(bound) for bound in bounds]
    if len(numbers) == 3 and numbers[2] == 0:
        raise BuiltinError("The step cannot be 0.")
    turns = range(*numbers)
    if len(turns) > MAX_ITEMS:
        message = f"The list would have {len(turns)} items; the limit is {MAX_ITEMS}."
        raise BuiltinLimitError(message)
    return tuple(turns)


def _append(items: Value, item: Value) -> Value:
    if len(_list(items)) >= MAX_ITEMS:
        raise BuiltinLimitError(f"A list has at most {MAX_ITEMS} items.")
    return (*_list(items), item)


def _len(value: Value) -> Value:
    if isinstance(value, str | tuple):
        return len(value)
    raise BuiltinError("It takes a list or a string.")


def _sum(items: Value) -> Value:
    return sum(_number(item) for item in _list(items))


def _reverse(items: Value) -> Value:
    return tuple(reversed(_list(items)))


def _fill(count: Value, value: Value) -> Value:
    if not 0 <= _whole(count) <= MAX_ITEMS:
        raise BuiltinLimitError(f"A list has at most {MAX_ITEMS} items.")
    return (value,) * _whole(count)


def _zeros(*shape: Value) -> Value:
    sizes = tuple(_whole(size) for size in shape)
    if not sizes or min(sizes) < 1:
        raise BuiltinError("It takes sizes, such as zeros(64).")
    return Zeros(sizes)


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "max": _extreme(max),
    "min": _extreme(min),
    "floor": lambda x: math.floor(_number(x)),
    "ceil": lambda x: math.ceil(_number(x)),
    "round": lambda x: math.floor(_number(x) + 0.5),
    "abs": lambda x: abs(_number(x)),
    "sqrt": _sqrt,
    "log2": _log2,
    "range": _range,
    "append": _append,
    "len": _len,
    "sum": _sum,
    "reverse": _reverse,
    "fill": _fill,
    "zeros": _zeros,
    "infinity": lambda: math.inf,
    "minus_infinity": lambda: -math.inf,
    "nan": lambda: math.nan,
}
NOT_FINITE = frozenset(("infinity", "minus_infinity", "nan"))  # said, while no other result may be
BUILTINS = {name: Builtin(name, function) for name, function in _FUNCTIONS.items()}
