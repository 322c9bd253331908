"""Activations, put together again."""

from __future__ import annotations

import math

from dhc.ir.graph import Node
from dhc.ir.rules import RuleSet
from dhc.onnx.tidy.matching import (
    close,
    factors,
    is_number,
    is_square,
    orders,
    pairs_of,
    peeled,
    plus,
    plus_any,
)
from dhc.ops.activation import (
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Mish,
    QuickGelu,
    Relu6,
    Sigmoid,
    Silu,
    Softplus,
    Tanh,
)
from dhc.ops.elementwise import Add, Clip, Div, Erf, Exp, Log, Max, Mul, Neg, Pow, Reciprocal, Sqrt
from dhc.ops.reduce import ReduceSum
from dhc.ops.statistics import ReduceL2

rules = RuleSet()


# ---- of exponentials -------------------------------------------------------------------------


@rules.rule(Div)
def quotient_by_logistic(node: Node) -> Node | None:
    """1 / (1 + exp(-x)) is sigmoid, and x / (1 + exp(-x)) silu."""
    above, below = node.inputs
    x = _grown_less(below)
    if x is None:
        return None
    if above is x:
        return Silu()(x)
    return Sigmoid()(x) if is_number(above, 1.0) else None


@rules.rule(Reciprocal)
def inverse_of_logistic(node: Node) -> Node | None:
    """The inverse of 1 + exp(-x)."""
    x = _grown_less(node.inputs[0])
    return None if x is None else Sigmoid()(x)


def _grown_less(node: Node) -> Node | None:
    """X of 1 + exp(-x)."""
    grown = plus(node, 1.0)
    lowered = grown.inputs[0] if grown is not None and isinstance(grown.op, Exp) else None
    return lowered.inputs[0] if lowered is not None and isinstance(lowered.op, Neg) else None


@rules.rule(Log)
def softplus(node: Node) -> Node | None:
    """Log(1 + exp(x)), which is no more infinite for large x."""
    grown = plus(node.inputs[0], 1.0)
    return Softplus()(grown.inputs[0]) if grown is not None and isinstance(grown.op, Exp) else None


@rules.rule(Mul)
def gelu(node: Node) -> Node | None:
    """0.5 x (1 + erf(x / sqrt 2)), or with tanh."""
    for x, other in pairs_of(node, 0.5):
        inner = plus(other, 1.0)
        if inner is None or not inner.inputs:
            continue
        share, source = peeled(inner.inputs[0])
        if isinstance(inner.op, Erf) and source is x and close(share, 0.5**0.5):
            return Gelu("erf")(x)
        if isinstance(inner.op, Tanh) and _is_cubic(share, source, x):
            return Gelu("tanh")(x)
    return None


def _is_cubic(share: float, total: Node, x: Node) -> bool:
    """Whether a product is sqrt(2 / pi) * (x + 0.044715 x^3)."""
    if not close(share, (2 / math.pi) ** 0.5) or not isinstance(total.op, Add):
        return False
    return any(first is x and _is_cube(second, x, 0.044715) for first, second in orders(total))


def _is_cube(node: Node, x: Node, wanted: float) -> bool:
    """A number times x^3, which is a power or a product in any order."""
    (share, power), (other, rest) = peeled(node), factors(node)
    if rest == [x, x, x]:
        return math.isclose(other, wanted, rel_tol=1e-3)
    if isinstance(power.op, Pow):
        cube = power.inputs[0] is x and is_number(power.inputs[1], 3.0)
    else:
        cube = isinstance(power.op, Mul) and any(
            a is x and is_square(b, x) for a, b in orders(power)
        )
    return cube and math.isclose(share, wanted, rel_tol=1e-3)


# ---- of limits -------------------------------------------------------------------------------


@rules.rule(Clip)
def relu6(node: Node) -> Node | None:
    """Clip(x, 0, 6)."""
    return Relu6()(node.inputs[0]) if node.op == Clip(0.0, 6.0) else None


@rules.rule(Div)
@rules.rule(Mul)
def hardsigmoid(node: Node) -> Node | None:
    """Clip(x + b, 0, h) / h."""
    share, clipped = peeled(node)
    limit = _limit(clipped)
    if limit is None or not close(share * limit, 1.0):
        return None
    found = plus_any(clipped.inputs[0])
    if found is None or found[0].type != node.type:
        return None
    return HardSigmoid(1 / limit, found[1] / limit)(found[0])


def _limit(node: Node) -> float | None:
    """The upper limit of what is clipped between 0 and that."""
    match node.op:
        case Relu6():
            return 6.0
        case Clip(low, high) if low == 0 and 0 < high < math.inf and node.type.dtype.is_float:
            return high
    return None


@rules.rule(Max)
def leaky_relu(node: Node) -> Node | None:
    """Max(x, a x) for a below 1."""
    if len(node.inputs) != 2:
        return None
    for x, other in orders(node):
        slope, source = peeled(other)
        if source is x and other is not x and 0 <= slope < 1 and x.type == node.type:
            return LeakyRelu(slope)(x)
    return None


# ---- gates -----------------------------------------------------------------------------------


@rules.rule(Mul)
def gated(node: Node) -> Node | None:
    """X times a function of x: silu, quick gelu, hardswish, mish."""
    for x, gate in pairs_of(node, 1.0):
        source = gate.inputs[0] if len(gate.inputs) == 1 else None
        match gate.op:
            case Sigmoid() if source is x:
                return Silu()(x)
            case Sigmoid() if source is not None:
                share, inner = peeled(source)
                if inner is x:
                    return QuickGelu(share)(x)
            case HardSigmoid(alpha, beta) if source is x and close(beta, 0.5):
                if close(alpha, 1 / 6):
                    return HardSwish()(x)
            case Tanh() if source is not None and isinstance(source.op, Softplus):
                if source.inputs[0] is x:
                    return Mish()(x)
    return None


@rules.rule(Div)
@rules.rule(Mul)
def hardswish(node: Node) -> Node | None:
    """X * clip(x + 3, 0, 6) / 6."""
    for x, gate in pairs_of(node, 1 / 6):
        if _limit(gate) == 6.0 and plus(gate.inputs[0], 3.0) is x:
            return HardSwish()(x)
    return None


# ---- norms of vectors ------------------------------------------------------------------------


@rules.rule(Sqrt)
def length(node: Node) -> Node | None:
    """The root of the sum of squares."""
    (total,) = node.inputs
    if not isinstance(total.op, ReduceSum) or not total.inputs[0].inputs:
        return None
    square, op = total.inputs[0], total.op
    x = square.inputs[0]
    return ReduceL2(op.axes, op.keepdims)(x) if is_square(square, x) else None
