"""Random numbers that depend on nothing but what they are for.

A number is a function of the seed, the step or epoch, the sample's place in the whole data set, the
stream (the path of the stage that draws) and the position in the result: Philox 4x32-10 (Salmon et
al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) of these five. So two stages never
share a draw, and neither workers nor batches nor backends change one.

What changes between calls is the *counter*: u32 values (seed, step, sample) along its last axis.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dhc.ir.graph import Input, Node, literal, topological
from dhc.ir.scalar import Const, Scalar, cast, cos, log, sqrt
from dhc.ir.size import Size, static, unify
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Array,
    Index,
    LayerContext,
    Operand,
    OperatorKind,
    Structured,
    TypeRuleError,
    layer,
    op,
)
from dhc.ops.elementwise import Add, Mul
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import flatten_index

COUNTER = "random"  # the label of the input that counters come in by
ROUNDS = 10
_FACTORS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)  # the golden ratio and the square root of 3


def counter(*batch: Size) -> Node:
    """Returns the input that holds a counter for each sample of a batch, or for one sample."""
    return Input(COUNTER, Tensor(DType.U32, (*batch, 3)))()


def counters_of(roots: Iterable[Node]) -> tuple[Node, ...]:
    """Returns the counter inputs that values depend on; a graph must list them as inputs."""
    found = [node for node in topological(roots) if isinstance(node.op, Input)]
    return tuple(node for node in found if node.op == Input(COUNTER, node.type))


@dataclass(frozen=True)
class Random(Structured):
    """The base of random tensors: `shape` for each counter.

    Attributes:
        stream: The stable name of the stage that draws.
        shape: The shape of what one sample draws.
    """

    untold: ClassVar[str] = "what it draws is not the same elsewhere"

    stream: str
    shape: tuple[Size, ...] = ()

    kind: ClassVar[OperatorKind] = "movement"
    inlines_producers: ClassVar[bool] = True

    def infer(self, counter: Tensor) -> Tensor:
        if (
            counter.dtype is not DType.U32
            or counter.rank < 1
            or unify(counter.shape[-1], 3) is None
        ):
            raise TypeRuleError(f"'{self.name}' needs a counter u32[..., 3], not {counter}.", 0)
        return Tensor(DType.F32, (*counter.shape[:-1], *self.shape))

    def words(self, index: Index, counter: Operand) -> list[Scalar]:
        """The four random words that belong to an element."""
        first = len(index) - len(self.shape)
        seed, step, member = (counter[(*index[:first], Const(k, DType.I64))] for k in range(3))
        high, low = stream_words(self.stream)
        position = cast(flatten_index(index[first:], self.shape), DType.U32)
        at = [position, member, step, Const(high, DType.U32)]
        return philox(at, [seed, Const(low, DType.U32)])

    def numpy_words(self, counter: Array) -> Array:
        """The same, for all elements: the words come first."""
        shape = static(self.shape)
        lead = (...,) + (None,) * len(shape)
        seed, step, member = (counter[..., k][lead] for k in range(3))
        high, low = stream_words(self.stream)
        position = np.arange(math.prod(shape)).reshape(shape)
        return numpy_philox([position, member, step, high], [seed, low])

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((0.0, 2.0**31),)
        return [
            sample(cls("a.b"), "u32[3]", ranges=ranges),
            sample(cls("dropout", (3, 5)), "u32[4, 3]", ranges=ranges),
        ]


@op("random_uniform")
class RandomUniform(Random):
    """Numbers from 0 to less than 1, in steps of 2**-24."""

    def element(self, out: Tensor, index: Index, counter: Operand) -> Scalar:
        return _fraction(self.words(index, counter)[0])

    def numpy(self, counter: Array) -> Array:
        return np.asarray((self.numpy_words(counter)[0] >> 8) * 2.0**-24).astype(np.float32)


@op("random_normal")
class RandomNormal(Random):
    """Numbers with mean 0 and standard deviation 1 (Box and Muller, 1958)."""

    def element(self, out: Tensor, index: Index, counter: Operand) -> Scalar:
        first, second, *_ = self.words(index, counter)
        radius = sqrt(-2 * log(_fraction(first) + 2.0**-25))
        return radius * cos(_fraction(second) * (2 * math.pi))

    def numpy(self, counter: Array) -> Array:
        first, second = (self.numpy_words(counter)[k] >> 8 for k in range(2))
        radius = np.sqrt(-2 * np.log(first * 2.0**-24 + 2.0**-25))
        return np.asarray(radius * np.cos(second * (2.0**-23 * math.pi))).astype(np.float32)


def stream_words(stream: str) -> tuple[int, int]:
    """Returns 64 bits that stand for a stream's name, as two words."""
    digest = hashlib.blake2b(stream.encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


def philox(counter: Sequence[Scalar], key: Sequence[Scalar]) -> list[Scalar]:
    """Returns four u32 words for a counter of four and a key of two."""
    c, k = list(counter), list(key)
    for turn in range(ROUNDS):
        if turn:
            k = [word + step for word, step in zip(k, _WEYL, strict=True)]
        (high0, low0), (high1, low1) = (
            _product(word, factor) for word, factor in zip((c[0], c[2]), _FACTORS, strict=True)
        )
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
    return c


def _product(word: Scalar, factor: int) -> tuple[Scalar, Scalar]:
    """The upper and the lower half of a 64-bit product."""
    wide = cast(word, DType.U64) * factor
    return cast(wide >> 32, DType.U32), word * factor


def _fraction(word: Scalar) -> Scalar:
    return cast(word >> 8, DType.F32) * 2.0**-24


def numpy_philox(counter: Sequence[Array | int], key: Sequence[Array | int]) -> Array:
    """Returns the words as u64 arrays, stacked along a new first axis."""
    c = [np.asarray(word, np.uint64) for word in counter]
    k = [np.asarray(word, np.uint64) for word in key]
    mask = np.uint64(0xFFFFFFFF)
    for _ in range(ROUNDS):
        first, second = c[0] * np.uint64(_FACTORS[0]), c[2] * np.uint64(_FACTORS[1])
        left, right = second >> np.uint64(32), first >> np.uint64(32)
        c = [left ^ c[1] ^ k[0], second & mask, right ^ c[3] ^ k[1], first & mask]
        k = [(word + np.uint64(step)) & mask for word, step in zip(k, _WEYL, strict=True)]
    return np.stack(np.broadcast_arrays(*c))


@layer("uniform")
def uniform(context: LayerContext, low: float = 0.0, high: float = 1.0) -> Node:
    """Draws one number from `low` to less than `high` for each sample."""
    drawn = RandomUniform(context.stream())(counter())
    return scaled(drawn, low, high)


def scaled(drawn: Node, low: float, high: float) -> Node:
    """Maps 0 .. 1 to low .. high."""
    if (low, high) == (0.0, 1.0):
        return drawn
    wide = Mul()(drawn, literal(high - low, DType.F32))
    return Add()(wide, literal(low, DType.F32))
