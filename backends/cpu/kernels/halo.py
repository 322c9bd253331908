"""Clears the halo of an image: the zeros that convolutions read beyond its edges."""

from __future__ import annotations

from dataclasses import dataclass, field

from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.function import FunctionText
from dhc.backends.cpu.kernel_printer import share_of


@dataclass(frozen=True)
class HaloKernel:
    """Writes zeros around [N, C, *spatial] in memory; the interior stays untouched.

    Attributes:
        strides: Elements between neighbours along each logical axis.
        bytes: Of one element.
    """

    name: str = field(compare=False)
    shape: tuple[int, ...]
    halo: tuple[int, ...]
    strides: tuple[int, ...]
    bytes: int

    @property
    def joins_next(self) -> bool:
        return True  # the step that writes the interior touches other memory

    def function(self, isa: Isa) -> FunctionText:
        function = FunctionText(self.name, [("ptr", "b0"), ("i64", "worker"), ("i64", "workers")])
        first, last = share_of(function, self.shape[0])
        with function.loop(first, last) as sample:
            start = function.multiply(sample, self.strides[0] * self.bytes)
            self._axis(function, function.address("%b0", start), 0)
        return function

    def _axis(self, function: FunctionText, base: str, axis: int) -> None:
        """Clears what lies before and after along an axis, then goes on inside."""
        if axis == len(self.halo):
            return
        stride, width = self.strides[2 + axis] * self.bytes, self.halo[axis]
        size = self.shape[2 + axis]
        outer = function.address(base, -self._margin(axis + 1) * self.bytes)
        if width:
            _clear(function, function.address(outer, -width * stride), width * stride)
            _clear(function, function.address(outer, size * stride), width * stride)
        if any(self.halo[axis + 1 :]):
            with function.loop(0, size) as turn:
                inner = function.address(base, function.multiply(turn, stride))
                self._axis(function, inner, axis + 1)

    def _margin(self, axis: int) -> int:
        """Elements from a line's halo to its first logical element, along axes from `axis` on."""
        pairs = zip(self.halo[axis:], self.strides[2 + axis :], strict=True)
        return sum(width * stride for width, stride in pairs)


def _clear(function: FunctionText, address: str, size: int) -> None:
    function.declarations.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    function.do(f"call void @llvm.memset.p0.i64(ptr {address}, i8 0, i64 {size}, i1 false)")
