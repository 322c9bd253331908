"""Layers whose parts exporters keep apart: dense layers, and biases after layers that have none."""

from __future__ import annotations

from collections.abc import Sequence

from dhc.ir.graph import Constant, Graph, Node, Param, users
from dhc.ir.rewrite import rebuild, transform
from dhc.ir.rules import RuleSet
from dhc.onnx.tidy.matching import orders
from dhc.ops.conv import Conv
from dhc.ops.conv_transpose import ConvTranspose
from dhc.ops.elementwise import Add
from dhc.ops.linear import Dense, MatMul
from dhc.ops.shape import Permute, Reshape

rules = RuleSet()


def with_dense_layers(graph: Graph) -> Graph:
    """Products with a matrix of weights [in, out] as dense layers, whose weights are [out, in]."""
    read = users(graph.roots)
    weights = {
        node
        for node, uses in read.items()
        if isinstance(node.op, Param | Constant)
        and node.type.rank == 2
        and _multiplies_rows(node, uses)
    }

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        if isinstance(node.op, MatMul) and node.inputs[1] in weights:
            return Dense()(inputs[0], Permute((1, 0))(inputs[1]))
        return rebuild(node, inputs)

    return transform(graph, step)


def _multiplies_rows(weights: Node, uses: Sequence[Node]) -> bool:
    """Whether a matrix is only what rows are multiplied by."""
    return bool(uses) and all(
        isinstance(use.op, MatMul) and use.inputs[1] is weights and use.inputs[0] is not weights
        for use in uses
    )


@rules.rule(MatMul)
def product_with_turned_weights(node: Node) -> Node | None:
    """A product with weights [out, in] that are turned over first."""
    x, turned = node.inputs
    if turned.op != Permute((1, 0)) or not isinstance(turned.inputs[0].op, Param):
        return None
    return Dense()(x, turned.inputs[0])


@rules.rule(Add)
def dense_with_bias(node: Node) -> Node | None:
    """A bias after a dense layer that has none."""
    for product, bias in orders(node):
        if isinstance(product.op, Dense) and len(product.inputs) == 2:
            x, weight = product.inputs
            if bias.type.shape == weight.type.shape[:1] and bias.type.dtype is x.type.dtype:
                return Dense()(x, weight, bias)
    return None


@rules.rule(Add)
def convolution_with_bias(node: Node) -> Node | None:
    """A bias [1, C, 1, 1] after a convolution that has none."""
    for product, bias in orders(node):
        if not isinstance(product.op, Conv | ConvTranspose) or len(product.inputs) > 2:
            continue
        if product.type == node.type and bias.type.dtype is node.type.dtype:
            flat = by_channel(bias, node)
            if flat is not None:
                return product.op(*product.inputs, flat)
    return None


def by_channel(weights: Node, x: Node) -> Node | None:
    """Weights [1, C, 1, ...] or [C, 1, ...], which broadcast against [N, C, ...], as [C]."""
    source = weights.inputs[0] if isinstance(weights.op, Reshape) else weights
    if not isinstance(source.op, Param | Constant):
        return None
    rank, channels = x.type.rank, x.type.shape[1] if x.type.rank > 1 else 1
    shape = (1,) * (rank - weights.type.rank) + tuple(weights.type.shape)
    wanted = (1, channels, *[1] * (rank - 2))
    fits = weights.type.rank > 0 and rank > 2 and shape == wanted and isinstance(channels, int)
    return Reshape((channels,))(weights) if fits else None
