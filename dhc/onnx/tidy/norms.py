"""Normalisations, put together again: of layers, groups, planes, and by the root mean square."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dhc.ir.graph import Array, Graph, Node
from dhc.ir.rewrite import rebuild, transform
from dhc.ir.rules import RuleSet
from dhc.onnx.tidy.layers import by_channel
from dhc.onnx.tidy.matching import is_square, mean_axes, orders, plus_any, quotient_by_root
from dhc.onnx.tidy.weights import array_of
from dhc.ops.elementwise import Add, Div, Mul, Sub
from dhc.ops.norm_sample import GroupNorm, InstanceNorm, LayerNorm, RmsNorm
from dhc.ops.shape import Reshape

rules = RuleSet()


def without_idle_weights(graph: Graph, values: Mapping[str, Array]) -> Graph:
    """Normalisations of planes that are groups, without scales of ones and biases of zeros.

    Exporters write group normalisation as that of instances whose channels are the groups.
    """

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        if isinstance(node.op, InstanceNorm) and len(inputs) == 3:
            scale, bias = (array_of(each, graph, values) for each in inputs[1:])
            if isinstance(inputs[0].op, Reshape) and _all(scale, 1.0) and _all(bias, 0.0):
                return node.op(inputs[0])
        return rebuild(node, inputs)

    return transform(graph, step)


def _all(array: Array | None, value: float) -> bool:
    return array is not None and bool(np.all(array == value))


# ---- the quotient ----------------------------------------------------------------------------


@rules.rule(Div)
@rules.rule(Mul)
def standardised(node: Node) -> Node | None:
    """(x - mean) / sqrt(variance + epsilon)."""
    for distance, total in quotient_by_root(node):
        if not isinstance(distance.op, Sub):
            continue
        x, mean = distance.inputs
        axes, found = mean_axes(mean, x), plus_any(total)
        if axes is not None and found is not None and _mean_square(found[0], distance) == axes:
            return LayerNorm(axes, found[1])(x)
    return None


@rules.rule(Div)
@rules.rule(Mul)
def over_root_mean_square(node: Node) -> Node | None:
    """X / sqrt(mean of x * x + epsilon) over the last axes."""
    for x, total in quotient_by_root(node):
        found = plus_any(total)
        axes = _mean_square(found[0], x) if found is not None else None
        if axes is not None and found is not None and axes == _last(x, len(axes)):
            return RmsNorm(axes, found[1])(x)
    return None


def _mean_square(node: Node, x: Node) -> tuple[int, ...] | None:
    """The axes of a mean of x * x that stay with size 1."""
    square = node.inputs[0] if node.inputs else None
    return mean_axes(node, square) if square is not None and is_square(square, x) else None


def _last(x: Node, count: int) -> tuple[int, ...]:
    return tuple(range(x.type.rank - count, x.type.rank))


@rules.rule(Reshape)
def grouped(node: Node) -> Node | None:
    """Planes [N, G, ...] of what was [N, C, ...], normalised and brought back to that."""
    normal, shape = node.inputs[0], node.type.shape
    source = normal.inputs[0] if len(normal.inputs) == 1 else None
    if source is None or not isinstance(source.op, Reshape) or len(shape) < 3:
        return None
    epsilon = _of_planes(normal)
    if epsilon is None or source.type.rank < 3 or source.type.shape[0] != shape[0]:
        return None
    groups, channels = source.type.shape[1], shape[1]
    if not isinstance(groups, int) or not isinstance(channels, int) or channels % groups:
        return None
    return GroupNorm(groups, epsilon)(Reshape(shape)(source.inputs[0]))


def _of_planes(normal: Node) -> float | None:
    """The epsilon of a normalisation without weights over all axes but the first two."""
    match normal.op:
        case InstanceNorm(epsilon):
            return epsilon
        case LayerNorm(axes, epsilon) if normal.type.rank > 2:
            places = tuple(axis % normal.type.rank for axis in axes)
            return epsilon if places == tuple(range(2, normal.type.rank)) else None
    return None


# ---- weights ---------------------------------------------------------------------------------


@rules.rule(Add)
def with_scale_and_bias(node: Node) -> Node | None:
    """A scale and a bias after a normalisation that has none."""
    for product, bias in orders(node):
        if not isinstance(product.op, Mul) or product.type != node.type:
            continue
        for normal, scale in orders(product):
            if len(normal.inputs) == 1 and normal.type == node.type:
                found = _of_channels(normal, scale, bias) or _of_layer(normal, scale, bias)
                if found is not None:
                    return found
    return None


def _of_layer(normal: Node, scale: Node, bias: Node) -> Node | None:
    """Weights with the sizes of the axes, and 1 along others."""
    op = normal.op
    if not isinstance(op, LayerNorm):
        return None
    weights = _over(op.axes, scale, normal), _over(op.axes, bias, normal)
    if weights[0] is None or weights[1] is None:
        return None
    return op(normal.inputs[0], weights[0], weights[1])


def _over(axes: tuple[int, ...], weights: Node, x: Node) -> Node | None:
    """Weights that broadcast against x, with the sizes of its axes alone."""
    rank, shape = x.type.rank, weights.type.shape
    if weights.type.rank > rank:
        return None
    wanted = tuple(size if axis in axes else 1 for axis, size in enumerate(x.type.shape))
    sizes = tuple(x.type.shape[axis] for axis in axes)
    if (1,) * (rank - len(shape)) + tuple(shape) != wanted:
        return None
    return weights if shape == sizes else Reshape(sizes)(weights)


def _of_channels(normal: Node, scale: Node, bias: Node) -> Node | None:
    """Weights for each channel."""
    weights = (by_channel(scale, normal), by_channel(bias, normal))
    if weights[0] is None or weights[1] is None:
        return None
    both, x = (weights[0], weights[1]), normal.inputs[0]
    match normal.op:
        case GroupNorm():
            return normal.op(x, *both)
        case InstanceNorm(epsilon) | LayerNorm(_, epsilon) if _of_planes(normal) is not None:
            return InstanceNorm(epsilon)(x, *both)
    return None


@rules.rule(Mul)
def scaled_by_root_mean_square(node: Node) -> Node | None:
    """A scale after a normalisation by the root mean square that has none."""
    for normal, scale in orders(node):
        op = normal.op
        if not isinstance(op, RmsNorm) or len(normal.inputs) > 1:
            continue
        if scale.type.shape == normal.type.shape[-len(op.axes) :]:
            return op(normal.inputs[0], scale)
    return None
