"""Attention (arXiv:1706.03762): what each place of a sequence takes from the places of another."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dhc.ir.graph import Initializer, Node, literal
from dhc.ir.types import DType
from dhc.ops.base import (
    Composite,
    LayerContext,
    TypeRuleError,
    layer,
    op,
    require_elements,
)
from dhc.ops.compare import And, LessEqual
from dhc.ops.conv import int_size
from dhc.ops.dropout import Dropout
from dhc.ops.elementwise import Add, Mul, Where
from dhc.ops.linear import Dense, MatMul, transposed
from dhc.ops.sample import Sample, sample
from dhc.ops.sequence import Positions
from dhc.ops.shape import Permute, Reshape
from dhc.ops.softmax import Softmax


@op("attention_weights")
class AttentionWeights(Composite):
    """How much each query takes of each key: softmax of query key^T times a scale.

    query is [..., T, E], key [..., S, E], and the result [..., T, S]. A mask [..., T, S] of bool
    elements says which keys may be seen; a query that may see none takes nothing. One of floats is
    added to the products.

    Attributes:
        causal: Whether query t sees only the keys 0 .. t.
        scale: 1 / sqrt(E) unless given.
    """

    causal: bool = False
    scale: float | None = None

    def expand(self, query: Node, key: Node, *mask: Node) -> Node:
        require_elements(self.name, "float", (query.type, key.type))
        if len(mask) > 1:
            raise TypeRuleError(f"'{self.name}' takes one mask at most.", 3)
        width, dtype = int_size(query.type.shape[-1]), query.type.dtype
        scale = 1 / math.sqrt(width) if self.scale is None else self.scale
        scores = Mul()(MatMul()(query, transposed(key)), literal(scale, dtype))
        if mask and mask[0].type.dtype is dtype:
            scores, mask = Add()(scores, *mask), ()
        seen = self._seen(scores, mask)
        if seen is None:
            return Softmax(-1)(scores)
        lowest = float(np.finfo(dtype.numpy).min)
        weights = Softmax(-1)(Where()(seen, scores, literal(lowest, dtype)))
        return Where()(seen, weights, literal(0.0, dtype))

    def _seen(self, scores: Node, mask: tuple[Node, ...]) -> Node | None:
        seen = list(mask)
        if mask and mask[0].type.dtype is not DType.BOOL:
            text = f"'{self.name}' needs a mask of bool or of what it masks, not {mask[0].type}."
            raise TypeRuleError(text, 2)
        if self.causal:
            queries, keys = scores.type.shape[-2:]
            query = Reshape((queries, 1))(Positions(queries)())
            seen.append(LessEqual()(Positions(keys)(), query))
        if not seen:
            return None
        return seen[0] if len(seen) == 1 else And()(*seen)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            sample(cls(), "f32[2, 3, 4]", "f32[2, 5, 4]"),
            sample(cls(causal=True), "f32[2, 4, 3]", "f32[2, 4, 3]", "bool[2, 1, 4]"),
            sample(cls(scale=0.5), "f32[3, 2]", "f32[4, 2]", "bool[3, 4]"),
            sample(cls(scale=2.0), "f32[2, 3, 2]", "f32[2, 4, 2]", "f32[3, 4]"),
        ]


@op("attention")
class Attention(Composite):
    """Values weighted by how well their keys fit a query: [..., T, E] in, [..., T, V] out.

    query is [..., T, E], key [..., S, E], value [..., S, V], a mask [..., T, S].

    Attributes:
        causal, scale: As of `attention_weights`.
    """

    causal: bool = False
    scale: float | None = None

    def expand(self, query: Node, key: Node, value: Node, *mask: Node) -> Node:
        return MatMul()(AttentionWeights(self.causal, self.scale)(query, key, *mask), value)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            sample(cls(), "f32[2, 3, 4]", "f32[2, 5, 4]", "f32[2, 5, 3]"),
            sample(cls(True), "f32[2, 4, 3]", "f32[2, 4, 3]", "f32[2, 4, 2]", "bool[2, 1, 4]"),
        ]


@layer("multi_head_attention")
def multi_head_attention(
    context: LayerContext,
    query: Node,
    heads: int,
    memory: Node | None = None,
    mask: Node | None = None,
    causal: bool = False,
    dropout: float = 0.0,
    bias: bool = True,
) -> Node:
    """Attention of several heads, each on its own projection of the features.

    query is [N, T, E] and attends to itself, or to `memory` [N, S, M]. A mask [N, S] says which
    places of that are real, one [N, T, S] which of them each query may see. `dropout` is the rate
    at which single weights of the attention are dropped while training.
    """
    size = int_size(query.type.shape[-1])
    if heads < 1 or size % heads:
        raise TypeRuleError(f"'multi_head_attention' cannot split {size} features by {heads}.", 0)
    source = query if memory is None else memory
    parts = [
        _split(_projected(context, name, x, size, bias), heads)
        for name, x in (("query", query), ("key", source), ("value", source))
    ]
    seen = () if mask is None else (_for_all_heads(mask),)
    weights = AttentionWeights(causal)(parts[0], parts[1], *seen)
    if dropout:
        weights = Dropout(dropout, context.stream())(weights)
    joined = Permute((0, 2, 1, 3))(MatMul()(weights, parts[2]))
    flat = Reshape(query.type.shape)(joined)
    return _projected(context, "output", flat, size, bias)


def _projected(context: LayerContext, name: str, x: Node, size: int, bias: bool) -> Node:
    given = int_size(x.type.shape[-1])
    start = Initializer("glorot_uniform", fan_in=given, fan_out=size)
    weight = context.param(f"{name}.weight", (size, given), start)
    rest = (context.param(f"{name}.bias", (size,), Initializer()),) if bias else ()
    return Dense()(x, weight, *rest)


def _split(x: Node, heads: int) -> Node:
    """[N, T, E] as [N, heads, T, E / heads]."""
    batch, steps, size = x.type.shape
    return Permute((0, 2, 1, 3))(Reshape((batch, steps, heads, int_size(size) // heads))(x))


def _for_all_heads(mask: Node) -> Node:
    if mask.type.rank not in (2, 3):
        raise TypeRuleError(
            f"'multi_head_attention' needs a mask [N, S] or [N, T, S], not {mask.type}."
        )
    batch, *rest = mask.type.shape
    return Reshape((batch, *([1] * (4 - mask.type.rank)), *rest))(mask)
