"""What native kernels over images share: outer rows, and the end of a sum with its epilogue."""

from __future__ import annotations

from dataclasses import dataclass

from dhc.backends.cpu.function import FunctionText
from dhc.backends.cpu.function import Operand as Number
from dhc.backends.cpu.kernels.epilogue import Epilogue, lets
from dhc.backends.cpu.scalar_printer import ScalarPrinter, Scope
from dhc.backends.cpu.values import Value, llvm_type, overload
from dhc.ir.scalar import Buffer, Var
from dhc.ir.types import DType

FLOAT = 4
SHORT = 4  # definitions of an epilogue that is written out for every sum


@dataclass(frozen=True)
class RowAxis:
    """A loop over an axis of the output, or over a part of it.

    Attributes:
        axis: The output's index variable, which is the sum of what its loops contribute.
        size: Turns of the loop.
        step: Elements of the input from turn to turn.
        scale: What a turn contributes to the index.
        shift, divide: The input moves with `(turn + shift) // divide`.
        weights: Elements of the packed weights from turn to turn.
    """

    axis: Var
    size: int
    step: int
    scale: int = 1
    shift: int = 0
    divide: int = 1
    weights: int = 0


def operand_parameters(count: int, scratch: bool = False) -> list[tuple[str, str]]:
    """The parameters of a kernel that writes its first operand and reads the others."""
    read = [("ptr readonly", f"b{k}") for k in range(1, count)]
    own = [("ptr noalias", "scratch")] if scratch else []
    return [("ptr noalias", "b0"), *read, *own, ("i64", "worker"), ("i64", "workers")]


def row_indices(function: FunctionText, rows: tuple[RowAxis, ...], row: Number) -> list[Number]:
    """Splits the number of a row into its index along each outer axis."""
    indices: list[Number] = []
    rest = row
    for axis in reversed(rows):
        last = axis is rows[0]
        indices.append(rest if last else function.let(f"urem i64 {rest}, {axis.size}"))
        if not last:
            rest = function.let(f"udiv i64 {rest}, {axis.size}")
    return indices[::-1]


def row_offset(
    function: FunctionText, rows: tuple[RowAxis, ...], indices: list[Number], start: int
) -> Number:
    """The input element, counted from logical element 0, at which a row begins to read."""
    offset: Number = start
    for index, axis in zip(indices, rows, strict=True):
        turn = function.add(index, axis.shift)
        if axis.divide > 1:
            turn = function.let(f"udiv i64 {turn}, {axis.divide}")
        offset = function.add(offset, function.multiply(turn, axis.step))
    return offset


def weights_offset(
    function: FunctionText, rows: tuple[RowAxis, ...], indices: list[Number]
) -> Number:
    """The element of the packed weights at which those of a row begin."""
    offset: Number = 0
    for index, axis in zip(indices, rows, strict=True):
        offset = function.add(offset, function.multiply(index, axis.weights))
    return offset


