"""Operators that onnxruntime has beside ONNX's own: several steps in one node.

Its optimizers write them (https://github.com/microsoft/onnxruntime, docs/ContribOperators.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dhc.ir.graph import Node, literal
from dhc.ir.types import DType
from dhc.ops.activation import (
    Elu,
    Gelu,
    HardSigmoid,
    LeakyRelu,
    Relu,
    Sigmoid,
    Softplus,
    Softsign,
    Tanh,
    ThresholdedRelu,
)
from dhc.ops.conv import foreign_conv
from dhc.ops.elementwise import Add, Clip, Div, Mul
from dhc.ops.foreign import MICROSOFT, Call, ForeignError, reads
from dhc.ops.linear import Dense, matrix_product, transposed
from dhc.ops.norm_sample import layer_normalised, root_mean_square

_ACTIVATIONS: Mapping[str, tuple[Callable[..., Callable[[Node], Node]], tuple[str, ...]]] = {
    "Clip": (Clip, ("min", "max")),
    "Elu": (Elu, ("alpha",)),
    "HardSigmoid": (HardSigmoid, ("alpha", "beta")),
    "LeakyRelu": (LeakyRelu, ("alpha",)),
    "Relu": (Relu, ()),
    "Sigmoid": (Sigmoid, ()),
    "Softplus": (Softplus, ()),
    "Softsign": (Softsign, ()),
    "Tanh": (Tanh, ()),
    "ThresholdedRelu": (ThresholdedRelu, ("alpha",)),
}


# ---- activations -----------------------------------------------------------------------------


@reads("Gelu", domain=MICROSOFT)
def _read_gelu(call: Call) -> Node:
    return Gelu()(call.tensor(0))


@reads("BiasGelu", domain=MICROSOFT)
def _read_bias_gelu(call: Call) -> Node:
    return Gelu()(Add()(call.tensor(0), call.tensor(1)))


@reads("FastGelu", domain=MICROSOFT)
def _read_fast_gelu(call: Call) -> Node:
    x = call.tensor(0)
    return Gelu("tanh")(Add()(x, call.tensor(1)) if call.has(1) else x)


def _activated(name: str, settings: Sequence[float], x: Node) -> Node:
    """The activation of a name, with its settings in their order."""
    activation, names = _ACTIVATIONS[name]
    if len(settings) != len(names):
        raise ForeignError(f"its activation '{name}' has {len(settings)} settings")
    return activation(*settings)(x)


def _activation(call: Call) -> str:
    """The name of the activation; empty where a node has none."""
    name = call.get("activation", "")
    if name and name not in _ACTIVATIONS:
        raise ForeignError(f"attribute 'activation' is '{name}'")
    return name


# ---- sums of products ------------------------------------------------------------------------


@reads("FusedConv", domain=MICROSOFT)
def _read_conv(call: Call) -> Node:
    """A convolution, to which a fourth input is added before the activation."""
    x, weight = call.tensor(0), call.tensor(1)
    bias = (call.tensor(2),) if call.has(2) else ()
    total = foreign_conv(call, x, weight)(x, weight, *bias)
    total = Add()(total, call.tensor(3)) if call.has(3) else total
    settings: tuple[float, ...] = call.get("activation_params", ())
    name = _activation(call)
    return _activated(name, settings, total) if name else total


@reads("FusedGemm", domain=MICROSOFT)
def _read_gemm(call: Call) -> Node:
    total = Dense.from_onnx(call)
    name = _activation(call)
    names = [f"activation_{each}" for each in _ACTIVATIONS[name][1]] if name else []
    missing = [each for each in names if not call.says(each)]
    if missing:
        raise ForeignError(f"its activation '{name}' needs the attribute '{missing[0]}'")
    return _activated(name, [call.get(each, 0.0) for each in names], total) if name else total


@reads("FusedMatMul", domain=MICROSOFT)
def _read_matmul(call: Call) -> Node:
    factors = [call.tensor(0), call.tensor(1)]
    for number, letter in enumerate("AB"):
        call.must(f"transBatch{letter}", 0)
        if call.get(f"trans{letter}", 0) and factors[number].type.rank > 1:
            factors[number] = transposed(factors[number])
    product = matrix_product(*factors)
    return Mul()(product, literal(call.get("alpha", 1.0), product.type.dtype))


# ---- normalisation ---------------------------------------------------------------------------


@reads("SkipLayerNormalization", domain=MICROSOFT)
def _read_skip_layernorm(call: Call) -> tuple[Node, ...]:
    """A sum, normalised over the last axis; the sum itself is the fourth result."""
    total = _sum(call, 4)
    bias = call.tensor(3) if call.has(3) else None
    axes, epsilon = (total.type.rank - 1,), call.get("epsilon", 1e-12)
    return *layer_normalised(total, call.tensor(2), bias, axes, epsilon), total


@reads("SkipSimplifiedLayerNormalization", domain=MICROSOFT)
def _read_skip_simplified(call: Call) -> tuple[Node, ...]:
    if any(call.results[1:3]):
        raise ForeignError("its second and third result have no meaning")
    total = _sum(call, 3)
    axes = (total.type.rank - 1,)
    result, inverse = _root_normalised(total, call.tensor(2), axes, call.get("epsilon", 1e-12))
    return result, inverse, inverse, total


@reads("SimplifiedLayerNormalization")
def _read_simplified(call: Call) -> tuple[Node, ...]:
    """Without the mean; onnxruntime has it among ONNX's own operators. It computes in f32."""
    call.must("stash_type", 1)
    x = call.tensor(0)
    axes = tuple(range(call.get("axis", -1) % x.type.rank, x.type.rank))
    if x.type.dtype is not DType.F32:
        raise ForeignError(f"it is read for f32, not {x.type.dtype}")
    return _root_normalised(x, call.tensor(1), axes, call.get("epsilon", 1e-5))


def _root_normalised(
    x: Node, scale: Node, axes: tuple[int, ...], epsilon: float
) -> tuple[Node, Node]:
    """The tensor over its root mean square, and one over that."""
    root = root_mean_square(x, axes, epsilon)
    return Mul()(Div()(x, root), scale), Div()(literal(1.0, x.type.dtype), root)


def _sum(call: Call, bias: int) -> Node:
    total = Add()(call.tensor(0), call.tensor(1))
    return Add()(total, call.tensor(bias)) if call.has(bias) else total
