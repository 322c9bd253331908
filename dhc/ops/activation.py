"""Activations: functions of one element."""

from __future__ import annotations

from dhc.ir.scalar import Scalar, clamp, exp, maximum, tanh
from dhc.ops.base import Elementwise, Onnx, op


@op("relu", onnx=Onnx("Relu", since=14))
class Relu(Elementwise):
    """max(x, 0)."""

    def scalar(self, x: Scalar) -> Scalar:
        return maximum(x, 0)


@op("sigmoid", onnx=Onnx("Sigmoid", since=13))
class Sigmoid(Elementwise):
    """1 / (1 + exp(-x))."""

    def scalar(self, x: Scalar) -> Scalar:
        return 1 / (1 + exp(-x))


@op("tanh", onnx=Onnx("Tanh", since=13))
class Tanh(Elementwise):
    """The hyperbolic tangent."""

    def scalar(self, x: Scalar) -> Scalar:
        return tanh(x)


@op("silu")
class Silu(Elementwise):
    """x * sigmoid(x), also called swish (arXiv:1702.03118)."""

    def scalar(self, x: Scalar) -> Scalar:
        return x / (1 + exp(-x))


@op("hardswish", onnx=Onnx("HardSwish", since=14))
class HardSwish(Elementwise):
    """x * relu6(x + 3) / 6 (MobileNetV3, arXiv:1905.02244)."""

    def scalar(self, x: Scalar) -> Scalar:
        return x * clamp(x + 3, 0, 6) / 6
