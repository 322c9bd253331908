"""Narrow precisions: products of bf16 numbers, summed in f32; everything else stays f32.

Only what multiplies and sums is narrowed: convolutions, dense layers, products of matrices, and
their gradients. A product of two bf16 numbers is exact in f32, so this is what matrix units of
processors compute. Losses, statistics of normalisations, softmax, weights and their updates are
f32; weights are rounded where they are used. Rounding is to the nearest, half to even.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dhc.ir.graph import Graph, Node
from dhc.ir.rewrite import rebuild, transform
from dhc.ir.types import DType
from dhc.ops.base import Operator
from dhc.ops.elementwise import Add, Sub
from dhc.ops.narrow import RoundBf16
from dhc.passes.manager import Pass


@dataclass(frozen=True)
class RoundProducts(Pass):
    """a b => round(a) round(b), with relative errors of 2^-8 for each product."""

    name: ClassVar[str] = "round_products"
    exact: ClassVar[bool] = False

    def __call__(self, graph: Graph) -> Graph:
        return transform(graph, _rounded)


@dataclass(frozen=True)
class SplitProducts(Pass):
    """a b => (a_l b_h + a_h b_l) + a_h b_h, with relative errors near 2^-16 for each product.

    The high part of a number is the nearest bf16, the low one the nearest to what is left; the
    product of the low parts is left out. (Henry, Tang and Heinecke, arXiv:1904.06376.)
    """

    name: ClassVar[str] = "split_products"
    exact: ClassVar[bool] = False

    def __call__(self, graph: Graph) -> Graph:
        return transform(graph, _split)


def _multiplies(node: Node) -> bool:
    operator = isinstance(node.op, Operator) and node.op.multiplies
    return operator and node.type.dtype is DType.F32


def _rounded(node: Node, inputs: tuple[Node, ...]) -> Node:
    if not _multiplies(node):
        return rebuild(node, inputs)
    a, b, *rest = inputs
    return node.op(RoundBf16()(a), RoundBf16()(b), *rest)


def _split(node: Node, inputs: tuple[Node, ...]) -> Node:
    if not _multiplies(node):
        return rebuild(node, inputs)
    a, b, *rest = inputs
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    small = Add()(node.op(a_low, b_high), node.op(a_high, b_low))
    return Add()(small, node.op(a_high, b_high, *rest))


def _halves(x: Node) -> tuple[Node, Node]:
    high = RoundBf16()(x)
    return high, RoundBf16()(Sub()(x, high))
