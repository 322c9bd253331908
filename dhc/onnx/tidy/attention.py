"""Attention, put together again from two products of matrices and the softmax between them.

Exporters multiply the queries, the keys, both or the scores by the scale, and turn the keys over
together with other axes. What a mask adds to the scores stays an operand; a choice between scores
and minus infinity becomes such a sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dhc.ir.graph import Graph, Literal_, Node, literal, users
from dhc.ir.rewrite import rebuild, transform
from dhc.onnx.tidy.matching import number, orders
from dhc.ops.attention import Attention
from dhc.ops.conv import int_size
from dhc.ops.elementwise import Add, Div, Mul, Where
from dhc.ops.linear import MatMul
from dhc.ops.shape import Permute
from dhc.ops.softmax import Softmax

_MASKED = -1e9  # beside which no score is seen


@dataclass(frozen=True)
class _Mask:
    """What is added to scores: a tensor, or a number where others must not be seen."""

    tensor: Node
    lowest: float | None = None
    seen: bool = True

    def added(self, tensor: Node, query: Node) -> Node:
        """The mask as a sum, over nodes of the new graph."""
        if self.lowest is None:
            return tensor
        dtype = query.type.dtype
        zero, lowest = literal(0.0, dtype), literal(self.lowest, dtype)
        return Where()(tensor, *((zero, lowest) if self.seen else (lowest, zero)))


@dataclass(frozen=True)
class _Found:
    """The parts of an attention.

    Attributes:
        order: How the axes of `key` are permuted to [..., S, E]; None if they are so already.
        inner: The nodes between the parts, which nothing else may read.
    """

    query: Node
    key: Node
    value: Node
    order: tuple[int, ...] | None
    scale: float
    mask: _Mask | None
    inner: tuple[Node, ...]

    def build(self, done: Mapping[Node, Node]) -> Node:
        query, key = done[self.query], done[self.key]
        key = key if self.order is None else Permute(self.order)(key)
        usual = 1 / math.sqrt(int_size(query.type.shape[-1]))
        scale = None if math.isclose(self.scale, usual, rel_tol=1e-6) else self.scale
        mask = () if self.mask is None else (self.mask.added(done[self.mask.tensor], query),)
        return Attention(scale=scale)(query, key, done[self.value], *mask)


def with_attention(graph: Graph) -> Graph:
    """Returns the graph with whole attentions where it has their parts."""
    read, roots = users(graph.roots), set(graph.roots)
    found: dict[Node, _Found] = {}
    for node in read:
        each = _attention(node) if isinstance(node.op, MatMul) else None
        if each and all(len(read[part]) == 1 and part not in roots for part in each.inner):
            found[node] = each
    done: dict[Node, Node] = {}

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        done[node] = found[node].build(done) if node in found else rebuild(node, inputs)
        return done[node]

    return transform(graph, step) if found else graph


def _attention(node: Node) -> _Found | None:
    weights, value = node.inputs
    if not isinstance(weights.op, Softmax) or weights.type.rank < 2 or value.type.rank < 2:
        return None
    if weights.op.axis % weights.type.rank != weights.type.rank - 1:
        return None
    for scores, mask, between in _scores(weights.inputs[0]):
        product, scale, inner = _scaled(scores)
        if isinstance(product.op, MatMul) and product.type == weights.type:
            inside = (weights, *between, *inner, product)
            return _parts(product, value, scale, mask, inside)
    return None


def _parts(
    product: Node, value: Node, scale: float, mask: _Mask | None, inner: Sequence[Node]
) -> _Found | None:
    query, of_query, _ = _scaled(product.inputs[0])
    turned, of_keys, _ = _scaled(product.inputs[1])
    if query.type.rank < 2 or turned.type.rank < 2 or not query.type.dtype.is_float:
        return None
    if not isinstance(query.type.shape[-1], int):
        return None
    key, order = turned, (*range(turned.type.rank - 2), turned.type.rank - 1, turned.type.rank - 2)
    of_inner = 1.0
    if isinstance(turned.op, Permute):
        order = tuple(turned.op.order[axis] for axis in order)
        key, of_inner, _ = _scaled(turned.inputs[0])
    plain = order == tuple(range(len(order)))
    total = scale * of_query * of_keys * of_inner
    if not math.isfinite(total):
        return None
    return _Found(query, key, value, None if plain else order, total, mask, tuple(inner))


def _scores(node: Node) -> Iterator[tuple[Node, _Mask | None, tuple[Node, ...]]]:
    """What may be scores, and the mask that was laid upon them."""
    yield node, None, ()
    if isinstance(node.op, Add):
        for scores, mask in orders(node):
            if mask.type.dtype is node.type.dtype and not isinstance(mask.op, Literal_):
                yield scores, _Mask(mask), (node,)
    if isinstance(node.op, Where):
        condition, *choices = node.inputs
        for place, other in ((0, 1), (1, 0)):
            lowest = number(choices[other])
            if lowest is not None and lowest <= _MASKED:
                yield choices[place], _Mask(condition, lowest, seen=place == 0), (node,)


def _scaled(node: Node) -> tuple[Node, float, tuple[Node, ...]]:
    """What is multiplied by a number, the number, and the nodes of the product."""
    total, inner = 1.0, list[Node]()
    while isinstance(node.op, Mul | Div):
        pairs = list(orders(node)) if isinstance(node.op, Mul) else [node.inputs]
        found = next(((x, value) for x, y in pairs if (value := number(y)) is not None), None)
        if found is None or found[0].type != node.type or not found[1]:
            break
        inner.append(node)
        total = total * found[1] if isinstance(node.op, Mul) else total / found[1]
        node = found[0]
    return node, total, tuple(inner)
