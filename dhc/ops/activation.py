"""Activations: functions of one element."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from dhc.ir.graph import Initializer, Node
from dhc.ir.scalar import Scalar, clamp, erf, exp, lift, log, maximum, minimum, select, tanh
from dhc.ir.types import DType, Tensor
from dhc.ops.base import Elements, Elementwise, LayerContext, Onnx, TypeRuleError, layer, op
from dhc.ops.conv import int_size
from dhc.ops.foreign import MICROSOFT, Call
from dhc.ops.outward import Outward, Term
from dhc.ops.outward_formula import write_formula
from dhc.ops.rules import broadcast_shapes
from dhc.ops.shape import Reshape


@op("relu", onnx=Onnx("Relu", since=14))
class Relu(Elementwise):
    """max(x, 0)."""

    elements: ClassVar[Elements] = "number"

    def scalar(self, x: Scalar) -> Scalar:
        return maximum(x, 0)

    def slope(self, result: Scalar) -> Scalar:
        return select(result > 0, lift(1, result.dtype), 0)


@op("relu6")
class Relu6(Elementwise):
    """min(max(x, 0), 6) (arXiv:1801.04381)."""

    elements: ClassVar[Elements] = "number"

    def scalar(self, x: Scalar) -> Scalar:
        return clamp(x, 0, 6)

    def slope(self, result: Scalar) -> Scalar:
        return select((result > 0) & (result < 6), lift(1, result.dtype), 0)


@op("leaky_relu", onnx=Onnx("LeakyRelu", since=16))
class LeakyRelu(Elementwise):
    """x where it is positive, else alpha * x."""

    alpha: float = 0.01

    def scalar(self, x: Scalar) -> Scalar:
        return select(x > 0, x, x * self.alpha)

    def slope(self, result: Scalar) -> Scalar | None:
        if self.alpha <= 0:
            return None
        return select(result > 0, lift(1, result.dtype), self.alpha)


@op("thresholded_relu", onnx=Onnx("ThresholdedRelu", since=10))
class ThresholdedRelu(Elementwise):
    """x where it is greater than alpha, else 0."""

    alpha: float = 1.0

    def scalar(self, x: Scalar) -> Scalar:
        return select(x > self.alpha, x, 0)


@op("prelu", onnx=Onnx("PRelu", since=16))
class PRelu(Elementwise):
    """x where it is positive, else slope * x; the slope broadcasts (arXiv:1502.01852)."""

    def scalar(self, x: Scalar, slope: Scalar) -> Scalar:
        return select(x > 0, x, x * slope)

    @classmethod
    def from_onnx(cls, call: Call) -> Node | tuple[Node, ...]:
        """Before version 7 a slope for each channel was meant, whatever its shape."""
        x, slope = call.tensors
        if call.opset < 7 and slope.type.rank == 1 and slope.type.shape[0] != 1:
            slope = Reshape((*slope.type.shape, *[1] * (x.type.rank - 2)))(slope)
        return cls()(x, slope)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        x, slope = inputs
        if broadcast_shapes(self.name, [x.shape, slope.shape]) != x.shape:
            return write_formula(out, self, *inputs)  # ONNX brings the slope to x alone
        return super().to_onnx(out, result, *inputs)


@layer("prelu")
def prelu(context: LayerContext, x: Node, initial: float = 0.25) -> Node:
    """Keeps what is positive, else gives a learnt multiple of it, one for each channel."""
    if x.type.rank < 2:
        raise TypeRuleError(f"'prelu' needs an input [N, C, ...], not {x.type}.", 0)
    channels = int_size(x.type.shape[1])
    slope = context.param("slope", (channels,), Initializer(value=initial))
    return PRelu()(x, Reshape((channels, *[1] * (x.type.rank - 2)))(slope))


@op("elu", onnx=Onnx("Elu", since=6))
class Elu(Elementwise):
    """x where it is positive, else alpha * (exp(x) - 1) (arXiv:1511.07289)."""

    alpha: float = 1.0

    def scalar(self, x: Scalar) -> Scalar:
        return select(x > 0, x, self.alpha * (exp(x) - 1))


@op("selu", onnx=Onnx("Selu", since=6))
class Selu(Elementwise):
    """gamma * elu(x, alpha), whose constants keep mean and variance (arXiv:1706.02515)."""

    alpha: float = 1.6732632423543772
    gamma: float = 1.0507009873554805

    def scalar(self, x: Scalar) -> Scalar:
        return self.gamma * select(x > 0, x, self.alpha * (exp(x) - 1))


@op("celu", onnx=Onnx("Celu", since=12))
class Celu(Elementwise):
    """x where it is positive, else alpha * (exp(x / alpha) - 1) (arXiv:1704.07483)."""

    alpha: float = 1.0

    def infer(self, *inputs: Tensor) -> Tensor:
        if self.alpha == 0:
            raise TypeRuleError("'celu' divides by 'alpha', which cannot be 0.")
        return super().infer(*inputs)

    def scalar(self, x: Scalar) -> Scalar:
        return select(x > 0, x, self.alpha * (exp(x / self.alpha) - 1))

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        if result.dtype is not DType.F32:
            return write_formula(out, self, *inputs)
        return super().to_onnx(out, result, *inputs)


@op("sigmoid", onnx=Onnx("Sigmoid", since=13))
class Sigmoid(Elementwise):
    """1 / (1 + exp(-x))."""

    def scalar(self, x: Scalar) -> Scalar:
        return 1 / (1 + exp(-x))

    def slope(self, result: Scalar) -> Scalar:
        return result * (1 - result)


@op("hardsigmoid", onnx=Onnx("HardSigmoid", since=6))
class HardSigmoid(Elementwise):
    """alpha * x + beta, clipped to 0 .. 1."""

    alpha: float = 0.2
    beta: float = 0.5

    def scalar(self, x: Scalar) -> Scalar:
        return clamp(self.alpha * x + self.beta, 0, 1)


@op("tanh", onnx=Onnx("Tanh", since=13))
class Tanh(Elementwise):
    """The hyperbolic tangent."""

    def scalar(self, x: Scalar) -> Scalar:
        return tanh(x)

    def slope(self, result: Scalar) -> Scalar:
        return 1 - result * result


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


@op("gelu", onnx=Onnx("Gelu", since=20, attributes=(("form", "approximate"),)))
class Gelu(Elementwise):
    """x times the normal distribution function of x (arXiv:1606.08415).

    Attributes:
        form: `erf` is exact; `tanh` is the approximation of the paper.
    """

    form: Literal["erf", "tanh"] = "erf"

    def scalar(self, x: Scalar) -> Scalar:
        if self.form == "erf":
            return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))
        return 0.5 * x * (1 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))))

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        forms: dict[str, Literal["erf", "tanh"]] = {"none": "erf", "tanh": "tanh"}
        return cls(forms[call.word("approximate", "none", forms)])(call.tensor(0))

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        if out.opset < 20:
            return write_formula(out, self, *inputs)
        form = "none" if self.form == "erf" else self.form
        return out.node("Gelu", inputs, result, approximate=form)


@op("quick_gelu", onnx=Onnx("QuickGelu", since=1, domain=MICROSOFT))
class QuickGelu(Elementwise):
    """x * sigmoid(alpha * x), which is close to gelu (arXiv:1606.08415)."""

    alpha: float = 1.702

    def scalar(self, x: Scalar) -> Scalar:
        return x / (1 + exp(-self.alpha * x))


@op("mish", onnx=Onnx("Mish", since=18))
class Mish(Elementwise):
    """x * tanh(softplus(x)) (arXiv:1908.08681).

    With e = exp(x) the factor is (e^2 + 2e) / (e^2 + 2e + 2); from x = 20 on it rounds to 1.
    """

    def scalar(self, x: Scalar) -> Scalar:
        e = exp(minimum(x, 20))
        rising = e * (e + 2)
        return x * (rising / (rising + 2))


@op("softplus", onnx=Onnx("Softplus", since=1))
class Softplus(Elementwise):
    """log(1 + exp(x)), written so that it neither overflows nor has a kink in its gradient."""

    def scalar(self, x: Scalar) -> Scalar:
        return 0.5 * (x + abs(x)) + log(1 + exp(-abs(x)))


@op("softsign", onnx=Onnx("Softsign", since=1))
class Softsign(Elementwise):
    """x / (1 + abs(x))."""

    def scalar(self, x: Scalar) -> Scalar:
        return x / (1 + abs(x))


@op("linear")
class Linear(Elementwise):
    """alpha * x: the activation of a layer that has none."""

    alpha: float = 1.0

    def scalar(self, x: Scalar) -> Scalar:
        return x * self.alpha
