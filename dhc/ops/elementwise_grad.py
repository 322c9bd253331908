"""The gradient of element-wise operators, derived from their expressions."""

from __future__ import annotations

from dhc.ir.derive import derive
from dhc.ir.graph import Node
from dhc.ir.scalar import Var, cast
from dhc.ops.base import Elementwise
from dhc.ops.elementwise import Map
from dhc.ops.reduce import sum_to_shape


def elementwise_gradients(
    operator: Elementwise, upstream: Node, output: Node, inputs: tuple[Node, ...]
) -> tuple[Node | None, ...]:
    """Returns the gradient for each float input from the operator's derivative."""
    if len(inputs) == 1 and output.type.dtype == inputs[0].type.dtype:
        result, above = (Var(f"x{k}", output.type.dtype) for k in range(2))
        known = operator.slope(result) if output.type.dtype.is_float else None
        if known is not None:
            return (Map(above * known)(output, upstream),)
    names = [Var(f"x{i}", node.type.dtype) for i, node in enumerate(inputs)]
    body = operator.scalar(*names)
    above = Var(f"x{len(inputs)}", upstream.type.dtype)
    gradients: list[Node | None] = []
    for name, node in zip(names, inputs, strict=True):
        if not (node.type.dtype.is_float and body.dtype.is_float):
            gradients.append(None)
            continue
        slope = Map(cast(above, name.dtype) * derive(body, name))(*inputs, upstream)
        gradients.append(sum_to_shape(slope, node.type.shape))
    return tuple(gradients)
