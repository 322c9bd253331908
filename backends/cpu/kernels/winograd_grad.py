"""Gradients for 3x3 weights with fewer products: the adjoint of minimal filtering F(2x2, 3x3).

A tile of 2x2 gradients of results and its 4x4 inputs make 16 products for each pair of channels in
place of 36; see `filtering`. The products are summed over all tiles, for every place apart, and
only these sums are transformed to taps. All of it happens in a worker's own scratch memory: some
groups of input channels at a time, with every output channel, and chunks of tiles that stay near.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.function import FunctionText
from dhc.backends.cpu.function import Operand as Number
from dhc.backends.cpu.kernel_printer import share_of
from dhc.backends.cpu.kernels.conv import FLOAT, most_pixels
from dhc.backends.cpu.kernels.filtering import PLACES, Grid, Tiling, Transforms, lines
from dhc.backends.cpu.kernels.finish import operand_parameters
from dhc.backends.cpu.kernels.products import add_products
from dhc.backends.cpu.kernels.weight_grad import Axis
from dhc.backends.cpu.scalar_printer import ScalarPrinter
from dhc.ir.scalar import Buffer

LEAST_TILES = 16  # for which it pays to transform the sums
CHUNK_BYTES = 512 << 10  # of transformed inputs and gradients
LEAST_CHUNK = 32  # tiles; sums are read and written for every chunk
SUM_BYTES = 1 << 20  # of the sums that a worker has at one time
MOST_CHANNELS = 8  # of a unit: fewer than registers allow, so that there are units to share
LINE = 64  # bytes


@dataclass(frozen=True)
class WinogradGradKernel:
    """The gradient of a 3x3 convolution without strides or gaps for its weights, packed.

    A group is a vector of input channels. A unit is some channels of a group, as many as registers
    hold sums for, with a block of output channels.

    Attributes:
        name: Unique in the plan.
        buffers: The result, the input and the gradient of the convolution's result.
        batch, row, pixel: The places of the convolution's result.
        start: Offset of the first input element read, relative to logical element 0.
        channels: Input channels, a multiple of the vector width.
        filters: Output channels, a multiple of `block`.
        block: Output channels of one block of the result.
    """

    name: str = field(compare=False)
    buffers: tuple[Buffer, ...]
    batch: Axis
    row: Axis
    pixel: Axis
    start: int
    channels: int
    filters: int
    block: int

    @property
    def joins_next(self) -> bool:
        return False

    @property
    def tiling(self) -> Tiling:
        return Tiling(self.batch.size, self.row.size, self.pixel.size)

    @property
    def tiles(self) -> int:
        return self.tiling.tiles

    def groups(self, isa: Isa) -> int:
        """Groups of input channels whose sums a worker has at one time."""
        sums = PLACES * isa.lanes * self.filters * FLOAT
        return max(1, min(self.channels // isa.lanes, SUM_BYTES // sums))

    def chunk(self, isa: Isa) -> int:
        """Tiles that are transformed at one time."""
        tile = PLACES * (self.groups(isa) * isa.lanes + self.filters) * FLOAT
        return min(self.tiles, max(LEAST_CHUNK, CHUNK_BYTES // tile))

    def places(self, isa: Isa) -> tuple[int, int, int]:
        """Bytes of one place of inputs, gradients and sums: a line apart, to fill other sets."""
        channels, chunk = self.groups(isa) * isa.lanes, self.chunk(isa)
        numbers = (chunk * channels, chunk * self.filters, channels * self.filters)
        inputs, upstream, sums = (number * FLOAT + LINE for number in numbers)
        return inputs, upstream, sums

    def scratch(self, isa: Isa) -> int:
        """Bytes for transformed inputs, transformed gradients and sums."""
        return PLACES * sum(self.places(isa))

    def fits(self, isa: Isa) -> bool:
        """Whether it is quicker than multiplying all."""
        whole = self.channels % isa.lanes == 0 and self.filters % self.block == 0
        several = max(self.channels, self.filters) > isa.lanes
        return self.tiling.pays and whole and several and self.tiles >= LEAST_TILES

    def function(self, isa: Isa) -> FunctionText:
        return _Generator(self, isa).function


class _Generator:
    """Prints the kernel.

    Scratch holds inputs [place, group, tile, lane], gradients [place, block, tile, lane of block]
    and sums [place, unit, channel, lane of block].
    """

    def __init__(self, kernel: WinogradGradKernel, isa: Isa) -> None:
        self._kernel = kernel
        self._lanes = isa.lanes
        self._blocks = kernel.filters // kernel.block
        self._groups = kernel.groups(isa)
        self._chunk = kernel.chunk(isa)
        most = min(MOST_CHANNELS, most_pixels(isa, kernel.block))
        self._channels = max(n for n in range(1, most + 1) if isa.lanes % n == 0)  # of a unit
        self._of_group = self._blocks * isa.lanes // self._channels  # units
        self._unit = self._channels * kernel.block * FLOAT
        self.function = FunctionText(
            kernel.name, operand_parameters(len(kernel.buffers), scratch=True)
        )
        self._scalars = ScalarPrinter(self.function, isa.lanes)
        self._transforms = Transforms(self.function, isa.lanes)
        self._input_place, self._upstream_place, self._sum_place = kernel.places(isa)
        upstream = PLACES * self._input_place
        self._upstream = self.function.address("%scratch", upstream)
        sums = upstream + PLACES * self._upstream_place
        self._sums = self.function.address("%scratch", sums)
        self._print()

    def _print(self) -> None:
        """Workers share units; each takes some groups at a time through all tiles."""
        function, kernel, each = self.function, self._kernel, self._of_group
        first, last = share_of(function, kernel.channels // self._lanes * each)
        tiles = function.size(kernel.tiles)
        start = function.let(f"udiv i64 {first}, {each}")
        stop = function.let(f"udiv i64 {function.add(last, each - 1)}, {each}")
        with function.loop(start, stop, self._groups) as group:
            origin = function.multiply(group, each)
            end = function.add(origin, self._groups * each)
            low = function.call("i64", "llvm.smax.i64", ("i64", origin), ("i64", first))
            high = function.call("i64", "llvm.smin.i64", ("i64", end), ("i64", last))
            units = (self._from(origin, low), self._from(origin, high))
            self._clear(units)
            with function.loop(0, tiles, self._chunk) as tile:
                rest = function.let(f"sub i64 {tiles}, {tile}")
                count = function.call("i64", "llvm.smin.i64", ("i64", rest), ("i64", self._chunk))
                self._transform_inputs(tile, count, group, units)
                self._transform_upstream(tile, count)
                self._multiply(count, units)
            self._transform_back(group, units)

    def _from(self, origin: Number, unit: Number) -> str:
        return self.function.let(f"sub i64 {unit}, {origin}")

    def _clear(self, units: tuple[str, str]) -> None:
        """Zeroes the sums of units."""
        function = self.function
        low, high = (function.multiply(unit, self._unit) for unit in units)
        with function.loop(0, PLACES) as place:
            sums = function.address(self._sums, function.multiply(place, self._sum_place))
            with function.loop(low, high, self._lanes * FLOAT) as at:
                self._transforms.store("zeroinitializer", sums, at)

    # ---- operands ----------------------------------------------------------------------------

    def _transform_inputs(
        self, tile: Number, count: Number, group: Number, units: tuple[str, str]
    ) -> None:
        """Tiles of 4x4 inputs, two pixels apart, of the groups that have units."""
        function, kernel = self.function, self._kernel
        each = self._of_group
        low = function.let(f"udiv i64 {units[0]}, {each}")
        high = function.let(f"udiv i64 {function.add(units[1], each - 1)}, {each}")
        with function.loop(0, count) as number:
            image, y, x = kernel.tiling.position(function, function.add(tile, number))
            down = lines(function, y, kernel.row.size, 4, kernel.row.source * FLOAT)
            across = lines(function, x, kernel.pixel.size, 4, kernel.pixel.source * FLOAT)
            offset = function.add(kernel.start, function.multiply(image, kernel.batch.source))
            offset = function.add(offset, function.multiply(y, kernel.row.source))
            offset = function.add(offset, function.multiply(x, kernel.pixel.source))
            offset = function.add(offset, function.multiply(group, self._lanes))
            source = function.address("%b1", function.multiply(offset, FLOAT))
            to = function.address("%scratch", function.multiply(number, self._lanes * FLOAT))
            with function.loop(low, high) as turn:
                own = function.address(source, function.multiply(turn, self._lanes * FLOAT))
                panel = function.multiply(turn, self._chunk * self._lanes * FLOAT)
                read = self._transforms.load_grid(own, down, across)
                self._transforms.store_places(
                    self._transforms.inputs(read), function.address(to, panel), self._input_place
                )

    def _transform_upstream(self, tile: Number, count: Number) -> None:
        """Tiles of 2x2 gradients, of all blocks."""
        function, kernel = self.function, self._kernel
        with function.loop(0, count) as number:
            image, y, x = kernel.tiling.position(function, function.add(tile, number))
            down = lines(function, y, kernel.row.size, 2, kernel.row.above * FLOAT)
            across = lines(function, x, kernel.pixel.size, 2, kernel.pixel.above * FLOAT)
            offset = function.multiply(image, kernel.batch.above)
            offset = function.add(offset, function.multiply(y, kernel.row.above))
            offset = function.add(offset, function.multiply(x, kernel.pixel.above))
            source = function.address("%b2", function.multiply(offset, FLOAT))
            to = function.address(self._upstream, function.multiply(number, kernel.block * FLOAT))
            with function.loop(0, self._blocks) as block:
                panel = function.multiply(block, self._chunk * kernel.block * FLOAT)
                for lane in range(0, kernel.block, self._lanes):
                    moved = function.add(function.multiply(block, kernel.block), lane)
                    own = function.address(source, function.multiply(moved, FLOAT))
                    out = function.address(to, function.add(panel, lane * FLOAT))
                    read = self._within(self._transforms.load_grid(own, down, across), y, x)
                    self._transforms.store_places(
                        self._transforms.upstream(read), out, self._upstream_place
                    )

    def _within(self, grid: Grid, y: Number, x: Number) -> Grid:
        """Gradients of results, zeros where a tile reaches over the end of the image."""
        first, second = grid
        second = self._zeros_after(second, y, self._kernel.row.size)
        left, right = zip(first, second, strict=True)
        ends = self._zeros_after(list(right), x, self._kernel.pixel.size)
        return [list(row) for row in zip(left, ends, strict=True)]

    def _zeros_after(self, line: list[str], place: Number, size: int) -> list[str]:
        """The second line of a tile, or zeros if only the first one is within."""
        if size % 2 == 0:
            return line
        function, vector = self.function, self._transforms.vector
        inside = function.let(f"icmp slt i64 {place}, {size - 1}")
        zeros = f"{vector} zeroinitializer"
        return [function.let(f"select i1 {inside}, {vector} {v}, {zeros}") for v in line]

    # ---- products ----------------------------------------------------------------------------

    def _multiply(self, count: Number, units: tuple[str, str]) -> None:
        """For every place and unit, products of inputs and gradients, summed over tiles."""
        function, kernel = self.function, self._kernel
        with function.loop(0, PLACES) as place:
            left = function.address("%scratch", function.multiply(place, self._input_place))
            right = function.multiply(place, self._upstream_place)
            right = function.address(self._upstream, right)
            sums = function.address(self._sums, function.multiply(place, self._sum_place))
            with function.loop(*units) as unit:
                group = function.let(f"udiv i64 {unit}, {self._of_group}")
                panel = function.multiply(group, self._chunk * self._lanes)
                lane = function.let(f"urem i64 {self._channel(unit)}, {self._lanes}")
                x = function.address(left, function.multiply(function.add(panel, lane), FLOAT))
                block = function.let(f"urem i64 {unit}, {self._blocks}")
                panel = function.multiply(block, self._chunk * kernel.block * FLOAT)
                up = function.address(right, panel)
                total = function.address(sums, function.multiply(unit, self._unit))
                self._products(total, x, up, count)

    def _channel(self, unit: Number) -> Number:
        """The first input channel of a unit, counted from that of the groups at hand."""
        turn = self.function.let(f"udiv i64 {unit}, {self._blocks}")
        return self.function.multiply(turn, self._channels)

    def _products(self, total: str, x: str, up: str, count: Number) -> None:
        """Adds the products of a unit over the tiles of a chunk."""
        function, vector = self.function, self._transforms.vector
        places = range(0, self._kernel.block, self._lanes)
        cells = [[function.alloca(vector) for _ in places] for _ in range(self._channels)]
        for cell in (cell for row in cells for cell in row):
            function.do(f"store {vector} zeroinitializer, ptr {cell}")
        with function.loop(0, count) as tile:
            own = function.address(x, function.multiply(tile, self._lanes * FLOAT))
            above = function.address(up, function.multiply(tile, self._kernel.block * FLOAT))
            self._tile(cells, own, above)
        for number, cell in enumerate(cell for row in cells for cell in row):
            old = self._transforms.load(total, number * self._lanes * FLOAT)
            part = function.let(f"load {vector}, ptr {cell}")
            both = function.let(f"fadd {vector} {old}, {part}")
            self._transforms.store(both, total, number * self._lanes * FLOAT)

    def _tile(self, cells: list[list[str]], x: str, up: str) -> None:
        """One tile: every channel of the unit times every vector of the block."""
        loaded = [self._transforms.load(up, v * self._lanes * FLOAT) for v in range(len(cells[0]))]
        offsets = [number * FLOAT for number in range(len(cells))]
        add_products(self.function, self._scalars, cells, x, offsets, loaded)

    # ---- results -----------------------------------------------------------------------------

    def _transform_back(self, group: Number, units: tuple[str, str]) -> None:
        """The 3x3 gradients of every pair of channels, packed [blocks, 3, 3, channels, block]."""
        function, kernel = self.function, self._kernel
        tap = kernel.channels * kernel.block * FLOAT
        with function.loop(*units) as unit:
            block = function.let(f"urem i64 {unit}, {self._blocks}")
            channel = function.add(function.multiply(group, self._lanes), self._channel(unit))
            offset = function.multiply(block, 9 * tap)
            moved = function.multiply(channel, kernel.block * FLOAT)
            out = function.address("%b0", function.add(offset, moved))
            sums = function.address(self._sums, function.multiply(unit, self._unit))
            with function.loop(0, self._unit, self._lanes * FLOAT) as place:
                at = function.address(sums, place)
                read = self._transforms.load_places(at, 4, self._sum_place)
                to = function.address(out, place)
                self._transforms.store_places(self._transforms.weight_gradients(read), to, tap)
