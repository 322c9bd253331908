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
from dhc.backends.cpu.kernels.filtering import PLACES, Tiling, Transforms, lines, within
from dhc.backends.cpu.kernels.finish import Finish, RowAxis, operand_parameters
from dhc.backends.cpu.kernels.products import add_products
from dhc.backends.cpu.scalar_printer import ScalarPrinter
from dhc.ir.scalar import Buffer, Var

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
    def tiling(self) -> Tiling:
        return Tiling(self.rows[0].size, self.rows[1].size, self.pixel.size)

    @property
    def tiles(self) -> int:
        return self.tiling.tiles

    def at_once(self, isa: Isa) -> int:
        """Tiles whose sums are held in registers."""
        return min(self.tiles, most_pixels(isa, self.block))

    def scratch(self, isa: Isa) -> int:
        """Bytes for transformed weights, inputs and results."""
        tiles = self.at_once(isa)
        return PLACES * FLOAT * (self.channels * (self.block + tiles) + tiles * self.block)

    def fits(self, isa: Isa) -> bool:
        """Whether it is quicker than multiplying all."""
        whole = self.channels % isa.lanes == 0 and self.filters % self.block == 0
        near = self.scratch(isa) <= MOST_SCRATCH
        return self.tiling.pays and whole and near and self.tiles >= LEAST_TILES

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
        self._transforms = Transforms(self.function, isa.lanes)
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
        count = -(-kernel.tiles // self._tiles)
        first, last = share_of(function, count * (kernel.filters // kernel.block))
        groups, rest = function.size(count), function.size(kernel.tiles - self._tiles)
        start = function.let(f"udiv i64 {first}, {groups}")
        after = function.add(function.add(last, groups), -1)
        stop = function.let(f"udiv i64 {after}, {groups}")
        with function.loop(start, stop) as block:
            self._transform_weights(block)
            done = function.multiply(block, groups)
            low, high = (function.let(f"sub i64 {end}, {done}") for end in (first, last))
            low = function.call("i64", "llvm.smax.i64", ("i64", low), ("i64", 0))
            high = function.call("i64", "llvm.smin.i64", ("i64", high), ("i64", groups))
            with function.loop(low, high) as group:
                begin = function.multiply(group, self._tiles)
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
            taps = self._transforms.load_places(own, 3, tap)
            self._transforms.store_places(self._transforms.weights(taps), to, tap)

    # ---- inputs ------------------------------------------------------------------------------

    def _transform_inputs(self, tile: Number) -> None:
        """Tiles of 4x4 inputs, two pixels apart, a vector of channels at a time."""
        function, kernel = self.function, self._kernel
        high, wide = kernel.rows[1], kernel.pixel
        place = self._tiles * kernel.channels * FLOAT
        with function.loop(0, self._tiles) as number:
            image, y, x = kernel.tiling.position(function, function.add(tile, number))
            down = lines(function, y, high.size, 4, high.step * FLOAT)
            across = lines(function, x, wide.size, 4, wide.step * FLOAT)
            offset = function.add(kernel.start, function.multiply(image, kernel.rows[0].step))
            offset = function.add(offset, function.multiply(y, high.step))
            offset = function.add(offset, function.multiply(x, wide.step))
            source = function.address(f"%b{kernel.source}", function.multiply(offset, FLOAT))
            row = function.multiply(number, kernel.channels * FLOAT)
            to = function.address(self._inputs, row)
            with function.loop(0, kernel.channels, self._lanes) as channel:
                own = function.address(source, function.multiply(channel, FLOAT))
                out = function.address(to, function.multiply(channel, FLOAT))
                read = self._transforms.load_grid(own, down, across)
                self._transforms.store_places(self._transforms.inputs(read), out, place)

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
                self._transforms.store(total, to, number * self._lanes * FLOAT)

    def _channel(self, cells: list[list[str]], x: str, w: str, step: int) -> None:
        """One input channel of every tile times every vector of weights."""
        kernel = self._kernel
        loaded = [
            self._transforms.load(w, (step * kernel.block + v * self._lanes) * FLOAT)
            for v in range(self._vectors)
        ]
        offsets = [(tile * kernel.channels + step) * FLOAT for tile in range(len(cells))]
        add_products(self.function, self._scalars, cells, x, offsets, loaded)

    # ---- results -----------------------------------------------------------------------------

    def _transform_back(self, tile: Number, channel: Number) -> None:
        """The 2x2 results of every tile, with the epilogue."""
        function, kernel = self.function, self._kernel
        size = self._tiles * kernel.block * FLOAT
        with function.loop(0, self._tiles) as number:
            place = kernel.tiling.position(function, function.add(tile, number))
            own = function.multiply(number, kernel.block * FLOAT)
            source = function.address(self._sums, own)
            cells = [
                [[function.alloca(self._vector) for _ in range(self._vectors)] for _ in range(2)]
                for _ in range(2)
            ]
            for v in range(self._vectors):
                at = function.address(source, v * self._lanes * FLOAT)
                sums = self._transforms.load_places(at, 4, size)
                for own_cells, row in zip(cells, self._transforms.results(sums), strict=True):
                    for cell, value in zip(own_cells, row, strict=True):
                        function.do(f"store {self._vector} {value}, ptr {cell[v]}")
            self._store(place, channel, cells)

    def _store(
        self, place: tuple[Number, Number, Number], channel: Number, cells: list[list[list[str]]]
    ) -> None:
        """Ends the 2x2 results of a tile, as far as they lie within the image."""
        function, kernel = self.function, self._kernel
        image, y, x = place
        columns = [1, 1] if kernel.pixel.size % 2 else [2]  # that are within or not together
        for down, row in enumerate(cells):
            line = [image, function.add(y, down)]
            with within(function, line[1], kernel.rows[1].size, down):
                for across, width in enumerate(columns):
                    first, own = function.add(x, across), row[across : across + width]
                    with within(function, first, kernel.pixel.size, across):
                        self._finish.store_block(line, first, channel, own)
