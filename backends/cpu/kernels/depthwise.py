"""Depthwise convolution: each channel with its own taps, a vector of channels at a time.

Some pixels of a row are computed together, so that neighbouring windows share what they read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.function import FunctionText
from dhc.backends.cpu.function import Operand as Number
from dhc.backends.cpu.kernel_printer import share_of
from dhc.backends.cpu.kernels.conv import FLOAT, Tap, pixel_blocks
from dhc.backends.cpu.kernels.epilogue import Epilogue
from dhc.backends.cpu.kernels.finish import (
    Finish,
    RowAxis,
    operand_parameters,
    row_indices,
    row_offset,
    weights_offset,
)
from dhc.backends.cpu.scalar_printer import ScalarPrinter
from dhc.ir.scalar import Buffer, Var


@dataclass(frozen=True)
class DepthwiseKernel:
    """One depthwise convolution with its epilogue.

    Attributes:
        name: Unique in the plan.
        buffers: The result, then the operands in the order of the step.
        rows: Outer axes of the output, the batch first.
        pixel: The innermost spatial axis.
        channel: The channel's index variable.
        taps: The kernel's axes, outermost first; the last runs along the pixels.
        start: Offset of the first input element read, relative to logical element 0.
        channels: How many there are; a multiple of the vector width.
        source, weights: Which buffers hold the input and the weights, channels innermost.
        epilogue: What becomes of the sum.
    """

    name: str = field(compare=False)
    buffers: tuple[Buffer, ...]
    rows: tuple[RowAxis, ...]
    pixel: RowAxis
    channel: Var
    taps: tuple[Tap, ...]
    start: int
    channels: int
    source: int
    weights: int
    epilogue: Epilogue

    @property
    def joins_next(self) -> bool:
        return False

    def function(self, isa: Isa) -> FunctionText:
        return _Generator(self, isa).function


class _Generator:
    def __init__(self, kernel: DepthwiseKernel, isa: Isa) -> None:
        self._kernel = kernel
        self._isa = isa
        self._vector = f"<{isa.lanes} x float>"
        self.function = FunctionText(kernel.name, operand_parameters(len(kernel.buffers)))
        self._finish = Finish(
            self.function, ScalarPrinter(self.function, isa.lanes), kernel.buffers, kernel.rows,
            kernel.pixel, kernel.channel, kernel.channels, kernel.epilogue,
        )  # fmt: skip
        self._print()

    def _print(self) -> None:
        kernel, function = self._kernel, self.function
        rows = math.prod(row.size for row in kernel.rows)
        first, last = share_of(function, rows)
        with function.loop(first, last) as row:
            indices = row_indices(function, kernel.rows, row)
            offset = row_offset(function, kernel.rows, indices, kernel.start)
            for start, size, count in pixel_blocks(kernel.pixel.size, self._most_pixels()):
                with function.loop(0, count) as turn:
                    pixel = function.add(function.multiply(turn, size), start)
                    with function.loop(0, kernel.channels, self._isa.lanes) as channel:
                        self._block(indices, offset, pixel, size, channel)

    def _most_pixels(self) -> int:
        return self._isa.registers // 2 - 1

    def _block(
        self, indices: list[Number], offset: Number, pixel: Number, size: int, channel: Number
    ) -> None:
        """Computes `size` pixels for one vector of channels."""
        kernel, function = self._kernel, self.function
        cells = [function.alloca(self._vector) for _ in range(size)]
        for cell in cells:
            function.do(f"store {self._vector} zeroinitializer, ptr {cell}")
        offset = function.add(offset, function.multiply(pixel, kernel.pixel.step))
        offset = function.add(offset, channel)
        source = function.address(f"%b{kernel.source}", function.multiply(offset, FLOAT))
        place = function.add(channel, weights_offset(function, kernel.rows, indices))
        weights = function.address(f"%b{kernel.weights}", function.multiply(place, FLOAT))
        self._sum(cells, source, weights, kernel.taps)
        self._finish.store_block(indices, pixel, channel, [[cell] for cell in cells])

    def _sum(self, cells: list[str], source: str, weights: str, taps: tuple[Tap, ...]) -> None:
        function, step = self.function, self._kernel.channels * FLOAT
        if len(taps) == 1:
            for number in range(taps[0].count):
                moved = function.address(source, number * taps[0].stride * FLOAT)
                self._multiply(cells, moved, function.address(weights, number * step))
            return
        inner = math.prod(tap.count for tap in taps[1:]) * step
        with function.loop(0, taps[0].count) as tap:
            moved = function.address(source, function.multiply(tap, taps[0].stride * FLOAT))
            part = function.address(weights, function.multiply(tap, inner))
            self._sum(cells, moved, part, taps[1:])

    def _multiply(self, cells: list[str], source: str, weights: str) -> None:
        """One tap of every pixel."""
        function, vector, lanes = self.function, self._vector, self._isa.lanes
        weight = function.let(f"load {vector}, ptr {weights}, align 4")
        for pixel, cell in enumerate(cells):
            place = function.address(source, pixel * self._kernel.pixel.step * FLOAT)
            x = function.let(f"load {vector}, ptr {place}, align 4")
            old = function.let(f"load {vector}, ptr {cell}")
            operands = [(vector, x), (vector, weight), (vector, old)]
            new = function.call(vector, f"llvm.fma.v{lanes}f32", *operands)
            function.do(f"store {vector} {new}, ptr {cell}")
