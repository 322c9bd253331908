"""ONNX's `Gradient`: differentiates what was read of a model so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dhc.ir.graph import Input, Node, literal, topological
from dhc.ir.rewrite import rebuild
from dhc.ops.differentiate import NoGradientError, pull_back
from dhc.ops.foreign import Call, ForeignError, Known, reads
from dhc.ops.movement import Expand
from dhc.ops.shape import Reshape


@reads("Gradient", domain="ai.onnx.preview.training")
def _gradient(call: Call) -> tuple[Node, ...]:
    """The gradients of `y` for the tensors called `xs`, where those and `zs` have these values."""
    wanted, others = call.get("xs", ()), call.get("zs", ())
    names = [*map(str, wanted), *map(str, others)]
    if len(names) != len(call):
        raise ForeignError(f"it has {len(call)} inputs for {len(names)} tensors")
    sources = [_variable(call, name) for name in names]
    target = _variable(call, call.get("y", ""))
    _check(target, dict(zip(sources, names, strict=True)), names)
    found = _gradients(target, sources[: len(wanted)])
    values = [call.tensor(number) for number in range(len(call))]
    return _fed(found, dict(zip(sources, values, strict=True)))


def _variable(call: Call, name: str) -> Node:
    """The node of a name that something may depend on.

    Raises:
        ForeignError: if it is a constant, with which others may be computed already.
    """
    found = call.named(name)
    if isinstance(found, Known) and not found.path:
        raise ForeignError(f"'{name}' is a constant, not one of the model's variables")
    return call.node(found)


def _check(target: Node, sources: Mapping[Node, str], names: Sequence[str]) -> None:
    """Checks that a number is a function of these tensors, and that they are independent.

    Equal tensors are one node here, so the gradient for one of them alone cannot be told.

    Raises:
        ForeignError: if it is not so.
    """
    if any(size != 1 for size in target.type.shape) or not target.type.dtype.is_float:
        raise ForeignError(f"'y' is {target.type}, while gradients are those of one number")
    if len(sources) < len(names):
        raise ForeignError("some tensors of 'xs' and 'zs' are the same")
    for source, name in sources.items():
        behind = [sources[node] for node in topological(source.inputs) if node in sources]
        if behind:
            raise ForeignError(f"'{name}' of 'xs' and 'zs' follows from '{behind[0]}'")
    for node in _between(target, sources):
        if isinstance(node.op, Input) and node not in sources:
            raise ForeignError(f"'y' depends on the input '{node.op.label}', which is not named")


def _between(target: Node, sources: Mapping[Node, str]) -> list[Node]:
    """What a node depends on, not looking behind the sources."""
    found: dict[Node, None] = {}
    stack = [target]
    while stack:
        node = stack.pop()
        if node not in found:
            found[node] = None
            stack.extend(() if node in sources else node.inputs)
    return list(found)


def _gradients(target: Node, sources: Sequence[Node]) -> tuple[Node, ...]:
    """The gradients of a number.

    Raises:
        ForeignError: if an operator has none.
    """
    if integers := [each.type for each in sources if not each.type.dtype.is_float]:
        raise ForeignError(f"'xs' has a tensor of {integers[0]}, for which nothing has a gradient")
    one = Reshape(target.type.shape)(literal(1.0, target.type.dtype))
    try:
        found = pull_back(target, one, sources)
    except NoGradientError as problem:
        raise ForeignError(f"'{problem.node.op.name}' has no gradient: {problem}") from problem
    zeros = (Expand(each.type.shape)(literal(0.0, each.type.dtype)) for each in sources)
    return tuple(zero if each is None else each for each, zero in zip(found, zeros, strict=True))


def _fed(results: Sequence[Node], values: Mapping[Node, Node]) -> tuple[Node, ...]:
    """Results with other values of some tensors.

    Raises:
        ForeignError: if they are of other types.
    """
    for source, value in values.items():
        if source.type != value.type:
            raise ForeignError(f"{value.type} takes the place of {source.type}")
    done = dict(values)
    for node in topological(results):
        if node not in done:
            done[node] = rebuild(node, tuple(done[each] for each in node.inputs))
    return tuple(done[node] for node in results)
