"""Arithmetic on matching elements of tensors that broadcast against each other."""

from __future__ import annotations

from dhc.ir.derive import derive
from dhc.ir.graph import Node
from dhc.ir.scalar import Scalar, Var, cast, exp, sqrt
from dhc.ir.types import DType
from dhc.ops.base import Elementwise, Onnx, op


@op("add", onnx=Onnx("Add", since=14))
class Add(Elementwise):
    """a + b."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a + b


@op("sub", onnx=Onnx("Sub", since=14))
class Sub(Elementwise):
    """a - b."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a - b


@op("mul", onnx=Onnx("Mul", since=14))
class Mul(Elementwise):
    """a * b, element by element."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a * b


@op("div", onnx=Onnx("Div", since=14))
class Div(Elementwise):
    """a / b; integers round toward minus infinity."""

    def scalar(self, a: Scalar, b: Scalar) -> Scalar:
        return a // b if a.dtype.is_integer else a / b


@op("sqrt", onnx=Onnx("Sqrt", since=13))
class Sqrt(Elementwise):
    """The square root."""

    def scalar(self, x: Scalar) -> Scalar:
        return sqrt(x)


@op("exp", onnx=Onnx("Exp", since=13))
class Exp(Elementwise):
    """The exponential function."""

    def scalar(self, x: Scalar) -> Scalar:
        return exp(x)


@op("cast", onnx=Onnx("Cast", since=13))
class Cast(Elementwise):
    """Conversion to another element type; floats to integers truncate toward zero."""

    to: DType
    saturate: bool = False

    def scalar(self, x: Scalar) -> Scalar:
        return cast(x, self.to, self.saturate)


@op("map")
class Map(Elementwise):
    """Any scalar expression of the inputs, which it calls x0, x1, ...: what fusion and autodiff make."""

    body: Scalar

    def scalar(self, *inputs: Scalar) -> Scalar:
        from dhc.ir.replace import replace_variables

        bindings = {Var(f"x{i}", x.dtype): x for i, x in enumerate(inputs)}
        return replace_variables(self.body, bindings)


def elementwise_gradients(
    operator: Elementwise, upstream: Node, inputs: tuple[Node, ...]
) -> tuple[Node | None, ...]:
    """Returns the gradient for each float input from the operator's derivative."""
    from dhc.ops.reduce import sum_to_shape

    names = [Var(f"x{i}", node.type.dtype) for i, node in enumerate(inputs)]
    body = operator.scalar(*names)
    above = Var(f"x{len(inputs)}", upstream.type.dtype)
    gradients: list[Node | None] = []
    for name, node in zip(names, inputs, strict=True):
        if not node.type.dtype.is_float:
            gradients.append(None)
            continue
        slope = Map(cast(above, name.dtype) * derive(body, name))(*inputs, upstream)
        gradients.append(sum_to_shape(slope, node.type.shape))
    return tuple(gradients)
