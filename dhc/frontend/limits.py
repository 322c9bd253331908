"""Limits of what a file may compute while it is read, and the errors where one is passed."""

from __future__ import annotations

import math

from dhc.errors import DhcError
from dhc.frontend.fail import error
from dhc.frontend.values import Value
from dhc.ir.types import Tensor
from dhc.source import Span

MAX_STEPS = 300_000  # expressions evaluated for one entry of a file
MAX_CALL_DEPTH = 64  # functions and blocks inside each other
MAX_ITEMS = 100_000  # of a list, turns of a loop, characters of a string
ITEMS_IN_A_STEP = 100  # of lists that are made
MAX_MISTAKES = 100  # in names, reported for one file
MAX_INTEGER = 2**63 - 1
MAX_ELEMENTS = 2**40  # of one tensor


class Budget:
    """Counts the work of one evaluation."""

    def __init__(self) -> None:
        self.steps = 0
        self.depth = 0

    def step(self, span: Span, count: int = 1) -> None:
        self.steps += count
        if self.steps > MAX_STEPS:
            message = f"This file computes too long; the limit is {MAX_STEPS} steps."
            raise too_much(message, span)

    def enter(self, name: str, span: Span) -> None:
        """Counts a call; `leave` must follow."""
        self.depth += 1
        if self.depth > MAX_CALL_DEPTH:
            message = f"'{name}' is called inside itself too often; the limit is {MAX_CALL_DEPTH}."
            raise too_much(message, span, "this call")

    def leave(self) -> None:
        self.depth -= 1


def too_much(message: str, span: Span, label: str = "here") -> DhcError:
    return error("limit", message, span, label)


def check_count(count: int, what: str, span: Span) -> None:
    """Refuses lists, strings and loops beyond `MAX_ITEMS`."""
    if count > MAX_ITEMS:
        raise too_much(f"{what} of {count} is too long; the limit is {MAX_ITEMS}.", span)


def check_items(value: Value, span: Span) -> int:
    """Refuses lists with more than `MAX_ITEMS` items, those of the lists inside included.

    Returns:
        How many items there are.
    """
    count, stack = 0, [value]
    while stack:
        each = stack.pop()
        if isinstance(each, tuple):
            count += len(each)
            if count > MAX_ITEMS:
                message = f"This list has too many items; the limit is {MAX_ITEMS}."
                raise too_much(message, span)
            stack += [item for item in each if isinstance(item, tuple)]
    return count


def check_shape(what: str, type: Tensor, span: Span) -> None:
    """Refuses tensors with a size below 1 and those that no machine can hold."""
    known = [size for size in type.shape if isinstance(size, int)]
    if any(size < 1 for size in known):
        message = f"{what} {type}; every size must be at least 1."
        raise error("shape-mismatch", message, span)
    if math.prod(known) > MAX_ELEMENTS:
        raise too_much(f"{what} {type}, which has too many elements.", span)


def check_number(value: int | float, span: Span) -> int | float:
    """Refuses integers beyond 64 bits and floats that are not finite."""
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise too_much("This number does not fit in 64 bits.", span)
    elif value != value or value in (float("inf"), float("-inf")):
        raise too_much("This is not a finite number.", span)
    return value
