"""The gradient of element-wise operators, derived from their expressions."""

from __future__ import annotations

from dhc.ir.derive import derive
from dhc.ir.graph import Node
from dhc.ir.scalar import Var, cast
from dhc.ir.types import DType
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
        if not (_is_smooth(node.type.dtype) and _is_smooth(body.dtype)):
            gradients.append(None)
            continue
        within = _computed(body.dtype)
        slope = cast(above, within) * cast(derive(body, name), within)
        given = Map(cast(slope, _computed(name.dtype)))(*inputs, upstream)
        gradients.append(sum_to_shape(given, node.type.shape))
    return tuple(gradients)


def _is_smooth(dtype: DType) -> bool:
    """Whether numbers of a type lie close enough for slopes: powers of two alone do not."""
    return dtype.is_float and dtype is not DType.F8E8M0


def _computed(dtype: DType) -> DType:
    """The type of gradients: those of narrow numbers are f32, so that they can be summed."""
    return DType.F32 if dtype.is_narrow else dtype
