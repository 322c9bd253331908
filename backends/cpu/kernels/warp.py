"""Resampling of pictures: a vector of output pixels at a time, two input pixels with one load.

The pixels left and right of a place lie next to each other, so one load of eight bytes brings both
with all their channels. The tap beyond a border counts as the border's pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.function import FunctionText
from dhc.backends.cpu.function import Operand as Number
from dhc.backends.cpu.kernel_printer import share_of
from dhc.backends.cpu.kernels.epilogue import Epilogue, lets
from dhc.backends.cpu.kernels.finish import operand_parameters
from dhc.backends.cpu.scalar_printer import ScalarPrinter, Scope
from dhc.backends.cpu.values import Value, constant_value
from dhc.ir.scalar import Buffer, Var
from dhc.ir.types import DType

PAIR = 8  # bytes of one load
MOST_ELEMENTS = 2**29  # so that byte offsets fit i32
EXACT = 2**24  # whole numbers below it are exact in f32
OUTSIDE = -1.0  # in place of a part between two pixels


@dataclass(frozen=True)
class WarpKernel:
    """One bilinear resampling of [C, H, W] with its epilogue.

    Attributes:
        name: Unique in the plan.
        buffers: The result, then the operands in the order of the step.
        axes: The output's index variables: channel, row, column.
        source, matrix: Which buffers hold the picture and the map.
        fill: What lies outside; None where that is the nearest pixel.
        epilogue: What becomes of the interpolated value.
    """

    name: str = field(compare=False)
    buffers: tuple[Buffer, ...]
    axes: tuple[Var, Var, Var]
    source: int
    matrix: int
    fill: float | None
    epilogue: Epilogue

    @property
    def joins_next(self) -> bool:
        return False

    def function(self, isa: Isa) -> FunctionText:
        return _Generator(self, isa).function


def fits(out: Buffer, source: Buffer, isa: Isa) -> bool:
    """Whether pairs of pixels can be loaded, and rows of the result stored, as vectors."""
    if source.type not in (DType.U8, DType.U16, DType.I16, DType.F32):
        return False
    channels, height, width = whole(source.shape)
    step = whole(source.strides)[2]
    together = channels if step != 1 else 1
    loads = step == together and 2 * together * source.type.bytes <= PAIR
    sizes = min(height, width) >= 2 and height * width * together < MOST_ELEMENTS
    stores = out.strides[2] == 1 and out.type is DType.F32 and whole(out.shape)[2] >= isa.lanes
    return loads and sizes and stores


def whole(sizes: tuple[object, ...]) -> tuple[int, ...]:
    """Sizes or strides that are known before running, as they are in every plan for processors."""
    assert all(isinstance(size, int) for size in sizes)
    return tuple(size for size in sizes if isinstance(size, int))


class _Generator:
    """Prints the loops; values are vectors over neighbouring columns of the result."""

    def __init__(self, kernel: WarpKernel, isa: Isa) -> None:
        self._kernel = kernel
        self._lanes = isa.lanes
        self.function = FunctionText(kernel.name, operand_parameters(len(kernel.buffers)))
        self._scalars = ScalarPrinter(self.function, isa.lanes)
        self._scalars.use({buffer: f"%b{k}" for k, buffer in enumerate(kernel.buffers)})
        source = kernel.buffers[kernel.source]
        self._source = source
        self._planes, self._height, self._width = whole(source.shape)
        self._strides = whole(source.strides)
        self._together = self._planes if self._strides[2] != 1 else 1
        self._print()

    def _print(self) -> None:
        function, out = self.function, self._kernel.buffers[0]
        _, rows, columns = whole(out.shape)
        entries = [self._entry(r, c) for r in range(2) for c in range(3)]
        blocks, rest = divmod(columns, self._lanes)
        size = (blocks + bool(rest)) * self._lanes * 4
        self._offset, self._part_x, self._part_y = (
            function.alloca(f"[{size} x i8]") for _ in range(3)
        )
        first, last = share_of(function, rows)
        with function.loop(first, last) as row:
            for step in (self._locate(entries, row), self._blend(row)):
                with function.loop(0, blocks) as block:
                    step(function.multiply(block, self._lanes), block)
                if rest:  # some columns are computed twice, so that every store is a whole vector
                    step(columns - self._lanes, blocks)

    def _entry(self, row: int, column: int) -> Value:
        matrix = self._kernel.buffers[self._kernel.matrix]
        down, across = whole(matrix.strides)
        offset = row * down + column * across
        place = self.function.address(f"%b{self._kernel.matrix}", offset * 4)
        return Value(self.function.let(f"load float, ptr {place}"), DType.F32)

    # ---- one vector of pixels ------------------------------------------------------------------

    def _locate(self, entries: list[Value], row: Number) -> Callable[[Number, Number], None]:
        """Finds where the pixels of a row are read, and keeps that for the whole row.

        Reading is slow to begin, so it must not wait for these computations.
        """

        def step(column: Number, slot: Number) -> None:
            across, down = self._places(entries, row, column)
            left, part_x = self._corner(across, self._width)
            top, part_y = self._corner(down, self._height)
            if self._kernel.fill is not None:
                inside = self._inside(across, down)
                part_y = self._scalars.select(inside, part_y, self._number(OUTSIDE))
            self._keep(self._offset, slot, self._offsets(left, top))
            self._keep(self._part_x, slot, part_x)
            self._keep(self._part_y, slot, part_y)

        return step

    def _blend(self, row: Number) -> Callable[[Number, Number], None]:
        """Reads the pixels that `_locate` has found, and computes the results."""

        def step(column: Number, slot: Number) -> None:
            part_x, part_y = self._kept(self._part_x, slot), self._kept(self._part_y, slot)
            inside = self._scalars.compare("ge", part_y, self._number(0))
            for plane in range(self._planes // self._together):
                above, below = self._pairs(slot, plane)
                for k in range(self._together):
                    value = self._between(
                        self._along(above, k, part_x), self._along(below, k, part_x), part_y
                    )
                    if self._kernel.fill is not None:
                        fill = self._number(self._kernel.fill)
                        value = self._scalars.select(inside, value, fill)
                    self._finish(plane + k, row, column, value)

        return step

    def _keep(self, room: str, slot: Number, value: Value) -> None:
        place = self.function.address(room, self.function.multiply(slot, self._lanes * 4))
        self.function.do(f"store {value.type} {value.text}, ptr {place}")

    def _kept(self, room: str, slot: Number) -> Value:
        place = self.function.address(room, self.function.multiply(slot, self._lanes * 4))
        text = self.function.let(f"load <{self._lanes} x float>, ptr {place}")
        return Value(text, DType.F32, self._lanes)

    def _places(self, entries: list[Value], row: Number, column: Number) -> tuple[Value, Value]:
        """The place in the input of each pixel: across and down."""
        function, scalars = self.function, self._scalars
        y = Value(function.let(f"sitofp i64 {row} to float"), DType.F32)
        start = Value(function.let(f"sitofp i64 {column} to float"), DType.F32)
        ramp = ", ".join(f"float {k}.0" for k in range(self._lanes))
        x = scalars.binary("add", scalars.spread(start), Value(f"<{ramp}>", DType.F32, self._lanes))
        found = []
        for a, b, c in (entries[:3], entries[3:]):
            start_of_row = scalars.spread(scalars.intrinsic("fma", b, y, c))
            found.append(scalars.intrinsic("fma", scalars.spread(a), x, start_of_row))
        return found[0], found[1]

    def _inside(self, across: Value, down: Value) -> Value:
        scalars = self._scalars
        checks = [
            scalars.compare(relation, place, self._number(bound))
            for place, size in ((across, self._width), (down, self._height))
            for relation, bound in (("ge", -0.5), ("le", size - 0.5))
        ]
        result = checks[0]
        for check in checks[1:]:
            result = scalars.binary("and", result, check)
        return result

    def _corner(self, place: Value, size: int) -> tuple[Value, Value]:
        """The number of the pixel before a place, which has one after it, and the part between."""
        scalars = self._scalars
        low = scalars.select(scalars.compare("gt", place, self._number(0)), place, self._number(0))
        near = scalars.select(
            scalars.compare("lt", low, self._number(size - 1)), low, self._number(size - 1)
        )
        pixel = scalars.binary("min", scalars.unary("floor", near), self._number(size - 2))
        return pixel, scalars.binary("sub", near, pixel)

    def _offsets(self, left: Value, top: Value) -> Value:
        """The byte offset of each lane's upper pair."""
        scalars, lanes = self._scalars, self._lanes
        pixel = self._together * self._source.type.bytes
        line = self._strides[1] * self._source.type.bytes
        if self._height * line < EXACT:
            across = scalars.binary("mul", left, self._number(pixel))
            place = scalars.intrinsic("fma", top, self._number(line), across)
            return scalars.cast(place, DType.I32, saturate=False)
        x, y = (scalars.cast(value, DType.I32, saturate=False) for value in (left, top))
        across = scalars.binary("mul", x, constant_value(pixel, DType.I32, lanes))
        down = scalars.binary("mul", y, constant_value(line, DType.I32, lanes))
        return scalars.binary("add", down, across)

    def _pairs(self, slot: Number, plane: int) -> tuple[list[Value], list[Value]]:
        """The upper and the lower pair of each lane."""
        function = self.function
        size = self._source.type.bytes
        base = function.address(f"%b{self._kernel.source}", plane * self._strides[0] * size)
        start = function.address(self._offset, function.multiply(slot, self._lanes * 4))
        addresses = []
        for lane in range(self._lanes):
            offset = function.let(f"load i32, ptr {function.address(start, lane * 4)}")
            position = function.let(f"zext i32 {offset} to i64")
            addresses.append(function.address(base, position))
        line = self._strides[1] * size
        below = [function.address(address, line) for address in addresses]
        return self._gather(addresses), self._gather(below)

    def _gather(self, addresses: list[str]) -> list[Value]:
        """The eight bytes of each lane's pair as two vectors of i32: low and high half."""
        function, lanes = self.function, self._lanes
        wide, vector = "poison", f"<{lanes} x i64>"
        for lane, address in enumerate(addresses):
            pair = function.let(f"load i64, ptr {address}, align 1")
            wide = function.let(f"insertelement {vector} {wide}, i64 {pair}, i64 {lane}")
        both = function.let(f"bitcast {vector} {wide} to <{2 * lanes} x i32>")
        return [self._every_second(both, start) for start in (0, 1)]

    def _every_second(self, words: str, start: int) -> Value:
        lanes = self._lanes
        mask = ", ".join(f"i32 {2 * k + start}" for k in range(lanes))
        kind = f"<{2 * lanes} x i32>"
        text = self.function.let(
            f"shufflevector {kind} {words}, {kind} poison, <{lanes} x i32> <{mask}>"
        )
        return Value(text, DType.U32, lanes)

    def _along(self, pair: list[Value], channel: int, part: Value) -> Value:
        """One channel between the left and the right pixel."""
        left, right = (self._element(pair, channel + k * self._together) for k in range(2))
        return self._between(left, right, part)

    def _element(self, pair: list[Value], number: int) -> Value:
        """One element of the eight bytes of each lane."""
        scalars, dtype = self._scalars, self._source.type
        word, place = divmod(number * dtype.bytes, 4)
        value = pair[word]
        if dtype is DType.F32:
            return scalars.bitcast(value, DType.F32)
        bits = 8 * dtype.bytes
        if dtype.is_signed:
            signed = Value(value.text, DType.I32, value.lanes)
            left = self._shift("shl", signed, 32 - bits - 8 * place)
            return scalars.cast(self._shift("shr", left, 32 - bits), DType.F32, saturate=False)
        moved = self._shift("shr", value, 8 * place)
        if 8 * place + bits < 32:
            ones = constant_value(2**bits - 1, DType.U32, self._lanes)
            moved = scalars.binary("and", moved, ones)
        signed = Value(moved.text, DType.I32, moved.lanes)  # small, and quicker to convert
        return scalars.cast(signed, DType.F32, saturate=False)

    def _shift(self, name: str, value: Value, count: int) -> Value:
        if count == 0:
            return value
        return self._scalars.binary(name, value, constant_value(count, value.dtype, self._lanes))

    def _between(self, first: Value, second: Value, part: Value) -> Value:
        """Returns first * (1 - part) + second * part."""
        scalars = self._scalars
        rest = scalars.binary("sub", self._number(1), part)
        return scalars.intrinsic("fma", second, part, scalars.binary("mul", first, rest))

    def _finish(self, channel: int, row: Number, column: Number, value: Value) -> None:
        c, y, x = self._kernel.axes
        scope = Scope(lane=x)
        scope.values = {
            c: Value(str(channel), DType.I64),
            y: Value(str(row), DType.I64),
            x: Value(str(column), DType.I64),
            self._kernel.epilogue.total: value,
        }
        scope.steps = {self._kernel.epilogue.total: None}
        for let in lets(self._kernel.epilogue):
            scope.steps[let.var] = self._scalars.step(let.value, scope)
            scope.values[let.var] = self._scalars.value(let.value, scope)
        result = self._scalars.spread(self._scalars.value(self._kernel.epilogue.result, scope))
        self._scalars.store(self._kernel.buffers[0], (c, y, x), result, scope)

    def _number(self, value: float) -> Value:
        return constant_value(float(value), DType.F32, self._lanes)
