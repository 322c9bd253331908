"""Operators of onnxruntime on quantized tensors that ONNX has on floats alone."""

from __future__ import annotations

import math
from collections.abc import Callable

from dhc.ir.graph import Node
from dhc.ir.types import DType
from dhc.ops.activation import LeakyRelu, Sigmoid
from dhc.ops.elementwise import Add, Div, Mul
from dhc.ops.foreign import MICROSOFT, Call, ForeignError, reads
from dhc.ops.movement import SizeValue
from dhc.ops.pool import foreign_average
from dhc.ops.quantize import centered, converted, dequantized, quantized, requantized
from dhc.ops.reduce import ReduceSum
from dhc.ops.shape import joined
from dhc.ops.softmax import Softmax, foreign_softmax


@reads("QLinearAdd", domain=MICROSOFT)
def _read_add(call: Call) -> Node:
    return _requantized(call, Add()(_numbers(call, 0), _numbers(call, 3)), 6)


@reads("QLinearMul", domain=MICROSOFT)
def _read_mul(call: Call) -> Node:
    """The products of integers are exact."""
    a, b = (centered(call.tensor(k), _zero(call, k + 2)) for k in (0, 3))
    scales = (call.tensor(1), call.tensor(4), call.tensor(6))
    return requantized(Mul()(a, b), scales, _zero(call, 7), _result(call, 7))


@reads("QLinearSigmoid", domain=MICROSOFT)
def _read_sigmoid(call: Call) -> Node:
    return _mapped(call, Sigmoid())


@reads("QLinearLeakyRelu", domain=MICROSOFT)
def _read_leaky_relu(call: Call) -> Node:
    return _mapped(call, LeakyRelu(call.get("alpha", 0.01)))


@reads("QLinearSoftmax", domain=MICROSOFT)
def _read_softmax(call: Call) -> Node:
    """Of the version of ONNX that the attribute `opset` names."""
    opset = call.get("opset", 0)
    return _mapped(call, lambda x: foreign_softmax(call, Softmax, x, opset))


@reads("QLinearAveragePool", domain=MICROSOFT)
def _read_average_pool(call: Call) -> Node:
    """Padding counts as the number zero, which is the zero point."""
    call.must("channels_last", 0)
    return _mapped(call, foreign_average(call))


@reads("QLinearGlobalAveragePool", domain=MICROSOFT)
def _read_global_average_pool(call: Call) -> Node:
    """The sums of integers are exact."""
    call.must("channels_last", 0)
    x = call.tensor(0)
    axes = tuple(range(2, x.type.rank))
    total = ReduceSum(axes, True)(centered(x, _zero(call, 2)))
    count = SizeValue(math.prod(x.type.shape[2:]), DType.F32)()
    mean = Div()(converted(total, DType.F32), count)
    return _requantized(call, Mul()(mean, call.tensor(1)), 3)


@reads("QLinearConcat", domain=MICROSOFT)
def _read_concat(call: Call) -> Node:
    """Scale and zero point of the result come first, then each tensor with its own."""
    if len(call) < 5 or (len(call) - 2) % 3:
        raise ForeignError("each of its tensors needs a scale and a zero point")
    call.value(1)
    parts = [_requantized(call, _numbers(call, k), 0) for k in range(2, len(call), 3)]
    return joined(parts, call.get("axis", 0))


def _mapped(call: Call, function: Callable[[Node], Node]) -> Node:
    """A function of the numbers that the first input stands for."""
    return _requantized(call, function(_numbers(call, 0)), 3)


def _numbers(call: Call, first: int) -> Node:
    """The numbers of a tensor that is followed by its scale and its zero point."""
    return dequantized(call.tensor(first), call.tensor(first + 1), _zero(call, first + 2))


def _zero(call: Call, number: int) -> Node | None:
    return call.tensor(number) if call.has(number) else None


def _requantized(call: Call, numbers: Node, scale: int) -> Node:
    """Numbers as integers about the zero point that follows their scale."""
    return quantized(numbers, call.tensor(scale), _zero(call, scale + 1), _result(call, scale + 1))


def _result(call: Call, zero: int) -> DType:
    """The type of the result's zero point; where there is none, that of the first input."""
    return call.tensor(zero if call.has(zero) else 0).type.dtype
