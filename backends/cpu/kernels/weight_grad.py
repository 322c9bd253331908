"""Gradients for the weights of convolutions: blocks of sums over pixels, held in registers.

A block is some neighbouring inputs of a tap by some vectors of output channels. Pixels are taken in
chunks that stay in the second-level cache, because every tap and channel reads them again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.function import FunctionText
from dhc.backends.cpu.function import Operand as Number
from dhc.backends.cpu.kernel_printer import share_of
from dhc.backends.cpu.kernels.conv import FLOAT, Tap, most_pixels, pixel_blocks
from dhc.backends.cpu.kernels.finish import operand_parameters
from dhc.backends.cpu.kernels.products import add_products
from dhc.backends.cpu.scalar_printer import ScalarPrinter
from dhc.backends.cpu.values import Value
from dhc.ir.scalar import Buffer
from dhc.ir.types import DType

CHUNK_BYTES = 256 << 10  # of both operands
MOST_PIXELS = 512  # of one partial sum


@dataclass(frozen=True)
class Axis:
    """An axis of the places: how many, and what one step moves in each operand, in elements."""

    size: int
    source: int
    above: int


@dataclass(frozen=True)
class WeightGradKernel:
    """The gradient of one convolution for its weights, packed in blocks of output channels.

    Attributes:
        name: Unique in the plan.
        buffers: The result, then the operands in the order of the step.
        rows: The batch, then the outer spatial axes.
        pixel: The innermost spatial axis.
        taps: Loops of the kernel outside of the run, outermost first.
        run: Consecutive input elements that one turn of the taps multiplies.
        start: Offset of the first input element read, relative to logical element 0.
        filters: Output channels.
        block: Output channels of one block of the result.
        source, above: Which buffers hold the input and the gradient of the convolution's result.
    """

    name: str = field(compare=False)
    buffers: tuple[Buffer, ...]
    rows: tuple[Axis, ...]
    pixel: Axis
    taps: tuple[Tap, ...]
    run: int
    start: int
    filters: int
    block: int
    source: int
    above: int

    @property
    def joins_next(self) -> bool:
        return False

    def function(self, isa: Isa) -> FunctionText:
        return _Generator(self, isa).function

    @property
    def places(self) -> int:
        """Blocks of output channels times taps."""
        return -(-self.filters // self.block) * math.prod(tap.count for tap in self.taps)


class _Generator:
    def __init__(self, kernel: WeightGradKernel, isa: Isa) -> None:
        self._kernel = kernel
        self._isa = isa
        self._vectors = kernel.block // isa.lanes
        self._vector = f"<{isa.lanes} x float>"
        self.function = FunctionText(kernel.name, operand_parameters(len(kernel.buffers)))
        self._scalars = ScalarPrinter(self.function, isa.lanes)
        self._masks: dict[int, str] = {}
        self._parts = pixel_blocks(kernel.run, most_pixels(isa, kernel.block))
        self._count = sum(count for _, _, count in self._parts)  # blocks of inputs of a place
        self._print()

    def _print(self) -> None:
        """Workers share the blocks of inputs of all places."""
        function, kernel = self.function, self._kernel
        first, last = share_of(function, kernel.places * self._count)
        self._clear(self._element(first), self._element(last))
        images, rows = chunk_of(kernel)
        batch, *outer = kernel.rows
        size = function.size(batch.size)
        with function.loop(0, size, images) as image:
            end = self._least(function.add(image, images), size)
            if not outer:
                self._chunk(first, last, [(image, end)])
                return
            with function.loop(0, outer[0].size, rows) as row:
                stop = self._least(function.add(row, rows), outer[0].size)
                rest: list[tuple[Number, Number]] = [(0, axis.size) for axis in outer[1:]]
                self._chunk(first, last, [(image, end), (row, stop), *rest])

    def _element(self, number: Number) -> Number:
        """Where the block of inputs of this number begins in the result."""
        function, kernel = self.function, self._kernel
        place = function.let(f"udiv i64 {number}, {self._count}")
        within = function.let(f"urem i64 {number}, {self._count}")
        longer = sum(count for _, size, count in self._parts if size > self._parts[-1][1])
        inputs = function.multiply(within, self._parts[-1][1])
        inputs = function.add(inputs, self._least(within, longer))  # the first ones have one more
        total = function.add(function.multiply(place, kernel.run), inputs)
        return function.multiply(total, kernel.block)

    def _clear(self, first: Number, last: Number) -> None:
        """Zeroes this worker's part of the result."""
        function = self.function
        with function.loop(first, last, self._isa.lanes) as place:
            address = function.address("%b0", function.multiply(place, FLOAT))
            function.do(f"store {self._vector} zeroinitializer, ptr {address}, align {FLOAT}")

    def _least(self, value: Number, bound: Number) -> Number:
        return self.function.call("i64", "llvm.smin.i64", ("i64", value), ("i64", bound))

    def _within(self, value: Number, bound: int) -> Number:
        """The number itself, or the nearest one from 0 to a bound."""
        least = self.function.call("i64", "llvm.smax.i64", ("i64", value), ("i64", 0))
        return self._least(least, bound)

    def _chunk(self, first: Number, last: Number, ranges: list[tuple[Number, Number]]) -> None:
        """Adds what the pixels in `ranges` contribute to this worker's part of the result."""
        function, kernel = self.function, self._kernel
        start = function.let(f"udiv i64 {first}, {self._count}")
        stop = function.let(f"udiv i64 {function.add(last, self._count - 1)}, {self._count}")
        with function.loop(start, stop) as place:
            source: Number = kernel.start
            rest: Number = place
            for tap in reversed(kernel.taps):
                turn = function.let(f"urem i64 {rest}, {tap.count}")
                rest = function.let(f"udiv i64 {rest}, {tap.count}")
                source = function.add(source, function.multiply(turn, tap.stride))
            above = function.multiply(rest, kernel.block)
            self._find_masks(above)
            done = function.multiply(place, self._count)
            for begin, size, count in self._parts:
                low, high = (function.let(f"sub i64 {end}, {done}") for end in (first, last))
                done = function.add(done, count)
                with function.loop(self._within(low, count), self._within(high, count)) as number:
                    inputs = function.add(function.multiply(number, size), begin)
                    offset = function.add(function.multiply(place, kernel.run), inputs)
                    out = function.address("%b0", function.multiply(offset, kernel.block * FLOAT))
                    moved = function.add(source, inputs)
                    self._block(out, size, moved, above, ranges)

    def _block(
        self,
        out: str,
        size: int,
        source: Number,
        above: Number,
        ranges: list[tuple[Number, Number]],
    ) -> None:
        """Sums for `size` inputs and one block of channels over a chunk, added to the result."""
        function, lanes = self.function, self._isa.lanes
        cells = [[function.alloca(self._vector) for _ in range(self._vectors)] for _ in range(size)]
        for cell in (cell for row in cells for cell in row):
            function.do(f"store {self._vector} zeroinitializer, ptr {cell}")
        self._rows(cells, source, above, ranges, self._kernel.rows)
        for number, cell in enumerate(cell for row in cells for cell in row):
            place = function.address(out, number * lanes * FLOAT)
            total = function.let(f"load {self._vector}, ptr {place}, align {FLOAT}")
            part = function.let(f"load {self._vector}, ptr {cell}")
            both = function.let(f"fadd {self._vector} {total}, {part}")
            function.do(f"store {self._vector} {both}, ptr {place}, align {FLOAT}")

    def _rows(
        self,
        cells: list[list[str]],
        source: Number,
        above: Number,
        ranges: list[tuple[Number, Number]],
        axes: tuple[Axis, ...],
    ) -> None:
        """Loops over the outer axes of a chunk, then over the pixels of a row."""
        function, kernel = self.function, self._kernel
        if axes:
            (first, last), axis = ranges[0], axes[0]
            with function.loop(first, last) as turn:
                moved = function.add(source, function.multiply(turn, axis.source))
                up = function.add(above, function.multiply(turn, axis.above))
                self._rows(cells, moved, up, ranges[1:], axes[1:])
            return
        from_x = function.address(f"%b{kernel.source}", function.multiply(source, FLOAT))
        from_up = function.address(f"%b{kernel.above}", function.multiply(above, FLOAT))
        with function.loop(0, kernel.pixel.size) as pixel:
            x = function.address(from_x, function.multiply(pixel, kernel.pixel.source * FLOAT))
            up = function.address(from_up, function.multiply(pixel, kernel.pixel.above * FLOAT))
            self._multiply(cells, x, up)

    def _multiply(self, cells: list[list[str]], x: str, up: str) -> None:
        """One pixel: every input of the block times every vector of channels."""
        function, lanes = self.function, self._isa.lanes
        loaded = [
            self._channels(function.address(up, v * lanes * FLOAT), v) for v in range(self._vectors)
        ]
        offsets = [number * FLOAT for number in range(len(cells))]
        add_products(function, self._scalars, cells, x, offsets, loaded)

    def _find_masks(self, channel: Number) -> None:
        """Finds which lanes of a block are output channels, where not all of them are."""
        if self._kernel.filters % self._kernel.block == 0:
            return
        function, lanes = self.function, self._isa.lanes
        ramp = ", ".join(f"i64 {k}" for k in range(lanes))
        first = self._scalars.spread(Value(str(channel), DType.I64))
        for v in range(self._vectors):
            bound = self._kernel.filters - v * lanes
            own = function.let(f"add {first.type} {first.text}, <{ramp}>")
            mask = function.let(f"icmp slt {first.type} {own}, splat (i64 {bound})")
            self._masks[v] = mask

    def _channels(self, place: str, number: int) -> str:
        """Loads a vector of output channels, zeros beyond the last."""
        vector, lanes = self._vector, self._isa.lanes
        if number not in self._masks:
            return self.function.let(f"load {vector}, ptr {place}, align {FLOAT}")
        flags, name = f"<{lanes} x i1>", f"llvm.masked.load.v{lanes}f32.p0"
        self.function.declarations.add(f"declare {vector} @{name}(ptr, i32, {flags}, {vector})")
        arguments = f"ptr {place}, i32 4, {flags} {self._masks[number]}, {vector} zeroinitializer"
        return self.function.let(f"call {vector} @{name}({arguments})")


def chunk_of(kernel: WeightGradKernel) -> tuple[int, int]:
    """Returns how many images, and how many rows of an image, are summed at once."""
    batch, *outer = kernel.rows
    pixel_bytes = (kernel.filters + kernel.run) * FLOAT
    wanted = max(32, min(MOST_PIXELS, CHUNK_BYTES // pixel_bytes))
    row = kernel.pixel.size * math.prod(axis.size for axis in outer[1:])
    rows = max(1, wanted // row)
    if not outer:
        return max(1, min(batch.size, rows)), 1
    if rows < outer[0].size:
        return 1, rows
    return max(1, min(batch.size, wanted // (row * outer[0].size))), outer[0].size
