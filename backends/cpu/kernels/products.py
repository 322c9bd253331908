"""The innermost step of native kernels: numbers times vectors, added to sums held in registers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dhc.backends.cpu.function import FunctionText
from dhc.backends.cpu.scalar_printer import ScalarPrinter
from dhc.backends.cpu.values import Value, llvm_type
from dhc.ir.types import DType


def add_products(
    function: FunctionText,
    scalars: ScalarPrinter,
    cells: Iterable[Sequence[str]],
    base: str,
    offsets: Iterable[int],
    vectors: Sequence[str],
    dtype: DType = DType.F32,
) -> None:
    """Adds, to each row of cells, its number times every vector.

    Args:
        function: What it is printed into.
        scalars: Spreads numbers to vectors.
        cells: Where sums are, a row for each number and in it one for each vector.
        base: The place from which numbers are found.
        offsets: Bytes from there to the number of each row.
        vectors: Vectors in registers.
        dtype: The type of all numbers: f32, whose products are not rounded, or i32.
    """
    vector = llvm_type(dtype, scalars.lanes)
    for offset, row in zip(offsets, cells, strict=True):
        place = function.address(base, offset)
        one = Value(function.let(f"load {llvm_type(dtype)}, ptr {place}, align 4"), dtype)
        spread = scalars.spread(one).text
        for cell, factor in zip(row, vectors, strict=True):
            old = function.let(f"load {vector}, ptr {cell}")
            new = _sum(function, dtype, scalars.lanes, (spread, factor, old))
            function.do(f"store {vector} {new}, ptr {cell}")


def _sum(function: FunctionText, dtype: DType, lanes: int, operands: tuple[str, str, str]) -> str:
    """The product of two vectors, and a third one."""
    vector = llvm_type(dtype, lanes)
    if dtype is DType.F32:
        given = [(vector, each) for each in operands]
        return function.call(vector, f"llvm.fma.v{lanes}f32", *given)
    first, second, third = operands
    product = function.let(f"mul {vector} {first}, {second}")
    return function.let(f"add {vector} {product}, {third}")
