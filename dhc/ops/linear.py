"""Matrix products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from dhc.ir.graph import Initializer, Node, literal
from dhc.ir.scalar import Scalar, reduce_over
from dhc.ir.size import unify
from dhc.ir.types import Tensor
from dhc.ops.base import (
    Array,
    Index,
    LayerContext,
    Onnx,
    Operand,
    Structured,
    TypeRuleError,
    axis_variable,
    broadcast_shapes,
    layer,
    op,
    require_same_dtype,
)
from dhc.ops.conv import int_size
from dhc.ops.elementwise import Add, Mul
from dhc.ops.foreign import Call
from dhc.ops.outward import Outward, Term
from dhc.ops.phrase import Phrase, plain_phrase, unusual, weights_of
from dhc.ops.reduce import sum_to_shape
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Permute, Reshape


@op("dense", onnx=Onnx("Gemm", since=13))
class Dense(Structured):
    """x [..., C] times weights [K, C], transposed, plus an optional bias [K]."""

    multiplies: ClassVar[bool] = True

    def infer(self, x: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
        if x.rank < 1 or unify(x.shape[-1], weight.shape[1]) is None:
            raise TypeRuleError(f"'dense' has weights for {weight.shape[1]} values, not {x}.", 0)
        return x.with_shape((*x.shape[:-1], weight.shape[0]))

    def element(self, out: Tensor, index: Index, x: Operand, *rest: Operand) -> Scalar:
        c = axis_variable("c", rest[0].type.shape[1])
        product = x[(*index[:-1], c)] * rest[0][(index[-1], c)]
        total = reduce_over("sum", (c,), product)
        return total + rest[1][(index[-1],)] if len(rest) > 1 else total

    def numpy(self, x: Array, weight: Array, *bias: Array) -> Array:
        result: Array = np.matmul(x, weight.T)
        return result + bias[0] if bias else result

    def grad(
        self, upstream: Node, output: Node, x: Node, weight: Node, *bias: Node
    ) -> tuple[Node | None, ...]:
        """For y = x w^T: upstream times w, and upstream^T times x, over all places as rows."""
        of_weight = MatMul()(transposed(_as_rows(upstream)), _as_rows(x))
        of_bias = [sum_to_shape(upstream, each.type.shape) for each in bias]
        return Dense()(upstream, transposed(weight)), of_weight, *of_bias

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        a, b = call.tensor(0), call.tensor(1)
        a = transposed(a) if call.get("transA", 0) else a
        b = b if call.get("transB", 0) else transposed(b)
        alpha, beta = call.get("alpha", 1.0), call.get("beta", 1.0)
        call.get("broadcast", 0)  # before version 7; later always
        bias = call.tensor(2) if call.has(2) else None
        whole = bias is not None and bias.type.shape == b.type.shape[:1]
        if whole and alpha == beta == 1:
            return cls()(a, b, call.tensor(2))
        product = _scaled(cls()(a, b), alpha)
        return product if bias is None else Add()(product, _scaled(bias, beta))

    def phrase(self, x: Node, weight: Node, *bias: Node) -> Phrase:
        weights = weights_of(weight=weight, **({"bias": bias[0]} if bias else {}))
        if weights is None:
            return plain_phrase(self, (x, weight, *bias))
        units = weight.type.static_shape[0]
        return Phrase(self.name, (x,), {"units": units} | unusual(bias=(bool(bias), True)), weights)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """Where there are more axes than two, a product of matrices and a sum."""
        if inputs[0].type.rank == 2:
            return out.node("Gemm", inputs, result, transB=1)
        weight = out.apply(Permute((1, 0)), inputs[1])
        product = out.node("MatMul", (inputs[0], weight), result)
        return out.node("Add", (product, inputs[2]), result) if len(inputs) > 2 else product

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        biased = sample(cls(), "f32[2, 3, 5]", "f32[4, 5]", "f32[4]")
        return [biased, sample(cls(), "f32[2, 5]", "f32[4, 5]")]


@layer("dense")
def dense(context: LayerContext, x: Node, units: int, bias: bool = True) -> Node:
    """A fully connected layer on the last axis."""
    size = int_size(x.type.shape[-1])
    start = Initializer("glorot_uniform", fan_in=size, fan_out=units)
    weight = context.param("weight", (units, size), start)
    rest = (context.param("bias", (units,), Initializer()),) if bias else ()
    return Dense()(x, weight, *rest)


@op("matmul", onnx=Onnx("MatMul", since=13))
class MatMul(Structured):
    """The product of matrices [..., M, K] and [..., K, N]; leading axes broadcast."""

    multiplies: ClassVar[bool] = True

    def infer(self, a: Tensor, b: Tensor) -> Tensor:
        require_same_dtype(self.name, (a, b))
        if a.rank < 2 or b.rank < 2 or unify(a.shape[-1], b.shape[-2]) is None:
            raise TypeRuleError(f"'matmul' cannot multiply {a} and {b}.", 1)
        batch = broadcast_shapes(self.name, [a.shape[:-2], b.shape[:-2]])
        return a.with_shape((*batch, a.shape[-2], b.shape[-1]))

    def element(self, out: Tensor, index: Index, a: Operand, b: Operand) -> Scalar:
        k = axis_variable("k", a.type.shape[-1])
        left = a.broadcast((*index[:-1], k))
        right = b.broadcast((*index[:-2], k, index[-1]))
        return reduce_over("sum", (k,), left * right)

    def numpy(self, a: Array, b: Array) -> Array:
        result: Array = np.matmul(a, b)
        return result

    def grad(self, upstream: Node, output: Node, a: Node, b: Node) -> tuple[Node | None, ...]:
        """For y = a b: upstream times b^T and a^T times upstream, summed where a batch repeats."""
        of_a = MatMul()(upstream, transposed(b))
        of_b = MatMul()(transposed(a), upstream)
        return sum_to_shape(of_a, a.type.shape), sum_to_shape(of_b, b.type.shape)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        return matrix_product(*call.tensors)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            sample(cls(), "f32[3, 4]", "f32[4, 2]"),
            sample(cls(), "f32[2, 1, 3, 4]", "f32[3, 4, 2]"),
        ]


def matrix_product(a: Node, b: Node) -> Node:
    """Returns the product; as in numpy, a vector is a row on the left and a column on the right."""
    left = Reshape((1, *a.type.shape))(a) if a.type.rank == 1 else a
    right = Reshape((*b.type.shape, 1))(b) if b.type.rank == 1 else b
    product = MatMul()(left, right)
    shape = list(product.type.shape)
    if a.type.rank == 1:
        del shape[-2]
    if b.type.rank == 1:
        del shape[-1]
    return product if len(shape) == product.type.rank else Reshape(tuple(shape))(product)


def _scaled(x: Node, factor: float) -> Node:
    return x if factor == 1 else Mul()(x, literal(factor, x.type.dtype))


def _as_rows(x: Node) -> Node:
    """[..., C] as [rows, C]."""
    if x.type.rank == 2:
        return x
    return Reshape((math.prod(x.type.shape[:-1]), x.type.shape[-1]))(x)


def transposed(matrix: Node) -> Node:
    """Returns matrices [..., M, N] as [..., N, M]."""
    *batch, row, column = range(matrix.type.rank)
    return Permute((*batch, column, row))(matrix)
