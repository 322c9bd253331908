"""Gradients of affine matrices for the numbers that they are made of."""

from __future__ import annotations

from collections.abc import Sequence

from dhc.ir.derive import derive
from dhc.ir.graph import Node
from dhc.ir.replace import replace_variables
from dhc.ir.scalar import Const, Scalar, Var, lift, walk
from dhc.ir.size import symbol
from dhc.ir.types import DType
from dhc.ops.affine import AffineMatrix
from dhc.ops.elementwise import Map
from dhc.ops.linear import MatMul, transposed
from dhc.ops.movement import SizeValue, Slice, slice_axis
from dhc.ops.shape import Concat, Reshape


def matrix_gradients(
    operator: AffineMatrix, upstream: Node, inputs: Sequence[Node]
) -> tuple[Node, ...]:
    """Returns the gradient for each number: the sum of the entries' derivatives times `upstream`.

    The inputs are single numbers, upstream is [2, 3].
    """
    names = [Var(f"x{i}", node.type.dtype) for i, node in enumerate(inputs)]
    above = [Var(f"x{len(inputs) + k}", upstream.type.dtype) for k in range(6)]
    entries = operator.entries(*names)
    sources = (*inputs, *(_entry(upstream, k) for k in range(6)))
    gradients = []
    for name in names:
        total: Scalar = lift(0, name.dtype)
        for weight, entry in zip(above, entries, strict=True):
            slope = derive(entry, name)
            if not (isinstance(slope, Const) and slope.value == 0):
                total = total + weight * slope
        gradients.append(_mapped(total, sources))
    return tuple(gradients)


def _entry(matrix: Node, k: int) -> Node:
    """Entry `k` of a [2, 3] matrix, row by row, as a single number."""
    return Reshape(())(Slice(divmod(k, 3), (1, 1), (1, 1))(matrix))


def _mapped(body: Scalar, sources: tuple[Node, ...]) -> Node:
    """A scalar expression of x0, x1, ...; symbols of sizes in it become further inputs."""
    sizes = {part: part.name for part in walk(body) if isinstance(part, Var) and _is_size(part)}
    names = {var: Var(f"x{len(sources) + k}", DType.I64) for k, var in enumerate(sizes)}
    values = [SizeValue(symbol(name), DType.I64)() for name in sizes.values()]
    return Map(replace_variables(body, names))(*sources, *values)


def _is_size(variable: Var) -> bool:
    return variable.dtype is DType.I64


def composition_gradients(upstream: Node, a: Node, b: Node) -> tuple[Node, Node]:
    """Returns the gradients of `compose_affine` for a and b; all are [2, 3].

    The result is a's square part times b, plus a's last column in the last column.
    """
    square = MatMul()(upstream, transposed(b))
    of_a = Concat(1)(square, slice_axis(upstream, 1, 2, 3))
    return of_a, MatMul()(transposed(slice_axis(a, 1, 0, 2)), upstream)
