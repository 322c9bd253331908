"""Packed weights for gradients: from blocks of output channels to blocks of input channels.

Both forms are made of square tiles, which are transposed in registers: a row of the source is a
vector of output channels for one input channel, a row of the result the other way round.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.function import FunctionText
from dhc.backends.cpu.function import Operand as Number
from dhc.backends.cpu.kernel_printer import share_of
from dhc.backends.cpu.kernels.finish import operand_parameters
from dhc.backends.cpu.packing import Pack
from dhc.backends.cpu.transposed import PackTransposed
from dhc.backends.cpu.weight_grad import Unpack
from dhc.ir.graph import Input, Node
from dhc.ir.scalar import Buffer
from dhc.ir.types import DType
from dhc.ops.conv_grad import FlipKernels
from dhc.ops.region import Region
from dhc.ops.shape import Permute

FLOAT = 4
NO_TAP = -1


@dataclass(frozen=True)
class Slab:
    """A part [K, block] of the result: where it begins, and the tap that it holds, or none."""

    start: int
    tap: int


@dataclass(frozen=True)
class RepackKernel:
    """Weights [blocks, taps, C, source block] as slabs [K, block], for every block of C.

    Attributes:
        name: Unique in the plan.
        filters, channels: K and C, which are multiples of the vector width.
        taps: How many the source has.
        source_block, block: Output channels of a block of the source, input channels of one of the
            result.
        slabs: What the first block of the result is made of.
        step: Elements from one block of the result to the next.
    """

    name: str = field(compare=False)
    filters: int
    channels: int
    taps: int
    source_block: int
    block: int
    slabs: tuple[Slab, ...]
    step: int

    @property
    def joins_next(self) -> bool:
        return False

    def function(self, isa: Isa) -> FunctionText:
        return _Generator(self, isa).function


class _Generator:
    def __init__(self, kernel: RepackKernel, isa: Isa) -> None:
        self._kernel = kernel
        self._lanes = isa.lanes
        self._vector = f"<{isa.lanes} x float>"
        self.function = FunctionText(kernel.name, operand_parameters(2))
        self._print()

    def _print(self) -> None:
        """Workers share the slabs of all blocks."""
        function, kernel = self.function, self._kernel
        count = len(kernel.slabs)
        first, last = share_of(function, count * (kernel.channels // kernel.block))
        with function.loop(first, last) as turn:
            block = function.let(f"udiv i64 {turn}, {count}")
            slab = function.let(f"urem i64 {turn}, {count}")
            start = self._look_up("starts", [each.start for each in kernel.slabs], slab)
            tap = self._look_up("taps", [each.tap for each in kernel.slabs], slab)
            place = function.add(start, function.multiply(block, kernel.step))
            out = function.address("%b0", function.multiply(place, FLOAT))
            with function.when(function.let(f"icmp slt i64 {tap}, 0")):
                function.declarations.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
                size = kernel.filters * kernel.block * FLOAT
                function.do(f"call void @llvm.memset.p0.i64(ptr {out}, i8 0, i64 {size}, i1 false)")
            with function.when(function.let(f"icmp sge i64 {tap}, 0")):
                self._slab(out, tap, function.multiply(block, kernel.block))

    def _look_up(self, what: str, values: list[int], position: str) -> str:
        """Reads a table that the module holds."""
        function = self.function
        if len(values) == 1:
            return function.let(f"add i64 {values[0]}, 0")
        name, items = f"{what}_{function.name}", ", ".join(f"i64 {value}" for value in values)
        type = f"[{len(values)} x i64]"
        function.definitions[name] = f"@{name} = internal constant {type} [{items}]"
        place = function.let(f"getelementptr {type}, ptr @{name}, i64 0, i64 {position}")
        return function.let(f"load i64, ptr {place}")

    def _slab(self, out: str, tap: str, channel: Number) -> None:
        """One tap of a block of input channels, for all output channels."""
        function, kernel, lanes = self.function, self._kernel, self._lanes
        block = kernel.taps * kernel.channels * kernel.source_block
        place = function.add(function.multiply(tap, kernel.channels), channel)
        source = function.address(
            "%b1", function.multiply(function.multiply(place, kernel.source_block), FLOAT)
        )
        with function.loop(0, kernel.filters // kernel.source_block) as number:
            own = function.address(source, function.multiply(number, block * FLOAT))
            rows = function.multiply(number, kernel.source_block * kernel.block * FLOAT)
            to = function.address(out, rows)
            down, across = kernel.source_block // lanes, kernel.block // lanes
            with function.loop(0, down) as k, function.loop(0, across) as c:
                self._tile(own, to, k, c)

    def _tile(self, own: str, to: str, k: str, c: str) -> None:
        """A square of lanes, the one at `k` and `c` of those of a block."""
        function, kernel, size = self.function, self._kernel, self._lanes * FLOAT
        row, column = function.multiply(c, kernel.source_block * size), function.multiply(k, size)
        source = function.address(own, function.add(row, column))
        row, column = function.multiply(k, kernel.block * size), function.multiply(c, size)
        out = function.address(to, function.add(row, column))
        rows = []
        for number in range(self._lanes):
            place = function.address(source, number * kernel.source_block * FLOAT)
            rows.append(function.let(f"load {self._vector}, ptr {place}, align {FLOAT}"))
        for number, row in enumerate(self._transposed(rows)):
            place = function.address(out, number * kernel.block * FLOAT)
            function.do(f"store {self._vector} {row}, ptr {place}, align {FLOAT}")

    def _transposed(self, rows: list[str]) -> list[str]:
        """Exchanges ever larger quarters of a square matrix (Eklundh, 1972)."""
        distance = 1
        while distance < self._lanes:
            for number in range(self._lanes):
                if not number & distance:
                    pair = rows[number], rows[number + distance]
                    rows[number], rows[number + distance] = self._exchanged(*pair, distance)
            distance *= 2
        return rows

    def _exchanged(self, upper: str, lower: str, distance: int) -> tuple[str, str]:
        lanes = range(self._lanes)
        firsts = [j if not j & distance else self._lanes + j - distance for j in lanes]
        seconds = [j + distance if not j & distance else self._lanes + j for j in lanes]
        return self._shuffled(upper, lower, firsts), self._shuffled(upper, lower, seconds)

    def _shuffled(self, upper: str, lower: str, picks: list[int]) -> str:
        mask = ", ".join(f"i32 {pick}" for pick in picks)
        operands = f"{self._vector} {upper}, {self._vector} {lower}"
        return self.function.let(f"shufflevector {operands}, <{self._lanes} x i32> <{mask}>")


# ---- finding it ----------------------------------------------------------------------------------


def repack_kernel(node: Node, buffers: tuple[Buffer, ...], isa: Isa) -> RepackKernel | None:
    """Returns the kernel of a step that packs, for a gradient, weights that were packed before."""
    if not isinstance(node.op, Region) or len(buffers) != 2:
        return None
    root = node.op.body.outputs[0][1]
    chain = [root]
    while len(chain[-1].inputs) == 1:
        chain.append(chain[-1].inputs[0])
    *steps, source = chain
    operators = [type(step.op) for step in steps]
    known = (_FLIPPED, _TRANSPOSED, _PHASES)
    if not isinstance(source.op, Input) or operators not in known:
        return None
    if any(isinstance(s.op, Permute) and s.op.order != (1, 0) for s in steps):
        return None
    filters, channels, *taps = steps[-1].type.static_shape
    uneven = filters % isa.lanes or channels % isa.lanes
    if uneven or any(buffer.type is not DType.F32 for buffer in buffers):
        return None
    slabs, step = _slabs(root, tuple(taps), channels)
    block = root.type.static_shape[-1]
    source_block = source.type.static_shape[-1]
    return RepackKernel(
        "", filters, channels, math.prod(taps), source_block, block, slabs, step
    )  # fmt: skip


_FLIPPED: list[type] = [Pack, FlipKernels, Unpack]
_TRANSPOSED: list[type] = [Pack, Permute, Unpack]
_PHASES: list[type] = [PackTransposed, Unpack]


def _slabs(root: Node, taps: tuple[int, ...], channels: int) -> tuple[tuple[Slab, ...], int]:
    """The slabs of the first block, and the elements from block to block."""
    *_, filters, block = root.type.static_shape
    size = filters * block
    if not isinstance(root.op, PackTransposed):
        count = math.prod(taps)  # the last one first
        return tuple(Slab(k * size, count - 1 - k) for k in range(count)), count * size
    pack = root.op
    turns = tuple(-(-t // s) for t, s in zip(taps, pack.stride, strict=True))
    step = math.prod(turns) * size
    found = []
    for number, phase in enumerate(itertools.product(*map(range, pack.stride))):
        start = number * (channels // block) * step
        for k, turn in enumerate(itertools.product(*map(range, turns))):
            found.append(Slab(start + k * size, _tap(pack, phase, turn, turns, taps)))
    return tuple(found), step


def _tap(
    pack: PackTransposed,
    phase: tuple[int, ...],
    turn: tuple[int, ...],
    turns: tuple[int, ...],
    taps: tuple[int, ...],
) -> int:
    """The row-major number of a tap, or none where a phase has fewer than others."""
    number = 0
    for p, u, count, size, s, cut in zip(
        phase, turn, turns, taps, pack.stride, pack.cut, strict=True
    ):
        tap = (p + cut) % s + (count - 1 - u) * s
        if tap >= size:
            return NO_TAP
        number = number * size + tap
    return number
