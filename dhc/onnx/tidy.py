"""What exporters take apart, put together again: layer normalisation, activations, dense layers.

Each rule leaves the meaning as it is but for rounding; the tests run both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from dhc.ir.graph import Array, Graph, Literal_, Node, Param, users
from dhc.ir.rewrite import rebuild, transform
from dhc.ir.rules import RuleSet
from dhc.ops.activation import (
    Gelu,
    HardSigmoid,
    HardSwish,
    Mish,
    QuickGelu,
    Sigmoid,
    Silu,
    Softplus,
    Tanh,
)
from dhc.ops.elementwise import Add, Clip, Div, Erf, Mul, Pow, Sqrt, Sub
from dhc.ops.linear import Dense, MatMul
from dhc.ops.norm_sample import LayerNorm
from dhc.ops.reduce import ReduceMean

Pair = tuple[Node, Node]
rules = RuleSet()


def tidied(graph: Graph, values: Mapping[str, Array]) -> tuple[Graph, Mapping[str, Array]]:
    """Returns a graph with fewer operators, and the values of its parameters.

    Args:
        graph: A graph as it was read.
        values: Its parameters by path; those of dense layers are turned over.
    """
    made, turned = with_dense_layers(graph, values)
    return rules.apply(made), turned


# ---- matching --------------------------------------------------------------------------------


def _orders(node: Node) -> Iterator[Pair]:
    """The operands of a sum or product, in both orders."""
    first, second = node.inputs
    yield first, second
    yield second, first


def _number(node: Node) -> float | None:
    """The value of a node that is one number."""
    return float(node.op.value) if isinstance(node.op, Literal_) else None


def _is(node: Node, value: float) -> bool:
    found = _number(node)
    return found is not None and math.isclose(found, value, rel_tol=1e-4)


def _factors(node: Node) -> tuple[float, list[Node]]:
    """A product as a number and what else is multiplied."""
    number, rest, stack = 1.0, list[Node](), [node]
    while stack:
        top = stack.pop()
        found = _number(top)
        if found is not None:
            number *= found
        elif isinstance(top.op, Mul) and len(rest) + len(stack) < 8:
            stack.extend(top.inputs)
        elif isinstance(top.op, Div) and _number(top.inputs[1]):
            number /= float(top.inputs[1].op.value)  # type: ignore[attr-defined]
            stack.append(top.inputs[0])
        else:
            rest.append(top)
    return number, rest


def _product_of(node: Node, number: float) -> Pair | None:
    """The two operands of a product that is also multiplied by a number."""
    found, rest = _factors(node)
    fits = len(rest) == 2 and math.isclose(found, number, rel_tol=1e-4)
    return (rest[0], rest[1]) if fits else None


def _one_more(node: Node) -> Node | None:
    """X of 1 + x."""
    if not isinstance(node.op, Add):
        return None
    return next((a for a, b in _orders(node) if _is(b, 1.0)), None)


# ---- layer normalisation ---------------------------------------------------------------------


@rules.rule(Div)
def standardised(node: Node) -> Node | None:
    """(x - mean) / sqrt(variance + epsilon) over the last axes."""
    distance, deviation = node.inputs
    if not isinstance(distance.op, Sub) or not isinstance(deviation.op, Sqrt):
        return None
    x, mean = distance.inputs
    total = deviation.inputs[0]
    axes = _mean_axes(mean, x)
    if axes is None or not isinstance(total.op, Add):
        return None
    for variance, epsilon in _orders(total):
        value = _number(epsilon)
        if value is None or not variance.inputs:
            continue
        square = variance.inputs[0]
        if _is_square(square, distance) and _mean_axes(variance, square) == axes:
            return LayerNorm(axes, value)(x)
    return None


def _mean_axes(node: Node, x: Node) -> tuple[int, ...] | None:
    """The axes of a mean of x, if they are its last and stay with size 1."""
    op = node.op
    if not isinstance(op, ReduceMean) or not op.keepdims or node.inputs[0] is not x:
        return None
    axes = op.folded(x.type)
    return axes if axes == tuple(range(x.type.rank - len(axes), x.type.rank)) else None


def _is_square(node: Node, x: Node) -> bool:
    if isinstance(node.op, Pow):
        return node.inputs[0] is x and _is(node.inputs[1], 2.0)
    return isinstance(node.op, Mul) and node.inputs == (x, x)


@rules.rule(Add)
def layer_normalised(node: Node) -> Node | None:
    """A scale and a bias after a normalisation that has none."""
    for product, bias in _orders(node):
        if not isinstance(product.op, Mul):
            continue
        for normal, scale in _orders(product):
            op = normal.op
            if not isinstance(op, LayerNorm) or len(normal.inputs) > 1:
                continue
            sizes = normal.type.shape[-len(op.axes) :]
            if scale.type.shape == bias.type.shape == sizes:
                return op(normal.inputs[0], scale, bias)
    return None


# ---- activations -----------------------------------------------------------------------------


@rules.rule(Mul)
def gelu(node: Node) -> Node | None:
    """0.5 x (1 + erf(x / sqrt 2)), or with tanh."""
    pair = _product_of(node, 0.5)
    for x, other in (pair, pair[::-1]) if pair else ():
        inner = _one_more(other)
        if inner is None or not inner.inputs:
            continue
        number, rest = _factors(inner.inputs[0])
        if (
            isinstance(inner.op, Erf)
            and rest == [x]
            and math.isclose(number, 0.5**0.5, rel_tol=1e-4)
        ):
            return Gelu("erf")(x)
        if isinstance(inner.op, Tanh) and _is_cubic(number, rest, x):
            return Gelu("tanh")(x)
    return None


def _is_cubic(number: float, rest: Sequence[Node], x: Node) -> bool:
    """Whether a product is sqrt(2 / pi) * (x + 0.044715 x^3)."""
    right = math.isclose(number, (2 / math.pi) ** 0.5, rel_tol=1e-4) and len(rest) == 1
    if not right or not isinstance(rest[0].op, Add):
        return False
    for first, second in _orders(rest[0]):
        share, powers = _factors(second)
        cubed = powers == [x, x, x] or (len(powers) == 1 and _is_cube(powers[0], x))
        if first is x and cubed and math.isclose(share, 0.044715, rel_tol=1e-3):
            return True
    return False


def _is_cube(node: Node, x: Node) -> bool:
    return isinstance(node.op, Pow) and node.inputs[0] is x and _is(node.inputs[1], 3.0)


@rules.rule(Mul)
def gated(node: Node) -> Node | None:
    """X times a function of x: silu, quick gelu, hardswish, mish."""
    pair = _product_of(node, 1.0)
    for x, gate in (pair, pair[::-1]) if pair else ():
        source = gate.inputs[0] if len(gate.inputs) == 1 else None
        match gate.op:
            case Sigmoid() if source is x:
                return Silu()(x)
            case Sigmoid() if source is not None:
                number, rest = _factors(source)
                if rest == [x]:
                    return QuickGelu(number)(x)
            case HardSigmoid(alpha, beta) if source is x and beta == 0.5:
                if math.isclose(alpha, 1 / 6, rel_tol=1e-4):
                    return HardSwish()(x)
            case Tanh() if source is not None and isinstance(source.op, Softplus):
                if source.inputs[0] is x:
                    return Mish()(x)
    return None


@rules.rule(Div)
@rules.rule(Mul)
def hardswish(node: Node) -> Node | None:
    """X * clip(x + 3, 0, 6) / 6."""
    pair = _product_of(node, 1 / 6)
    for x, gate in (pair, pair[::-1]) if pair else ():
        if gate.op != Clip(0.0, 6.0) or not isinstance(gate.inputs[0].op, Add):
            continue
        if any(a is x and _is(b, 3.0) for a, b in _orders(gate.inputs[0])):
            return HardSwish()(x)
    return None


# ---- dense layers ----------------------------------------------------------------------------


def with_dense_layers(
    graph: Graph, values: Mapping[str, Array]
) -> tuple[Graph, Mapping[str, Array]]:
    """Products with a matrix of weights [in, out] as dense layers, whose weights are [out, in]."""
    read = users(graph.roots)
    turned = {
        node.op.path: replace(node.op, type=node.type.with_shape(node.type.shape[::-1]))()
        for node, uses in read.items()
        if isinstance(node.op, Param) and node.type.rank == 2 and _multiplies_rows(node, uses)
    }
    turned = {path: node for path, node in turned.items() if path in values}

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        second = node.inputs[1].op if isinstance(node.op, MatMul) else None
        if isinstance(second, Param) and second.path in turned:
            return Dense()(inputs[0], turned[second.path])
        return rebuild(node, inputs)

    made = transform(graph, step)
    new = {path: np.ascontiguousarray(values[path].T) for path in turned}
    return made, {**values, **new}


def _multiplies_rows(weights: Node, uses: Sequence[Node]) -> bool:
    """Whether a matrix is only what rows are multiplied by."""
    return bool(uses) and all(
        isinstance(use.op, MatMul) and use.inputs[1] is weights and use.inputs[0] is not weights
        for use in uses
    )


@rules.rule(Add)
def dense_with_bias(node: Node) -> Node | None:
    """A bias after a dense layer that has none."""
    for product, bias in _orders(node):
        if isinstance(product.op, Dense) and len(product.inputs) == 2:
            x, weight = product.inputs
            if bias.type.shape == weight.type.shape[:1] and bias.type.dtype is x.type.dtype:
                return Dense()(x, weight, bias)
    return None
