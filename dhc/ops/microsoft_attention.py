"""Attention as onnxruntime's own domain has it: projections and masks within one node.

B is the batch, S the places that ask, T those that answer, N the heads and E the size of one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dhc.ir.graph import Node, literal
from dhc.ir.size import Shape
from dhc.ir.types import DType
from dhc.ops.compare import Equal, Less, LessEqual
from dhc.ops.conv import int_size
from dhc.ops.elementwise import Add, Mul, Where
from dhc.ops.foreign import MICROSOFT, Call, ForeignError, reads
from dhc.ops.linear import MatMul, matrix_product, transposed
from dhc.ops.movement import slice_axis
from dhc.ops.sequence import Positions
from dhc.ops.shape import Permute, Reshape
from dhc.ops.softmax import Softmax


@dataclass(frozen=True)
class _Rule:
    """How scores become weights.

    Attributes:
        heads: How many heads there are.
        scale: What scores are multiplied by; 0 stands for 1 / sqrt(E).
        causal: Whether each place sees only itself and those before.
        masked: What is added to the score of a place that is masked.
    """

    heads: int
    scale: float
    causal: bool
    masked: float


def _rule(call: Call) -> _Rule:
    heads = call.get("num_heads", 0)
    if heads < 1:
        raise ForeignError(f"attribute 'num_heads' is {heads}")
    causal = bool(call.get("unidirectional", 0))
    return _Rule(heads, call.get("scale", 0.0), causal, call.get("mask_filter_value", -10000.0))


@reads("Attention", domain=MICROSOFT)
def _read_attention(call: Call) -> Node:
    """Weights [E, 3 * N * E] project the input to queries, keys and values."""
    call.must("do_rotary", 0)
    call.must("past_present_share_buffer", 0)
    _refuse_state(call, (4, 6))
    rule, x = _rule(call), call.tensor(0)
    projected = matrix_product(x, call.tensor(1))
    projected = Add()(projected, call.tensor(2)) if call.has(2) else projected
    third = int_size(projected.type.shape[-1]) // 3
    sizes = call.ints("qkv_hidden_sizes", (third,) * 3)
    if len(sizes) != 3 or sum(sizes) != projected.type.shape[-1]:
        raise ForeignError(f"attribute 'qkv_hidden_sizes' is {sizes}")
    query, key, value = _parts(projected, sizes)
    return _attended(rule, query, key, value, _added(call, rule, (3, 5), x, key))


@reads("MultiHeadAttention", domain=MICROSOFT)
def _read_multi_head(call: Call) -> Node:
    """Queries, keys and values are projected already, but for a bias."""
    _refuse_state(call, (6, 7, 8, 9))
    rule = _rule(call)
    query, key, value = (call.tensor(number) for number in range(3))
    if any(each.type.rank != 3 for each in (query, key, value)):
        raise ForeignError("its inputs are packed, which dhc cannot read")
    if call.has(3):
        sizes = tuple(int_size(each.type.shape[-1]) for each in (query, key, value))
        biases = _parts(call.tensor(3), sizes)
        query, key, value = (Add()(x, b) for x, b in zip((query, key, value), biases, strict=True))
    return _attended(rule, query, key, value, _added(call, rule, (4, 5), query, key))


def _refuse_state(call: Call, numbers: tuple[int, ...]) -> None:
    if any(map(call.has, numbers)) or any(call.results[1:]):
        raise ForeignError("it keeps keys and values of past calls, which dhc cannot read")


def _parts(x: Node, sizes: tuple[int, ...]) -> list[Node]:
    """The last axis, cut into pieces."""
    ends = np.cumsum(sizes).tolist()
    places = zip((0, *ends), ends, strict=False)
    return [slice_axis(x, x.type.rank - 1, first, end) for first, end in places]


def _attended(rule: _Rule, query: Node, key: Node, value: Node, added: list[Node]) -> Node:
    """Values [B, T, N * V] weighted for queries [B, S, N * E], as [B, S, N * V]."""
    q, k, v = (_heads(each, rule.heads) for each in (query, key, value))
    scale = rule.scale or 1 / math.sqrt(int_size(q.type.shape[-1]))
    scores = Mul()(MatMul()(q, transposed(k)), literal(scale, q.type.dtype))
    for each in added:
        scores = Add()(scores, each)
    if rule.causal:
        asking, answering = scores.type.shape[-2:]
        seen = LessEqual()(Positions(answering)(), Reshape((asking, 1))(Positions(asking)()))
        lowest = float(np.finfo(scores.type.dtype.numpy).min)
        scores = Where()(seen, scores, literal(lowest, scores.type.dtype))
    found = Permute((0, 2, 1, 3))(MatMul()(Softmax(-1)(scores), v))
    return Reshape((*query.type.shape[:2], value.type.shape[-1]))(found)


def _heads(x: Node, heads: int) -> Node:
    """[B, S, N * E] as [B, N, S, E]."""
    batch, places, size = x.type.shape
    if int_size(size) % heads:
        raise ForeignError(f"{size} features have no {heads} heads")
    return Permute((0, 2, 1, 3))(Reshape((batch, places, heads, int_size(size) // heads))(x))


def _added(call: Call, rule: _Rule, numbers: tuple[int, int], query: Node, key: Node) -> list[Node]:
    """What is added to scores [B, N, S, T]: a mask of places, and a tensor of any numbers."""
    mask, bias = numbers
    found = [_masked(call.tensor(mask), rule, query, key)] if call.has(mask) else []
    return [*found, call.tensor(bias)] if call.has(bias) else found


def _masked(mask: Node, rule: _Rule, query: Node, key: Node) -> Node:
    """A mask: how many places are real, or which ones, for all that ask or for each."""
    (batch, asking), answering, dtype = query.type.shape[:2], key.type.shape[1], query.type.dtype
    if mask.type.shape == (batch,):
        places = Positions(answering, mask.type.dtype)()
        seen = Less()(places, Reshape((batch, 1, 1, 1))(mask))
        return Where()(seen, literal(0.0, dtype), literal(rule.masked, dtype))
    shapes: dict[Shape, Shape] = {
        (batch, answering): (batch, 1, 1, answering),
        (batch, asking, answering): (batch, 1, asking, answering),
    }
    if mask.type.shape not in shapes or mask.type.dtype is not DType.I32:
        raise ForeignError(f"it has a mask {mask.type}, which dhc cannot read")
    hidden = Equal()(Reshape(shapes[mask.type.shape])(mask), literal(0, DType.I32))
    return Where()(hidden, literal(rule.masked, dtype), literal(0.0, dtype))
