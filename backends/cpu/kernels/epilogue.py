"""What follows a sum of products in its kernel: any expression of the sum and other tensors."""

from __future__ import annotations

from dataclasses import dataclass

from dhc.ir.kernel import Let, Statement
from dhc.ir.replace import map_children
from dhc.ir.scalar import Reduce, Scalar, Var, children, walk
from dhc.lower.expand_math import expand_math
from dhc.lower.share import Names, share

SUM = "sum"


@dataclass(frozen=True)
class Epilogue:
    """`definitions` and then `result`, in terms of the variable `total` and of index variables."""

    total: Var
    definitions: tuple[Statement, ...]
    result: Scalar


def split_definition(value: Scalar) -> tuple[Reduce, Epilogue] | None:
    """Splits an element's definition into its only sum and what is made of it.

    Returns None where there is not exactly one reduction.
    """
    found = {part for part in walk(value) if isinstance(part, Reduce)}
    if len(found) != 1:
        return None
    (reduce,) = found
    total = Var(SUM, reduce.dtype)
    done: dict[Scalar, Scalar] = {reduce: total}
    for part in walk(value):
        if part not in done:
            done[part] = map_children(part, done) if children(part) else part
    definitions, result = share(expand_math(done[value]), Names())
    return reduce, Epilogue(total, definitions, result)


def lets(epilogue: Epilogue) -> list[Let]:
    """The definitions, which are all of one kind."""
    return [statement for statement in epilogue.definitions if isinstance(statement, Let)]
