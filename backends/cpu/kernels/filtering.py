"""The transforms of minimal filtering F(2x2, 3x3) (arXiv:1509.09308), on vectors of channels.

A tile of 2x2 results is made of a tile of 4x4 inputs. Both, and the 3x3 weights, have a form of 4x4
places in which convolution multiplies place by place. What is linear can be turned round: the
gradient for the weights multiplies transformed inputs by transformed gradients of results, and the
sums over all tiles are transformed back to 3x3. Each transform is one of rows, then of columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dhc.backends.cpu.function import FunctionText
from dhc.backends.cpu.function import Operand as Number

FLOAT = 4
PLACES = 16  # of a transformed tile
MOST_WORK = 0.6  # of the direct sum's products, for which transforms are worth while
Grid = list[list[str]]


@dataclass(frozen=True)
class Tiling:
    """How images of results are cut into tiles of 2x2.

    Where a size is odd, the last tiles reach over the end: what they read there is some input that
    no result within depends on.
    """

    images: int
    height: int
    width: int

    @property
    def tiles(self) -> int:
        """Tiles of all images."""
        return self.images * _halves(self.height) * _halves(self.width)

    @property
    def pays(self) -> bool:
        """Whether it takes clearly fewer products than the direct sum."""
        direct = 9 * self.images * self.height * self.width
        return PLACES * self.tiles <= MOST_WORK * direct

    def position(self, function: FunctionText, tile: Number) -> tuple[Number, Number, Number]:
        """The image of a tile, and the row and column of its first result."""
        wide, high = _halves(self.width), _halves(self.height)
        x = function.let(f"urem i64 {tile}, {wide}")
        rest = function.let(f"udiv i64 {tile}, {wide}")
        y = function.let(f"urem i64 {rest}, {high}")
        image = function.let(f"udiv i64 {rest}, {high}")
        return image, function.multiply(y, 2), function.multiply(x, 2)


def lines(function: FunctionText, place: Number, size: int, count: int, step: int) -> list[Number]:
    """Bytes from the first line that a tile reads, of an axis, to each of `count` lines.

    Args:
        function: Where numbers are computed.
        place: The tile's first result along the axis.
        size: Results along the axis.
        count: 4 of an input, 2 of results.
        step: Bytes from line to line.
    """
    found: list[Number] = [k * step for k in range(count - 1)]
    last: Number = count - 1
    if size % 2:
        rest = function.let(f"sub i64 {size + count - 3}, {place}")
        last = function.call("i64", "llvm.smin.i64", ("i64", rest), ("i64", last))
    return [*found, function.multiply(last, step)]


@contextmanager
def within(function: FunctionText, place: Number, size: int, number: int) -> Iterator[None]:
    """Does what is inside for line `number` of a tile only where its place is within the axis."""
    if number == 0 or size % 2 == 0:
        yield
        return
    with function.when(function.let(f"icmp slt i64 {place}, {size}")):
        yield


def _halves(size: int) -> int:
    return -(-size // 2)


@dataclass(frozen=True)
class Transforms:
    """Prints transforms of grids of vectors.

    Attributes:
        function: What they are printed into.
        lanes: Floats of a vector.
    """

    function: FunctionText
    lanes: int

    @property
    def vector(self) -> str:
        return f"<{self.lanes} x float>"

    def weights(self, taps: Grid) -> Grid:
        """3x3 weights as 4x4: of three, a, (a + b + c) / 2, (a - b + c) / 2, c."""
        return _both(taps, self._spread)

    def inputs(self, pixels: Grid) -> Grid:
        """4x4 inputs as 4x4: of four, a - c, b + c, c - b, b - d."""
        return _both(pixels, self._differences)

    def results(self, sums: Grid) -> Grid:
        """4x4 sums of products as 2x2 results: of four, a + b + c, b - c - d."""
        return _both(sums, self._joined)

    def upstream(self, gradients: Grid) -> Grid:
        """2x2 gradients of results as 4x4: of two, a, a + b, a - b, b; see `weight_gradients`."""
        return _both(gradients, self._parted)

    def weight_gradients(self, sums: Grid) -> Grid:
        """4x4 sums of products as 3x3: of four, a + (b + c) / 2, (b - c) / 2, (b + c) / 2 - d.

        The last of four has the other sign than in the transposed forms of `results` and `weights`,
        as it has in `upstream`: this saves a negation.
        """
        return _both(sums, self._gathered)

    def _spread(self, taps: list[str]) -> list[str]:
        a, b, c = taps
        ends = self._do("fadd", a, c)
        return [a, self._half(self._do("fadd", ends, b)), self._half(self._do("fsub", ends, b)), c]

    def _differences(self, pixels: list[str]) -> list[str]:
        a, b, c, d = pixels
        pairs = (("fsub", a, c), ("fadd", b, c), ("fsub", c, b), ("fsub", b, d))
        return [self._do(*pair) for pair in pairs]

    def _joined(self, sums: list[str]) -> list[str]:
        a, b, c, d = sums
        first = self._do("fadd", self._do("fadd", a, b), c)
        return [first, self._do("fsub", self._do("fsub", b, c), d)]

    def _parted(self, gradients: list[str]) -> list[str]:
        a, b = gradients
        return [a, self._do("fadd", a, b), self._do("fsub", a, b), b]

    def _gathered(self, sums: list[str]) -> list[str]:
        a, b, c, d = sums
        middle = self._half(self._do("fadd", b, c))
        last = self._do("fsub", middle, d)
        return [self._do("fadd", a, middle), self._half(self._do("fsub", b, c)), last]

    def _half(self, value: str) -> str:
        return self._do("fmul", value, f"splat (float {0.5:e})")

    def _do(self, instruction: str, left: str, right: str) -> str:
        return self.function.let(f"{instruction} {self.vector} {left}, {right}")

    # ---- memory ------------------------------------------------------------------------------

    def load(self, base: str, offset: Number) -> str:
        place = self.function.address(base, offset)
        return self.function.let(f"load {self.vector}, ptr {place}, align {FLOAT}")

    def store(self, value: str, base: str, offset: Number) -> None:
        place = self.function.address(base, offset)
        self.function.do(f"store {self.vector} {value}, ptr {place}, align {FLOAT}")

    def load_grid(self, base: str, down: Sequence[Number], across: Sequence[Number]) -> Grid:
        """Loads the vectors of a grid, whose rows and columns lie so many bytes from its base."""
        rows = [self.function.address(base, offset) for offset in down]
        return [[self.load(row, offset) for offset in across] for row in rows]

    def load_places(self, base: str, size: int, apart: int) -> Grid:
        """Loads a square of vectors that lie one after another, so many bytes apart."""
        numbers = range(size)
        down, across = [k * size * apart for k in numbers], [k * apart for k in numbers]
        return self.load_grid(base, down, across)

    def store_places(self, grid: Grid, base: str, apart: int) -> None:
        """Stores the vectors of a grid as `load_places` reads them."""
        for number, value in enumerate(value for row in grid for value in row):
            self.store(value, base, number * apart)


def _both(grid: Grid, change: Callable[[list[str]], list[str]]) -> Grid:
    """Changes each column of a grid, then each row of what that gives."""
    columns = [change(list(column)) for column in zip(*grid, strict=True)]
    return [change(list(row)) for row in zip(*columns, strict=True)]