@dataclass(frozen=True)
class Finish:
    """Applies an epilogue to sums and stores the results.

    Attributes:
        filters: Output channels; lanes beyond them are not stored.
    """

    function: FunctionText
    scalars: ScalarPrinter
    buffers: tuple[Buffer, ...]
    rows: tuple[RowAxis, ...]
    pixel: RowAxis
    channel: Var
    filters: int
    epilogue: Epilogue

    def store_block(
        self, indices: list[Number], first: Number, channel: Number, cells: list[list[str]]
    ) -> None:
        """Ends the sums of some pixels, from `first` on, and of some vectors of channels.

        A short epilogue is written out for every sum. A long one stands once, in a loop over sums
        that wait in memory: less code, which compiles and runs faster.
        """
        if len(self.epilogue.definitions) <= SHORT:
            for number, row in enumerate(cells):
                self._store_row(indices, self.function.add(first, number), channel, row)
            return
        width = self.scalars.lanes * FLOAT
        vector = llvm_type(self.epilogue.total.dtype, self.scalars.lanes)
        row_bytes = len(cells[0]) * width
        waiting = self.function.alloca(f"[{len(cells) * row_bytes} x i8]")
        for number, cell in enumerate(cell for row in cells for cell in row):
            total = self.function.let(f"load {vector}, ptr {cell}")
            self.function.do(
                f"store {vector} {total}, ptr {self.function.address(waiting, number * width)}"
            )
        with self.function.loop(0, len(cells)) as pixel:
            start = self.function.address(waiting, self.function.multiply(pixel, row_bytes))
            places = [self.function.address(start, k * width) for k in range(len(cells[0]))]
            self._store_row(indices, self.function.add(first, pixel), channel, places)

    def _store_row(
        self, indices: list[Number], pixel: Number, channel: Number, cells: list[str]
    ) -> None:
        for vector, cell in enumerate(cells):
            lane0 = self.function.add(channel, vector * self.scalars.lanes)
            self.store(indices, pixel, lane0, cell)

    def store(self, indices: list[Number], pixel: Number, channel: Number, cell: str) -> None:
        """Ends a vector of sums, held in `cell`, for a pixel and the channels from `channel` on."""
        self.scalars.use({buffer: f"%b{k}" for k, buffer in enumerate(self.buffers)})
        lanes, dtype = self.scalars.lanes, self.epilogue.total.dtype
        total = self.function.let(f"load {llvm_type(dtype, lanes)}, ptr {cell}")
        scope = self._scope(indices, pixel, channel, Value(total, dtype, lanes))
        for let in lets(self.epilogue):
            scope.steps[let.var] = self.scalars.step(let.value, scope)
            scope.values[let.var] = self.scalars.value(let.value, scope)
        result = self.scalars.spread(self.scalars.value(self.epilogue.result, scope))
        if self.filters % lanes == 0:
            self.scalars.store(self.buffers[0], self._index(), result, scope)
        else:
            self._store_some(result, scope, channel)

    def _scope(self, indices: list[Number], pixel: Number, channel: Number, total: Value) -> Scope:
        scope = Scope(lane=self.channel)
        scope.values = {self.channel: Value(str(channel), DType.I64), self.epilogue.total: total}
        scope.steps = {self.epilogue.total: None}
        places: dict[Var, Number] = {}
        for row, turn in zip((*self.rows, self.pixel), (*indices, pixel), strict=True):
            part = self.function.multiply(turn, row.scale)
            places[row.axis] = self.function.add(places.get(row.axis, 0), part)
        scope.values |= {axis: Value(str(place), DType.I64) for axis, place in places.items()}
        return scope

    def _index(self) -> tuple[Var, ...]:
        """The output's index along all its axes, which are numbered."""
        axes = {self.channel, *(row.axis for row in (*self.rows, self.pixel))}
        return tuple(sorted(axes, key=lambda axis: (len(axis.name), axis.name)))

    def _store_some(self, result: Value, scope: Scope, channel: Number) -> None:
        """Stores the lanes that are channels of the output."""
        lanes = self.scalars.lanes
        place = self.scalars.offset(self.buffers[0], self._index(), scope, 0)
        dtype = self.buffers[0].type
        address = self.function.let(f"getelementptr {llvm_type(dtype)}, ptr %b0, i64 {place.text}")
        ramp = ", ".join(f"i64 {k}" for k in range(lanes))
        first = self.scalars.spread(Value(str(channel), DType.I64))
        own = self.function.let(f"add {first.type} {first.text}, <{ramp}>")
        mask = self.function.let(f"icmp slt {first.type} {own}, splat (i64 {self.filters})")
        vector, flags = llvm_type(dtype, lanes), f"<{lanes} x i1>"
        name = f"llvm.masked.store.{overload(result)}.p0"
        self.function.declarations.add(f"declare void @{name}({vector}, ptr, i32, {flags})")
        arguments = f"{vector} {result.text}, ptr {address}, i32 {dtype.bytes}, {flags} {mask}"
        self.function.do(f"call void @{name}({arguments})")
