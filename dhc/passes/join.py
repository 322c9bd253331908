"""Puts a pipeline before a model: one graph from a stored image to the model's outputs."""

from __future__ import annotations

from dataclasses import replace

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Graph, Input, Node, topological
from dhc.ir.rewrite import rebuild, transform
from dhc.ir.size import Size, symbols
from dhc.ops.rules import TypeRuleError
from dhc.ops.shape import Reshape
from dhc.passes.bind_sizes import bind_sizes


def join(pipeline: Graph, model: Graph) -> Graph:
    """Returns the model fed by the pipeline's values of the same names, with a batch of one.

    Inputs of the model that the pipeline does not make stay inputs; those of the pipeline that the
    model does not need, such as the mask that it would be compared with, do not.

    Raises:
        DhcError: if no name is shared, or an image does not fit its input.
    """
    made = dict(pipeline.outputs)
    fed = [n for n in model.inputs if isinstance(n.op, Input) and n.op.label in made]
    if not fed:
        names = ", ".join(n.op.label for n in model.inputs if isinstance(n.op, Input))
        text = f"The pipeline '{pipeline.name}' makes {', '.join(made)}; the model takes {names}."
        raise DhcError(Diagnostic("join", text, hints=("use the same name in both",)))
    sizes: dict[str, Size] = {}
    for node in fed:
        sizes |= _bindings(node, made[_label(node)])
    bound = bind_sizes(model, sizes)

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        if isinstance(node.op, Input) and node.op.label in made:
            return _batch_of_one(made[node.op.label])
        return rebuild(node, inputs)

    joined = transform(bound, step)
    needed = set(topological(node for _, node in (*joined.outputs, *joined.updates)))
    rest = tuple(n for n in bound.inputs if isinstance(n.op, Input) and n.op.label not in made)
    return replace(
        joined,
        inputs=(*(node for node in pipeline.inputs if node in needed), *rest),
        constants={**pipeline.constants, **model.constants},
        origins={**pipeline.origins, **joined.origins},
    )


def _label(node: Node) -> str:
    assert isinstance(node.op, Input)
    return node.op.label


def _bindings(node: Node, value: Node) -> dict[str, Size]:
    """What the symbols in an input's type are for a value of the pipeline."""
    wanted, given = node.type, (1, *value.type.shape)
    if wanted.dtype is not value.type.dtype or wanted.rank != len(given):
        raise _unfit(node, value)
    found: dict[str, Size] = {}
    for size, actual in zip(wanted.shape, given, strict=True):
        if isinstance(size, int):
            if size != actual:
                raise _unfit(node, value)
            continue
        names = symbols(size)
        if len(names) != 1 or str(size) not in names:
            raise _unfit(node, value)
        found[str(size)] = actual
    return found


def _batch_of_one(value: Node) -> Node:
    try:
        return Reshape((1, *value.type.shape))(value)
    except TypeRuleError as problem:
        raise DhcError(Diagnostic("join", problem.message)) from None


def _unfit(node: Node, value: Node) -> DhcError:
    text = f"The model takes {_label(node)} as {node.type}; the pipeline makes {value.type} of it."
    return DhcError(Diagnostic("join", text, hints=("resize it, or convert it in the pipeline",)))
