"""What sequences need besides their steps: places, lengths, positions and embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dhc.ir.graph import Initializer, Node, literal
from dhc.ir.scalar import Scalar, cast
from dhc.ir.size import Size, static
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Array,
    Composite,
    Index,
    LayerContext,
    TypeRuleError,
    layer,
    op,
    require_elements,
)
from dhc.ops.compare import Equal, GreaterEqual, Less, LessEqual
from dhc.ops.conv import int_size
from dhc.ops.elementwise import Add, Cast, Cos, Exp, Mul, Sin, Sub, Where
from dhc.ops.foreign import Call, reads
from dhc.ops.lookup import Gather, require_integers
from dhc.ops.movement import Movement, slice_axis
from dhc.ops.outward import Outward, Term
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Concat, Reshape

NORMAL = Initializer("he_normal", fan_in=2)  # a standard deviation of 1
BASE = 10000.0  # the longest wave of sinusoidal positions, in units of 2 pi steps


@op("positions")
class Positions(Movement):
    """The numbers 0, 1, ... of so many places: a tensor [size] without inputs."""

    size: Size
    dtype: DType = DType.I64

    def infer(self) -> Tensor:
        return Tensor(self.dtype, (self.size,))

    def element(self, out: Tensor, index: Index) -> Scalar:
        return cast(index[0], self.dtype)

    def numpy(self) -> Array:
        return np.arange(*static((self.size,)), dtype=self.dtype.numpy)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        if isinstance(self.size, int):
            return out.constant(np.arange(self.size), self.dtype)
        limits = (out.number(0, DType.I64), out.reshape(out.size(self.size), ()))
        counted = result.with_dtype(DType.I64)
        whole = out.node("Range", (*limits, out.number(1, DType.I64)), counted)
        return out.cast(whole, self.dtype)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(5)), sample(cls(3, DType.F32))]


@op("sequence_mask")
class SequenceMask(Composite):
    """Which places of padded sequences are real: lengths [N, ...] give bool [N, ..., size]."""

    size: Size

    def expand(self, lengths: Node) -> Node:
        require_integers(self.name, lengths.type)
        ends = Reshape((*lengths.type.shape, 1))(lengths)
        return Less()(Positions(self.size, lengths.type.dtype)(), ends)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((0.0, 5.0),)
        return [
            sample(cls(4), "i64[3]", ranges=ranges),
            sample(cls(5), "i32[2, 3]", ranges=ranges),
        ]


# ---- embeddings ------------------------------------------------------------------------------


@op("embedding")
class Embedding(Composite):
    """Rows of a table [count, size] by their numbers: [...] becomes [..., size].

    Attributes:
        padding: A number that stands for no word: its vector is zero and teaches the table nothing.
    """

    padding: int | None = None

    def expand(self, indices: Node, table: Node) -> Node:
        require_elements(self.name, "float", (table.type,))
        found = Gather(0)(table, indices)
        if self.padding is None:
            return found
        number = literal(self.padding, indices.type.dtype)
        empty = Reshape((*indices.type.shape, 1))(Equal()(indices, number))
        return Where()(empty, literal(0.0, table.type.dtype), found)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((0.0, 4.0),)
        return [
            sample(cls(), "i64[2, 3]", "f32[5, 4]", ranges=ranges),
            sample(cls(2), "i32[6]", "f32[5, 3]", ranges=ranges),
        ]


@layer("embedding")
def embedding(
    context: LayerContext, indices: Node, count: int, size: int, padding: int | None = None
) -> Node:
    """A vector of `size` numbers for each of `count` words; starts normal, as PyTorch's.

    A number outside of 0 .. count - 1 has the vector zero, and so has `padding`.
    """
    if padding is not None and not 0 <= padding < count:
        raise TypeRuleError(f"'embedding' has {count} words, and none of the number {padding}.")
    return Embedding(padding)(indices, context.param("weight", (count, size), NORMAL))


# ---- positions -------------------------------------------------------------------------------


@op("sinusoidal_positions")
class SinusoidalPositions(Composite):
    """x [..., T, E] plus sines and cosines of the step's number (arXiv:1706.03762, section 3.5).

    Element 2i of step t gets sin(t / 10000^(2i / E)), and element 2i + 1 the cosine.
    """

    def expand(self, x: Node) -> Node:
        require_elements(self.name, "float", (x.type,))
        steps, size, dtype = x.type.shape[-2], int_size(x.type.shape[-1]), x.type.dtype
        if size % 2:
            raise TypeRuleError(f"'{self.name}' needs an even number of features, not {size}.", 0)
        pair = Positions(size // 2, dtype)()
        rate = Exp()(Mul()(pair, literal(-2 * math.log(BASE) / size, dtype)))
        angle = Mul()(Reshape((steps, 1))(Positions(steps, dtype)()), rate)
        waves = [Reshape((steps, size // 2, 1))(wave) for wave in (Sin()(angle), Cos()(angle))]
        return Add()(x, Reshape((steps, size))(Concat(2)(*waves)))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(), "f32[2, 5, 6]")]


@layer("learned_positions")
def learned_positions(context: LayerContext, x: Node, longest: int) -> Node:
    """X [N, T, E] plus a learnt vector for each step, of which there are at most `longest`."""
    size = int_size(x.type.shape[-1])
    table = context.param("weight", (longest, size), Initializer("he_normal", fan_in=5000))
    return Add()(x, slice_axis(table, 0, 0, x.type.shape[-2]))


def as_type(x: Node, dtype: DType) -> Node:
    """Returns the tensor with another element type, itself where it has that already."""
    return x if x.type.dtype is dtype else Cast(dtype)(x)


# ---- nodes of ONNX ---------------------------------------------------------------------------


@reads("Trilu")
def _read_trilu(call: Call) -> Node:
    """The part of matrices on one side of a diagonal, and zeros."""
    x = call.tensor(0)
    diagonal = int(call.numbers(1).reshape(-1)[0]) if call.has(1) else 0
    height, width = x.type.shape[-2:]
    row = Reshape((height, 1))(Positions(height)())
    place = Sub()(Positions(width)(), Add()(row, literal(diagonal, DType.I64)))
    zero = literal(0, DType.I64)
    kept = (GreaterEqual if call.get("upper", 1) else LessEqual)()(place, zero)
    dtype = x.type.dtype
    return Where()(kept, x, literal(False if dtype is DType.BOOL else 0, dtype))


@reads("EyeLike")
def _read_eye_like(call: Call) -> Node:
    x = call.tensor(0)
    height, width = x.type.shape
    row = Add()(Reshape((height, 1))(Positions(height)()), literal(call.get("k", 0), DType.I64))
    one = Equal()(Positions(width)(), row)
    return Cast(call.dtype("dtype") if call.says("dtype") else x.type.dtype)(one)
