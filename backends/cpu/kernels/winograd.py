"""3x3 convolution with fewer products: the minimal filtering F(2x2, 3x3) (arXiv:1509.09308).

A tile of 2x2 results needs 16 products for each pair of channels in place of 36. Weights, and tiles
of 4x4 inputs, are transformed; then they are multiplied place by place, summed over channels, and
the sums transformed back. All of it happens in a worker's own scratch memory, for one block of
output channels and as many tiles as registers hold sums for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.function import FunctionText
from dhc.backends.cpu.function import Operand as Number
from dhc.backends.cpu.kernel_printer import share_of
from dhc.backends.cpu.kernels.conv import FLOAT, UNROLL, most_pixels
from dhc.backends.cpu.kernels.epilogue import Epilogue
from dhc.backends.cpu.kernels.finish import Finish, RowAxis, operand_parameters
from dhc.backends.cpu.scalar_printer import ScalarPrinter
from dhc.backends.cpu.values import Value
from dhc.ir.scalar import Buffer, Var
from dhc.ir.types import DType

PLACES = 16  # of a transformed tile
LEAST_TILES = 128  # for which it pays to transform the weights in every call
MOST_SCRATCH = 3 << 19  # bytes that stay near a core


@dataclass(frozen=True)
class WinogradKernel:
    """One convolution, 3x3 without strides or gaps, with its epilogue.

    Attributes:
        name: Unique in the plan.
        buffers: The result, then the operands in the order of the step.
        rows: The batch and the rows of the output.
        pixel: The pixels of a row.
        channel: The output channel's index variable.
        start: Offset of the first input element read, relative to logical element 0.
        channels: Input channels, a multiple of the vector width.
        filters: Output channels, a multiple of `block`.
        block: Output channels of one block of packed weights.
        source, weights: Which buffers hold the input and the packed weights.
        epilogue: What becomes of the sum.
    """

    name: str = field(compare=False)
    buffers: tuple[Buffer, ...]
    rows: tuple[RowAxis, ...]
    pixel: RowAxis
    channel: Var
    start: int
    channels: int
    filters: int
    block: int
    source: int
    weights: int
    epilogue: Epilogue

    @property
    def joins_next(self) -> bool:
        return False

    @property
    def tiles(self) -> int:
        """Tiles of all images."""
        return self.rows[0].size * (self.rows[1].size // 2) * (self.pixel.size // 2)

    def at_once(self, isa: Isa) -> int:
        """Tiles whose sums are held in registers."""
        return min(self.tiles, most_pixels(isa, self.block))

    def scratch(self, isa: Isa) -> int:
        """Bytes for transformed weights, inputs and results."""
        tiles = self.at_once(isa)
        return PLACES * FLOAT * (self.channels * (self.block + tiles) + tiles * self.block)

    def fits(self, isa: Isa) -> bool:
        """Whether it is quicker than multiplying all."""
        even = self.rows[1].size % 2 == 0 and self.pixel.size % 2 == 0
        whole = self.channels % isa.lanes == 0 and self.filters % self.block == 0
        near = self.scratch(isa) <= MOST_SCRATCH
        return even and whole and near and self.tiles >= LEAST_TILES

    def function(self, isa: Isa) -> FunctionText:
        return _Generator(self, isa).function


class _Generator:
    def __init__(self, kernel: WinogradKernel, isa: Isa) -> None:
        self._kernel = kernel
        self._lanes = isa.lanes
        self._vectors = kernel.block // isa.lanes
        self._vector = f"<{isa.lanes} x float>"
        self._tiles = kernel.at_once(isa)
        self.function = FunctionText(
            kernel.name, operand_parameters(len(kernel.buffers), scratch=True)
        )
        self._scalars = ScalarPrinter(self.function, isa.lanes)
        self._finish = Finish(
            self.function, self._scalars, kernel.buffers, kernel.rows, kernel.pixel,
            kernel.channel, kernel.filters, kernel.epilogue,
        )  # fmt: skip
        weights = PLACES * kernel.channels * kernel.block * FLOAT
        inputs = PLACES * kernel.channels * self._tiles * FLOAT
        self._inputs = self.function.address("%scratch", weights)
        self._sums = self.function.address("%scratch", weights + inputs)
        self._print()

    def _print(self) -> None:
        """Workers share groups of tiles of every block; the last group may begin sooner."""
        function, kernel = self.function, self._kernel
        groups = -(-kernel.tiles // self._tiles)
        first, last = share_of(function, groups * (kernel.filters // kernel.block))
        start = function.let(f"udiv i64 {first}, {groups}")
        stop = function.let(f"udiv i64 {function.add(last, groups - 1)}, {groups}")
        with function.loop(start, stop) as block:
            self._transform_weights(block)
            done = function.multiply(block, groups)
            low, high = (function.let(f"sub i64 {end}, {done}") for end in (first, last))
            low = function.call("i64", "llvm.smax.i64", ("i64", low), ("i64", 0))
            high = function.call("i64", "llvm.smin.i64", ("i64", high), ("i64", groups))
            with function.loop(low, high) as group:
                begin = function.multiply(group, self._tiles)
                rest = kernel.tiles - self._tiles
                tile = function.call("i64", "llvm.smin.i64", ("i64", begin), ("i64", rest))
                self._transform_inputs(tile)
                self._multiply()
                self._transform_back(tile, function.multiply(block, kernel.block))

    # ---- weights -----------------------------------------------------------------------------

    def _transform_weights(self, block: Number) -> None:
        """Each vector of output channels, for every input channel, from 3x3 taps to 4x4 places."""
        function, kernel = self.function, self._kernel
        tap = kernel.channels * kernel.block * FLOAT
        source = function.address(f"%b{kernel.weights}", function.multiply(block, 9 * tap))
        with function.loop(0, kernel.channels * kernel.block, self._lanes) as place:
            own = function.address(source, function.multiply(place, FLOAT))
            to = function.address("%scratch", function.multiply(place, FLOAT))
            taps = [[self._load(own, (3 * y + x) * tap) for x in range(3)] for y in range(3)]
            columns = [self._spread(list(column)) for column in zip(*taps, strict=True)]
            for y in range(4):
                for x, value in enumerate(self._spread([column[y] for column in columns])):
                    self._store(value, to, (4 * y + x) * tap)

    def _spread(self, taps: list[str]) -> list[str]:
        """Three taps as four: a, (a + b + c) / 2, (a - b + c) / 2, c."""
        a, b, c = taps
        ends, half = self._do("fadd", a, c), f"splat (float {0.5:e})"
        more, less = self._do("fadd", ends, b), self._do("fsub", ends, b)
        return [a, self._do("fmul", more, half), self._do("fmul", less, half), c]

    # ---- inputs ------------------------------------------------------------------------------

    def _transform_inputs(self, tile: Number) -> None:
        """Tiles of 4x4 inputs, two pixels apart, a vector of channels at a time."""
        function, kernel = self.function, self._kernel
        down, across = kernel.rows[1].step * FLOAT, kernel.pixel.step * FLOAT
        place = self._tiles * kernel.channels * FLOAT
        with function.loop(0, self._tiles) as number:
            image, y, x = self._position(function.add(tile, number))
            offset = function.add(kernel.start, function.multiply(image, kernel.rows[0].step))
            offset = function.add(offset, function.multiply(y, kernel.rows[1].step))
            offset = function.add(offset, function.multiply(x, kernel.pixel.step))
            source = function.address(f"%b{kernel.source}", function.multiply(offset, FLOAT))
            row = function.multiply(number, kernel.channels * FLOAT)
            to = function.address(self._inputs, row)
            with function.loop(0, kernel.channels, self._lanes) as channel:
                own = function.address(source, function.multiply(channel, FLOAT))
                out = function.address(to, function.multiply(channel, FLOAT))
                read = [
                    [self._load(own, i * down + j * across) for j in range(4)] for i in range(4)
                ]
                columns = [self._differences(list(column)) for column in zip(*read, strict=True)]
                for i in range(4):
                    across_row = self._differences([column[i] for column in columns])
                    for j, value in enumerate(across_row):
                        self._store(value, out, (4 * i + j) * place)

    def _position(self, tile: Number) -> tuple[Number, Number, Number]:
        """The image of a tile, and the first of its pixels."""
        function, kernel = self.function, self._kernel
        wide, high = kernel.pixel.size // 2, kernel.rows[1].size // 2
        x = function.let(f"urem i64 {tile}, {wide}")
        rest = function.let(f"udiv i64 {tile}, {wide}")
        y = function.let(f"urem i64 {rest}, {high}")
        image = function.let(f"udiv i64 {rest}, {high}")
        return image, function.multiply(y, 2), function.multiply(x, 2)

    def _differences(self, inputs: list[str]) -> list[str]:
        a, b, c, d = inputs
        return [
            self._do("fsub", a, c),
            self._do("fadd", b, c),
            self._do("fsub", c, b),
            self._do("fsub", b, d),
        ]

    # ---- products ----------------------------------------------------------------------------

    def _multiply(self) -> None:
        """For every place, the products of all tiles and output channels, summed over channels."""
        function, kernel = self.function, self._kernel
        weights = kernel.channels * kernel.block * FLOAT
        inputs = kernel.channels * self._tiles * FLOAT
        with function.loop(0, PLACES) as place:
            cells = [
                [function.alloca(self._vector) for _ in range(self._vectors)]
                for _ in range(self._tiles)
            ]
            for cell in (cell for row in cells for cell in row):
                function.do(f"store {self._vector} zeroinitializer, ptr {cell}")
            left = function.address(self._inputs, function.multiply(place, inputs))
            right = function.address("%scratch", function.multiply(place, weights))
            with function.loop(0, kernel.channels, UNROLL) as channel:
                x = function.address(left, function.multiply(channel, FLOAT))
                w = function.address(right, function.multiply(channel, kernel.block * FLOAT))
                for step in range(UNROLL):
                    self._channel(cells, x, w, step)
            size = self._tiles * kernel.block * FLOAT
            to = function.address(self._sums, function.multiply(place, size))
            for number, cell in enumerate(cell for row in cells for cell in row):
                total = function.let(f"load {self._vector}, ptr {cell}")
                self._store(total, to, number * self._lanes * FLOAT)

    def _channel(self, cells: list[list[str]], x: str, w: str, step: int) -> None:
        """One input channel of every tile times every vector of weights."""
        function, vector, kernel = self.function, self._vector, self._kernel
        loaded = [
            self._load(w, (step * kernel.block + v * self._lanes) * FLOAT)
            for v in range(self._vectors)
        ]
        for tile, row in enumerate(cells):
            place = function.address(x, (tile * kernel.channels + step) * FLOAT)
            one = Value(function.let(f"load float, ptr {place}, align {FLOAT}"), DType.F32)
            spread = self._scalars.spread(one).text
            for cell, weight in zip(row, loaded, strict=True):
                old = function.let(f"load {vector}, ptr {cell}")
                operands = [(vector, spread), (vector, weight), (vector, old)]
                new = function.call(vector, f"llvm.fma.v{self._lanes}f32", *operands)
                function.do(f"store {vector} {new}, ptr {cell}")

    # ---- results -----------------------------------------------------------------------------

    def _transform_back(self, tile: Number, channel: Number) -> None:
        """The 2x2 results of every tile, with the epilogue."""
        function, kernel = self.function, self._kernel
        size = self._tiles * kernel.block * FLOAT
        with function.loop(0, self._tiles) as number:
            image, y, x = self._position(function.add(tile, number))
            own = function.multiply(number, kernel.block * FLOAT)
            source = function.address(self._sums, own)
            cells = [
                [[function.alloca(self._vector) for _ in range(self._vectors)] for _ in range(2)]
                for _ in range(2)
            ]
            for v in range(self._vectors):
                at = function.address(source, v * self._lanes * FLOAT)
                read = [[self._load(at, (4 * i + j) * size) for j in range(4)] for i in range(4)]
                columns = [self._joined(list(column)) for column in zip(*read, strict=True)]
                for i in range(2):
                    for j, value in enumerate(self._joined([column[i] for column in columns])):
                        function.do(f"store {self._vector} {value}, ptr {cells[i][j][v]}")
            for i in range(2):
                self._finish.store_block([image, function.add(y, i)], x, channel, cells[i])

    def _joined(self, sums: list[str]) -> list[str]:
        """Four sums as two: a + b + c, b - c - d."""
        a, b, c, d = sums
        first = self._do("fadd", self._do("fadd", a, b), c)
        return [first, self._do("fsub", self._do("fsub", b, c), d)]

    # ---- vectors -----------------------------------------------------------------------------

    def _do(self, instruction: str, left: str, right: str) -> str:
        return self.function.let(f"{instruction} {self._vector} {left}, {right}")

    def _load(self, base: str, offset: int) -> str:
        place = self.function.address(base, offset)
        return self.function.let(f"load {self._vector}, ptr {place}, align {FLOAT}")

    def _store(self, value: str, base: str, offset: int) -> None:
        place = self.function.address(base, offset)
        self.function.do(f"store {self._vector} {value}, ptr {place}, align {FLOAT}")
