"""Convolution as blocks of sums: some pixels by some vectors of output channels, held in registers.

The input lies channels-last with a halo of zeros, so there is no edge code: for a row of taps the
products run over consecutive memory. Weights are packed in the order in which they are read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.function import FunctionText
from dhc.backends.cpu.function import Operand as Number
from dhc.backends.cpu.kernel_printer import share_of
from dhc.backends.cpu.kernels.epilogue import Epilogue
from dhc.backends.cpu.kernels.finish import (
    Finish,
    RowAxis,
    operand_parameters,
    row_indices,
    row_offset,
    weights_offset,
)
from dhc.backends.cpu.kernels.products import add_products
from dhc.backends.cpu.scalar_printer import ScalarPrinter
from dhc.backends.cpu.values import llvm_type
from dhc.ir.scalar import Buffer, Var
from dhc.ir.types import DType

FLOAT = 4  # bytes of an element; integers have as many
SMALL_WEIGHTS = 256 << 10  # bytes that stay in a second-level cache beside the input rows
UNROLL = 4
FEW_ROWS = 8  # too few for workers to share evenly
LONG = 512  # products of one partial sum


@dataclass(frozen=True)
class Skip:
    """When the first turn of a loop over taps has only zeros, and is left out.

    It is where `(index + shift) % divide`, for the index along one of the rows, is `bound` or more.
    """

    row: int
    shift: int
    divide: int
    bound: int

    def first(self, function: FunctionText, indices: list[Number]) -> Number:
        """Returns the first turn that is done: 0 or 1."""
        moved = function.add(indices[self.row], self.shift)
        phase = function.let(f"urem i64 {moved}, {self.divide}")
        skipped = function.let(f"icmp uge i64 {phase}, {self.bound}")
        return function.let(f"zext i1 {skipped} to i64")


@dataclass(frozen=True)
class Tap:
    """One axis of the kernel: `count` taps, `stride` elements of the input apart."""

    count: int
    stride: int
    skip: Skip | None = None


@dataclass(frozen=True)
class ConvKernel:
    """One convolution or dense layer with its epilogue.

    Attributes:
        name: Unique in the plan.
        buffers: The result, then the operands in the order of the step.
        rows: Outer axes of the output, the batch first.
        pixel: The innermost spatial axis.
        channel: The output channel's index variable.
        taps: Loops of the kernel outside of the run, outermost first.
        run: Consecutive input elements that one turn of the taps multiplies.
        start: Offset of the first input element read, relative to logical element 0.
        filters: Output channels.
        block: Output channels of one block of packed weights.
        source, weights: Which buffers hold the input and the packed weights.
        epilogue: What becomes of the sum.
    """

    name: str = field(compare=False)
    buffers: tuple[Buffer, ...]
    rows: tuple[RowAxis, ...]
    pixel: RowAxis
    channel: Var
    taps: tuple[Tap, ...]
    run: int
    start: int
    filters: int
    block: int
    source: int
    weights: int
    epilogue: Epilogue

    @property
    def joins_next(self) -> bool:
        return False

    @property
    def dtype(self) -> DType:
        """The type of factors and sums: f32, or i32."""
        return self.epilogue.total.dtype

    def function(self, isa: Isa) -> FunctionText:
        return _Generator(self, isa).function

    @cached_property
    def block_bytes(self) -> int:
        """Packed weights of one block of output channels."""
        return math.prod(tap.count for tap in self.taps) * self.run * self.block * FLOAT

    @property
    def blocks(self) -> int:
        return -(-self.filters // self.block)


class _Generator:
    def __init__(self, kernel: ConvKernel, isa: Isa) -> None:
        self._kernel = kernel
        self._isa = isa
        self._vectors = kernel.block // isa.lanes
        self._vector = llvm_type(kernel.dtype, isa.lanes)
        self._sums = sums_of(kernel)
        self._totals = ""
        self._firsts: list[Number] = []
        self.function = FunctionText(kernel.name, operand_parameters(len(kernel.buffers)))
        self._scalars = ScalarPrinter(self.function, isa.lanes)
        self._finish = Finish(
            self.function, self._scalars, kernel.buffers, kernel.rows, kernel.pixel,
            kernel.channel, kernel.filters, kernel.epilogue,
        )  # fmt: skip
        self._print()

    def _print(self) -> None:
        rows = math.prod(row.size for row in self._kernel.rows)
        if self._kernel.blocks * self._kernel.block_bytes > SMALL_WEIGHTS or rows == 1:
            self._blocks_outside(rows)
        elif rows < FEW_ROWS:
            self._all_shared(rows)
        else:
            self._rows_outside(rows)

    def _blocks_outside(self, rows: int) -> None:
        """Workers share blocks of output channels, and the rows of a block that is left over.

        Each block's weights serve all its pixels.
        """
        function = self.function
        first, last = share_of(function, self._kernel.blocks * rows)
        with function.loop(first, last) as turn:
            block = turn if rows == 1 else function.let(f"udiv i64 {turn}, {rows}")
            row = 0 if rows == 1 else function.let(f"urem i64 {turn}, {rows}")
            self._pixels(row, block)

    def _rows_outside(self, rows: int) -> None:
        """Workers share the rows; each row's input serves all output channels."""
        first, last = share_of(self.function, rows)
        with (
            self.function.loop(first, last) as row,
            self.function.loop(0, self._kernel.blocks) as block,
        ):
            self._pixels(row, block)

    def _all_shared(self, rows: int) -> None:
        """Workers share the blocks of all rows, since rows alone would leave some without work."""
        function = self.function
        first, last = share_of(function, self._kernel.blocks * rows)
        with function.loop(first, last) as turn:
            row = function.let(f"udiv i64 {turn}, {self._kernel.blocks}")
            block = function.let(f"urem i64 {turn}, {self._kernel.blocks}")
            self._pixels(row, block)

    def _pixels(self, row: Number, block: Number) -> None:
        kernel, function = self._kernel, self.function
        indices = row_indices(function, kernel.rows, row)
        offset = row_offset(function, kernel.rows, indices, kernel.start)
        source = function.address(f"%b{kernel.source}", function.multiply(offset, FLOAT))
        weights = function.address(
            f"%b{kernel.weights}", function.multiply(block, kernel.block_bytes)
        )
        self._firsts = [
            tap.skip.first(function, indices) if tap.skip else 0 for tap in self._sums.taps
        ]
        part = weights_offset(function, kernel.rows, indices)
        weights = function.address(weights, function.multiply(part, FLOAT))
        channel = function.multiply(block, kernel.block)
        for start, size, count in pixel_blocks(kernel.pixel.size, self._most_pixels()):
            with function.loop(0, count) as turn:
                first = function.add(function.multiply(turn, size), start)
                self._block(indices, first, size, source, weights, channel)

    def _most_pixels(self) -> int:
        return most_pixels(self._isa, self._kernel.block)

    def _block(
        self,
        indices: list[Number],
        first: Number,
        size: int,
        source: str,
        weights: str,
        channel: Number,
    ) -> None:
        """Computes `size` pixels from `first` on, for one block of output channels."""
        function = self.function
        cells = [[function.alloca(self._vector) for _ in range(self._vectors)] for _ in range(size)]
        for cell in (cell for pixel in cells for cell in pixel):
            function.do(f"store {self._vector} zeroinitializer, ptr {cell}")
        step = self._kernel.pixel.step * FLOAT
        source = function.address(source, function.multiply(first, step))
        with self._partial_sums([cell for pixel in cells for cell in pixel]):
            self._sum(cells, source, weights, 0)
        self._finish.store_block(indices, first, channel, cells)

    @contextmanager
    def _partial_sums(self, cells: list[str]) -> Iterator[None]:
        """Long sums are made of shorter ones, which lose fewer digits: the cells hold one of them.

        The totals lie in memory, where `_flush` adds the cells to them.
        """
        function, width = self.function, self._isa.lanes * FLOAT
        if self._sums.depth:
            self._totals = function.alloca(f"[{len(cells) * width} x i8]")
            for number in range(len(cells)):
                place = function.address(self._totals, number * width)
                function.do(f"store {self._vector} zeroinitializer, ptr {place}")
        yield
        if self._sums.depth:
            for number, cell in enumerate(cells):
                place = function.address(self._totals, number * width)
                total = function.let(f"load {self._vector}, ptr {place}")
                function.do(f"store {self._vector} {total}, ptr {cell}")

    def _flush(self, cells: list[str]) -> None:
        """Adds the partial sums to the totals and clears them."""
        function, width = self.function, self._isa.lanes * FLOAT
        for number, cell in enumerate(cells):
            place = function.address(self._totals, number * width)
            total = function.let(f"load {self._vector}, ptr {place}")
            part = function.let(f"load {self._vector}, ptr {cell}")
            both = function.let(f"fadd {self._vector} {total}, {part}")
            function.do(f"store {self._vector} {both}, ptr {place}")
            function.do(f"store {self._vector} zeroinitializer, ptr {cell}")

    def _sum(self, cells: list[list[str]], source: str, weights: str, depth: int) -> None:
        """Adds the products of the remaining tap loops and the run."""
        function, taps = self.function, self._sums.taps
        if depth < len(taps):
            inner = math.prod(tap.count for tap in taps[depth + 1 :]) * self._sums.run
            with function.loop(self._firsts[depth], taps[depth].count) as tap:
                moved = function.address(source, function.multiply(tap, taps[depth].stride * FLOAT))
                part = function.address(
                    weights, function.multiply(tap, inner * self._kernel.block * FLOAT)
                )
                self._sum(cells, moved, part, depth + 1)
                if depth + 1 == self._sums.depth:
                    self._flush([cell for pixel in cells for cell in pixel])
            return
        run = self._sums.run
        unroll = max(n for n in range(1, UNROLL + 1) if run % n == 0)
        with function.loop(0, run, unroll) as turn:
            moved = function.address(source, function.multiply(turn, FLOAT))
            part = function.address(weights, function.multiply(turn, self._kernel.block * FLOAT))
            for step in range(unroll):
                self._multiply(cells, moved, part, step)

    def _multiply(self, cells: list[list[str]], source: str, weights: str, step: int) -> None:
        """One input channel of every pixel times one vector of weights for every block."""
        function, vector, lanes = self.function, self._vector, self._isa.lanes
        loaded = []
        for v in range(self._vectors):
            place = function.address(weights, (step * self._kernel.block + v * lanes) * FLOAT)
            loaded.append(function.let(f"load {vector}, ptr {place}, align {FLOAT * lanes}"))
        offsets = [(n * self._kernel.pixel.step + step) * FLOAT for n in range(len(cells))]
        dtype = self._kernel.dtype
        add_products(function, self._scalars, cells, source, offsets, loaded, dtype)


