"""Operators that DeepHealth's library writes or reads beside ONNX's own, in ONNX's domain.

EDDL exports two activations under names of its own, and reads the thresholds with which FINN
(arXiv:1612.07119) replaces an activation and its quantisation.
"""

from __future__ import annotations

from dhc.ir.graph import Node, literal
from dhc.ir.size import Size
from dhc.ops.compare import GreaterEqual
from dhc.ops.elementwise import Add, Cast, Exp, Mul
from dhc.ops.foreign import Call, ForeignError, reads
from dhc.ops.reduce import ReduceSum
from dhc.ops.shape import Reshape

_LAYOUTS = {"NCHW": 1, "NHWC": -1, "NC": 1}
_FINN = ("", "finn.custom_op.general", "qonnx.custom_op.general")


@reads("Exponential")
def _read_exponential(call: Call) -> Node:
    return Exp()(call.tensor(0))


@reads("Linear")
def _read_linear(call: Call) -> Node:
    """The input times `alpha`."""
    x, alpha = call.tensor(0), call.get("alpha", 1.0)
    return Mul()(x, literal(alpha, x.type.dtype))


def _read_thresholds(call: Call) -> Node:
    """How many thresholds [C, T] of its channel each element reaches, scaled and shifted."""
    x, thresholds = call.tensor(0), call.tensor(1)
    layout = call.word("data_layout", "NCHW", _LAYOUTS)
    call.get("out_dtype", "")  # the integer type that the results fit in; they stay floats
    scale, bias = call.get("out_scale", 1.0), call.get("out_bias", 0.0)
    if thresholds.type.rank != 2 or x.type.rank < 2:
        raise ForeignError(f"its thresholds are {thresholds.type} for {x.type}")
    channels, count = thresholds.type.shape
    places: list[Size] = [1] * x.type.rank
    places[_LAYOUTS[layout]] = channels
    reached = GreaterEqual()(Reshape((*x.type.shape, 1))(x), Reshape((*places, count))(thresholds))
    dtype = x.type.dtype
    total = ReduceSum((x.type.rank,), keepdims=False)(Cast(dtype)(reached))
    return Add()(Mul()(total, literal(scale, dtype)), literal(bias, dtype))


for _domain in _FINN:
    reads("MultiThreshold", domain=_domain)(_read_thresholds)
