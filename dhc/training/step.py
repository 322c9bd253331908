"""The training step as one graph: forward, loss, backward, optimizer, running statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Graph, Initializer, Input, Node, Param, literal, topological
from dhc.ir.rewrite import rebuild
from dhc.ir.size import Size
from dhc.ir.types import Tensor
from dhc.ops.collective import BatchMean
from dhc.ops.compare import Equal
from dhc.ops.elementwise import Sub, Where
from dhc.passes.autodiff import differentiate
from dhc.passes.train_mode import TrainMode
from dhc.recipe.optimizers import Optimizer

LOSS = "loss"
NUMBERS = "optimizer."  # what the labels of the optimizer's numbers begin with

Nodes = Mapping[str, Node]


class Adjust(Protocol):
    """Changes gradients before the optimizer sees them: clipping, penalties."""

    def __call__(self, values: Nodes, gradients: dict[str, Node]) -> dict[str, Node]:
        """Takes parameters and gradients by path; returns the new gradients."""


@dataclass(frozen=True)
class StepOptions:
    """What a step does besides following the gradient of a loss.

    Attributes:
        optimizer: How parameters follow their gradients.
        frozen: Paths of parameters that stay as they are.
        adjust: What happens to gradients first, in order.
    """

    optimizer: Optimizer
    frozen: frozenset[str] = frozenset()
    adjust: Sequence[Adjust] = ()


@dataclass(frozen=True)
class Step:
    """A training step.

    Attributes:
        graph: Takes the model's inputs, the data that the loss needs, random counters where
            there are some, and the optimizer's numbers; gives the loss; updates its parameters.
        trained: Paths of the parameters that follow the loss, in the order of the model.
        idle: Paths of parameters on which the loss does not depend.
    """

    graph: Graph
    trained: tuple[str, ...]
    idle: tuple[str, ...]


def build_step(
    model: Graph,
    data: Mapping[str, Tensor],
    objective: Callable[[Nodes, Nodes], Node],
    options: StepOptions,
) -> Step:
    """Returns the training step of a model.

    Args:
        model: The network as it is used.
        data: Types of what the loss compares with, by name; a name of the model's own input
            means that input.
        objective: The loss from the model's outputs and the data; its mean is minimised.
        options: The rest.

    Raises:
        DhcError: if nothing can be trained, or the loss cannot be.
    """
    network = TrainMode(_batch(model), options.frozen)(model)
    own = {_label(node): node for node in network.inputs}
    given = {name: own.get(name) or Input(name, type)() for name, type in data.items()}
    loss = _mean(objective(dict(network.outputs), given))
    values = _trainable(network, loss, options.frozen)
    found = differentiate(network, loss, list(values.values()))
    gradients = {
        path: gradient
        for path, gradient in zip(values, found.values, strict=True)
        if gradient is not None
    }
    if not gradients:
        text = f"The loss of '{model.name}' depends on no parameter that may change."
        raise DhcError(Diagnostic("no-gradient", text))
    for adjust in options.adjust:
        gradients = adjust(values, gradients)
    numbers, updates = _optimise(options.optimizer, values, gradients)
    extra = [node for name, node in given.items() if name not in own]
    graph = replace(
        network,
        name=f"{model.name}_step",
        inputs=(*network.inputs, *extra, *numbers),
        outputs=((LOSS, loss),),
        updates=_guarded((*network.updates, *updates), loss),
        origins={**found.origins, **network.origins},
    )
    idle = tuple(path for path in values if path not in gradients)
    return Step(graph, tuple(gradients), idle)


def moment_path(moment: str, path: str) -> str:
    """Returns under which name an optimizer's moment of a parameter is kept."""
    return f"{moment}/{path}"


def _optimise(
    optimizer: Optimizer, values: Nodes, gradients: Nodes
) -> tuple[tuple[Node, ...], list[tuple[str, Node]]]:
    """The inputs with the optimizer's numbers, and the new values of parameters and moments."""
    dtype = next(iter(gradients.values())).type.dtype
    names = optimizer.numbers(1, 1.0)
    numbers = {name: Input(NUMBERS + name, Tensor(dtype, ()))() for name in names}
    updates: list[tuple[str, Node]] = []
    for path, gradient in gradients.items():
        value = values[path]
        paths = {name: moment_path(name, path) for name in optimizer.moments}
        moments = {
            name: Param(paths[name], value.type, Initializer(value=start), trainable=False)()
            for name, start in optimizer.moments.items()
        }
        new = optimizer.update(value, gradient, moments, numbers)
        updates += [(paths[name], node) for name, node in new.moments.items()]
        updates.append((path, new.value))
    return tuple(numbers.values()), updates


def _guarded(updates: Sequence[tuple[str, Node]], loss: Node) -> tuple[tuple[str, Node], ...]:
    """Updates that leave everything as it is where the loss is no number.

    So one bad batch destroys nothing, and where its loss became no number can still be found.
    """
    number = Equal()(Sub()(loss, loss), literal(0.0, loss.type.dtype))
    targets = {node: path for path, node in updates}
    params = {}
    final: dict[Node, Node] = {}
    for node in topological(targets):
        if isinstance(node.op, Param):
            params[node.op.path] = node
        new = rebuild(node, tuple(final[source] for source in node.inputs))
        if node in targets:
            path = targets[node]
            new = Where()(number, new, params.get(path) or Param(path, node.type)())
        final[node] = new
    return tuple((path, final[node]) for path, node in updates)


def _trainable(network: Graph, loss: Node, frozen: frozenset[str]) -> dict[str, Node]:
    """The parameters that may follow the loss, by path."""
    found: dict[str, Node] = {}
    for node in topological((*network.roots, loss)):
        if isinstance(node.op, Param) and node.op.trainable and node.op.path not in frozen:
            found[node.op.path] = node
    return found


def _batch(model: Graph) -> Size:
    """The number of samples: the first axis of the model's first input."""
    first = model.inputs[0].type.shape
    if not first:
        text = f"The model '{model.name}' takes a single number; training needs samples [N, ...]."
        raise DhcError(Diagnostic("shape-mismatch", text))
    return first[0]


def _mean(loss: Node) -> Node:
    return BatchMean()(loss) if loss.type.shape else loss


def _label(node: Node) -> str:
    assert isinstance(node.op, Input)
    return node.op.label
