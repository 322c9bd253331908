"""The innermost step of native kernels: numbers times vectors, added to sums held in registers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dhc.backends.cpu.function import FunctionText
from dhc.backends.cpu.scalar_printer import ScalarPrinter
from dhc.backends.cpu.values import Value
from dhc.ir.types import DType


def add_products(
    function: FunctionText,
    scalars: ScalarPrinter,
    cells: Iterable[Sequence[str]],
    base: str,
    offsets: Iterable[int],
    vectors: Sequence[str],
) -> None:
    """Adds, to each row of cells, its number times every vector.

    Args:
        function: What it is printed into.
        scalars: Spreads numbers to vectors.
        cells: Where sums are, a row for each number and in it one for each vector.
        base: The place from which numbers are found.
        offsets: Bytes from there to the number of each row.
        vectors: Vectors of floats in registers.
    """
    vector = f"<{scalars.lanes} x float>"
    for offset, row in zip(offsets, cells, strict=True):
        place = function.address(base, offset)
        one = Value(function.let(f"load float, ptr {place}, align 4"), DType.F32)
        spread = scalars.spread(one).text
        for cell, factor in zip(row, vectors, strict=True):
            old = function.let(f"load {vector}, ptr {cell}")
            operands = [(vector, spread), (vector, factor), (vector, old)]
            new = function.call(vector, f"llvm.fma.v{scalars.lanes}f32", *operands)
            function.do(f"store {vector} {new}, ptr {cell}")