def most_pixels(isa: Isa, block: int) -> int:
    """Returns of how many pixels registers hold the sums, for a block of output channels."""
    vectors = block // isa.lanes
    free = isa.registers - vectors - 1
    return max(1, min(free // vectors, 12 if isa.lanes == 8 else 24))


@dataclass(frozen=True)
class PartialSums:
    """How a sum is cut into loops.

    Attributes:
        taps: The loops, outermost first.
        run: Products of the innermost loop.
        depth: Loops outside of one partial sum; 0 where the whole sum is short.
    """

    taps: tuple[Tap, ...]
    run: int
    depth: int


def sums_of(kernel: ConvKernel) -> PartialSums:
    """How a kernel sums: integers lose no digits."""
    if kernel.dtype is DType.F32:
        return partial_sums(kernel.taps, kernel.run)
    return PartialSums(kernel.taps, kernel.run, 0)


def partial_sums(taps: tuple[Tap, ...], run: int) -> PartialSums:
    """Cuts a long run into equal parts, and finds which loops make one partial sum."""
    if run > LONG:
        part = max(n for n in range(1, LONG + 1) if run % n == 0)
        if part >= LONG // 4:
            taps, run = (*taps, Tap(run // part, part)), part
    depth = 0
    while depth < len(taps) and math.prod(tap.count for tap in taps[depth:]) * run > LONG:
        depth += 1
    return PartialSums(taps, run, depth)


def pixel_blocks(pixels: int, most: int) -> list[tuple[int, int, int]]:
    """Cuts a row into blocks of nearly one size: (first pixel, size, how many) of each size."""
    count = -(-pixels // most)
    small, extra = divmod(pixels, count)
    blocks = [(0, small + 1, extra)] if extra else []
    return [*blocks, (extra * (small + 1), small, count - extra)]
