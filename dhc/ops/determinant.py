"""The determinant of square matrices."""

from __future__ import annotations

from collections.abc import Sequence

from dhc.ir.graph import Node, literal
from dhc.ops.base import Composite, Onnx, TypeRuleError, op, require_elements
from dhc.ops.compare import Equal
from dhc.ops.elementwise import Abs, Div, Mul, Neg, Sub, Where
from dhc.ops.movement import slice_axis
from dhc.ops.positions import CountUp
from dhc.ops.reduce import ReduceSum
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Reshape
from dhc.ops.statistics import ArgMax

LARGEST = 32  # rows; each of them is a step of the program


@op("det", onnx=Onnx("Det", since=11))
class Determinant(Composite):
    """The determinant of matrices [..., n, n], by Gauss's elimination with row exchanges."""

    def expand(self, x: Node) -> Node:
        require_elements(self.name, "float", (x.type,))
        count = x.type.shape[-1] if x.type.rank > 1 else 0
        if not isinstance(count, int) or not 0 < count <= LARGEST or x.type.shape[-2] != count:
            text = f"'{self.name}' needs square matrices of at most {LARGEST} rows, not {x.type}."
            raise TypeRuleError(text, 0)
        result: Node | None = None
        for _ in range(count):
            x, factor = _eliminated(x)
            result = factor if result is None else Mul()(result, factor)
        assert result is not None
        return result

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[2, 3, 4, 4]"), sample(cls(), "f32[1, 1]")]


def _eliminated(x: Node) -> tuple[Node, Node]:
    """Returns matrices with one row and column less, and the factor of their determinants."""
    *lead, count, _ = x.type.shape
    assert isinstance(count, int)
    axis, dtype = x.type.rank - 2, x.type.dtype
    zero = literal(0.0, dtype)
    best = ArgMax(axis, True)(Abs()(slice_axis(x, axis + 1, 0, 1)))
    chosen = Equal()(best, Reshape((count, 1))(CountUp(count)()))
    row = ReduceSum((axis,), True)(Where()(chosen, x, zero))
    pivot = slice_axis(row, axis + 1, 0, 1)
    first = Equal()(best, literal(0, best.type.dtype))
    factor = Reshape(tuple(lead))(Where()(first, pivot, Neg()(pivot)))
    if count == 1:
        return x, factor
    exchanged = Where()(chosen, slice_axis(x, axis, 0, 1), x)
    rest = slice_axis(exchanged, axis, 1, count)
    safe = Where()(Equal()(pivot, zero), literal(1.0, dtype), pivot)
    share = Div()(slice_axis(rest, axis + 1, 0, 1), safe)
    lowered = Sub()(rest, Mul()(share, row))
    return slice_axis(lowered, axis + 1, 1, count), factor
