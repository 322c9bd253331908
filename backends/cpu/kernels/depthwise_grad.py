"""Gradients for the weights of depthwise convolutions: a vector of channels at a time.

The sums of some taps are held in registers while pixels pass by. Pixels are taken in chunks that
stay in the second-level cache, because every vector of channels passes them anew.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.function import FunctionText
from dhc.backends.cpu.function import Operand as Number
from dhc.backends.cpu.kernel_printer import share_of
from dhc.backends.cpu.kernels.conv import FLOAT, Tap
from dhc.backends.cpu.kernels.finish import operand_parameters
from dhc.backends.cpu.kernels.weight_grad import CHUNK_BYTES, Axis
from dhc.ir.scalar import Buffer


@dataclass(frozen=True)
class DepthwiseGradKernel:
    """The gradient of one depthwise convolution for its weights, channels innermost.

    Attributes:
        name: Unique in the plan.
        buffers: The result, then the operands in the order of the step.
        rows: The batch, then the outer spatial axes.
        pixel: The innermost spatial axis.
        taps: The kernel's axes, outermost first.
        start: Offset of the first input element read, relative to logical element 0.
        channels: How many there are; a multiple of the vector width.
        source, above: Which buffers hold the input and the gradient of the convolution's result.
    """

    name: str = field(compare=False)
    buffers: tuple[Buffer, ...]
    rows: tuple[Axis, ...]
    pixel: Axis
    taps: tuple[Tap, ...]
    start: int
    channels: int
    source: int
    above: int

    @property
    def joins_next(self) -> bool:
        return False

    def function(self, isa: Isa) -> FunctionText:
        return _Generator(self, isa).function

    @property
    def places(self) -> list[int]:
        """The offset of every tap in the input, in the order of the result."""
        axes = [range(0, tap.count * tap.stride, tap.stride) for tap in self.taps]
        return [sum(offsets) for offsets in itertools.product(*axes)]


class _Generator:
    def __init__(self, kernel: DepthwiseGradKernel, isa: Isa) -> None:
        self._kernel = kernel
        self._isa = isa
        self._vector = f"<{isa.lanes} x float>"
        self.function = FunctionText(kernel.name, operand_parameters(len(kernel.buffers)))
        self._print()

    def _print(self) -> None:
        function, kernel, lanes = self.function, self._kernel, self._isa.lanes
        first, last = share_of(function, kernel.channels // lanes)
        first, last = function.multiply(first, lanes), function.multiply(last, lanes)
        self._clear(first, last)
        batch, *outer = kernel.rows
        with function.loop(0, function.size(batch.size)) as image:
            if not outer:
                self._chunk(first, last, [(image, function.add(image, 1))])
                return
            rows = _rows_of_chunk(kernel)
            with function.loop(0, outer[0].size, rows) as row:
                name = "llvm.smin.i64"
                end = [("i64", function.add(row, rows)), ("i64", outer[0].size)]
                stop: Number = function.call("i64", name, *end)
                rest: list[tuple[Number, Number]] = [(0, axis.size) for axis in outer[1:]]
                self._chunk(first, last, [(image, function.add(image, 1)), (row, stop), *rest])

    def _clear(self, first: Number, last: Number) -> None:
        """Zeroes this worker's channels of the result."""
        function, kernel = self.function, self._kernel
        with function.loop(first, last, self._isa.lanes) as channel:
            start = function.address("%b0", function.multiply(channel, FLOAT))
            for number in range(len(kernel.places)):
                place = function.address(start, number * kernel.channels * FLOAT)
                function.do(f"store {self._vector} zeroinitializer, ptr {place}, align {FLOAT}")

    def _chunk(self, first: Number, last: Number, ranges: list[tuple[Number, Number]]) -> None:
        """Adds what some rows contribute to this worker's channels, a few taps at a time."""
        function = self.function
        most = self._isa.registers - 3
        count = len(self._kernel.places)
        size = -(-count // -(-count // most))
        with function.loop(first, last, self._isa.lanes) as channel:
            for start in range(0, count, size):
                self._taps(range(start, min(start + size, count)), channel, ranges)

    def _taps(self, taps: range, channel: Number, ranges: list[tuple[Number, Number]]) -> None:
        function, kernel = self.function, self._kernel
        cells = {tap: function.alloca(self._vector) for tap in taps}
        for cell in cells.values():
            function.do(f"store {self._vector} zeroinitializer, ptr {cell}")
        source = function.add(channel, kernel.start)
        self._rows(cells, source, channel, ranges, kernel.rows)
        out = function.address("%b0", function.multiply(channel, FLOAT))
        for tap, cell in cells.items():
            place = function.address(out, tap * kernel.channels * FLOAT)
            total = function.let(f"load {self._vector}, ptr {place}, align {FLOAT}")
            part = function.let(f"load {self._vector}, ptr {cell}")
            both = function.let(f"fadd {self._vector} {total}, {part}")
            function.do(f"store {self._vector} {both}, ptr {place}, align {FLOAT}")

    def _rows(
        self,
        cells: dict[int, str],
        source: Number,
        above: Number,
        ranges: list[tuple[Number, Number]],
        axes: tuple[Axis, ...],
    ) -> None:
        """Loops over the outer axes of a chunk, then over the pixels of a row."""
        function, kernel = self.function, self._kernel
        (first, last), axis = (
            ranges[0] if axes else (0, kernel.pixel.size),
            (*axes, kernel.pixel)[0],
        )
        with function.loop(first, last) as turn:
            moved = function.add(source, function.multiply(turn, axis.source))
            up = function.add(above, function.multiply(turn, axis.above))
            if axes:
                self._rows(cells, moved, up, ranges[1:], axes[1:])
            else:
                self._multiply(cells, moved, up)

    def _multiply(self, cells: dict[int, str], source: Number, above: Number) -> None:
        """One pixel of every tap."""
        function, vector, lanes = self.function, self._vector, self._isa.lanes
        x = function.address(f"%b{self._kernel.source}", function.multiply(source, FLOAT))
        place = function.address(f"%b{self._kernel.above}", function.multiply(above, FLOAT))
        up = function.let(f"load {vector}, ptr {place}, align {FLOAT}")
        for tap, cell in cells.items():
            at = function.address(x, self._kernel.places[tap] * FLOAT)
            loaded = function.let(f"load {vector}, ptr {at}, align {FLOAT}")
            old = function.let(f"load {vector}, ptr {cell}")
            operands = [(vector, loaded), (vector, up), (vector, old)]
            new = function.call(vector, f"llvm.fma.v{lanes}f32", *operands)
            function.do(f"store {vector} {new}, ptr {cell}")


def _rows_of_chunk(kernel: DepthwiseGradKernel) -> int:
    """How many rows of both operands stay in the second-level cache."""
    inner = math.prod(axis.size for axis in kernel.rows[2:])
    row = inner * kernel.pixel.size * (kernel.pixel.source + kernel.pixel.above) * FLOAT
    return max(1, CHUNK_BYTES // row)
