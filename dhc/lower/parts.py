"""Long sums as sums of partial sums.

What is added to a sum that is already large loses its last digits: of n terms in a row, up to n
roundings. A sum of partial sums has only as many as both have terms. Softmax over a dictionary adds
thousands of small terms to a large one, which would lose all of them.
"""

from __future__ import annotations

import math

from dhc.ir.replace import replace_variables
from dhc.ir.scalar import Reduce, Scalar, Var
from dhc.ir.types import DType

LONGEST = 64  # terms in a row
SHORTEST = 8  # terms that are worth a partial sum


def in_parts(reduce: Reduce) -> Scalar:
    """Returns a reduction so that each of its loops adds few numbers; others as they are."""
    count = math.prod(_extent(axis) for axis in reduce.axes)
    if reduce.kind != "sum" or not reduce.dtype.is_float or count <= LONGEST:
        return reduce
    place = len(reduce.axes)
    inner = 1  # terms of the axes from this place on
    while inner * _extent(reduce.axes[place - 1]) <= LONGEST:
        place -= 1
        inner *= _extent(reduce.axes[place])
    if inner >= SHORTEST:
        return _nested(reduce.axes[:place], reduce.axes[place:], reduce.body)
    return _cut(reduce, place - 1, LONGEST // inner)


def _cut(reduce: Reduce, place: int, most: int) -> Scalar:
    """The reduction with an axis in blocks of at most so many; what remains is added at last."""
    axis = reduce.axes[place]
    before, behind = reduce.axes[:place], reduce.axes[place + 1 :]
    size = _block(_extent(axis), most)
    whole, rest = divmod(_extent(axis), size)
    part = Var(f"{axis.name}_part", DType.I64, whole)
    step = Var(f"{axis.name}_step", DType.I64, size)
    moved = replace_variables(reduce.body, {axis: part * size + step})
    total = _nested((*before, part), (step, *behind), moved)
    if not rest:
        return total
    last = Var(f"{axis.name}_rest", DType.I64, rest)
    moved = replace_variables(reduce.body, {axis: last + whole * size})
    return total + _nested(before, (last, *behind), moved)


def _nested(outer: tuple[Var, ...], inner: tuple[Var, ...], body: Scalar) -> Scalar:
    found = Reduce("sum", inner, body)
    return Reduce("sum", outer, found) if outer else found


def _block(extent: int, most: int) -> int:
    """The largest divisor that is not too small, else the largest block."""
    divisors = (size for size in range(most, most // 4, -1) if extent % size == 0)
    return next(divisors, most)


def _extent(axis: Var) -> int:
    assert axis.extent is not None, "sizes of reductions are bound before kernels are made"
    return axis.extent
