"""The training step as one graph: forward, loss, backward, optimizer, running statistics."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Graph, Initializer, Input, Node, Param, literal, topological
from dhc.ir.rewrite import rebuild
from dhc.ir.size import Size
from dhc.ir.types import Tensor
from dhc.ops.collective import BatchMean
from dhc.ops.compare import And, Equal
from dhc.ops.elementwise import Add, Mul, Sub, Where
from dhc.passes.autodiff import differentiate
from dhc.passes.buckets import Buckets
from dhc.passes.distribute import distribute
from dhc.passes.train_mode import TrainMode
from dhc.recipe.average import Ema
from dhc.recipe.constraints import Constraint
from dhc.recipe.optimizers import Optimizer
from dhc.recipe.parallel import DataParallel
from dhc.training.group import Accumulated, Part, accumulate

LOSS, WEIGHT = "loss", "weight"
NUMBERS = "optimizer."  # what the labels of the numbers of a step begin with
AVERAGE = "average"

Nodes = Mapping[str, Node]
Updates = Sequence[tuple[str, Node]]


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
        average: The moving average that is kept of parameters and running statistics.
        accumulate: Whether an update waits for several batches; see `dhc.training.group`.
        constraints: What new values must satisfy, each with the paths that it is for.
        parallel: How ranks share the step, if several may.
    """

    optimizer: Optimizer
    frozen: frozenset[str] = frozenset()
    adjust: Sequence[Adjust] = ()
    average: Ema | None = None
    accumulate: bool = False
    constraints: Sequence[tuple[Constraint, frozenset[str]]] = ()
    parallel: DataParallel | None = None

    def numbers(self, step: int, rate: float, part: Part | None = None) -> dict[str, float]:
        """Returns what changes from batch to batch, by name.

        Args:
            step: The number of the update, counted from 1.
            rate: The learning rate.
            part: The batch's place in its group.
        """
        found = self.optimizer.numbers(step, rate)
        if self.average is not None:
            found["average.share"] = self.average.share(step)
        return found | ((part or Part()).numbers() if self.accumulate else {})


@dataclass(frozen=True)
class Step:
    """A training step.

    Attributes:
        graph: Takes the model's inputs, the data that the loss needs, random counters where
            there are some, and the numbers of `StepOptions`; gives the loss, and the weight of the
            batch in its group's mean where batches make groups; updates its parameters.
        trained: Paths of the parameters that follow the loss, in the order of the model.
        idle: Paths of parameters on which the loss does not depend.
        averaged: Paths of what a moving average is kept of.
    """

    graph: Graph
    trained: tuple[str, ...]
    idle: tuple[str, ...]
    averaged: tuple[str, ...] = ()


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
    parallel = options.parallel
    across = parallel is not None and parallel.sync_batchnorm
    network = TrainMode(_batch(model), options.frozen, across)(model)
    own = {_label(node): node for node in network.inputs}
    given = {name: own.get(name) or Input(name, type)() for name, type in data.items()}
    loss = _mean(objective(dict(network.outputs), given))
    if parallel is not None:
        network, loss = distribute(network, loss, _batch(model))
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
    numbers = _number_inputs(options, loss)
    group = accumulate(gradients, loss, numbers) if options.accumulate else None
    gradients = group.gradients if group else gradients
    for adjust in options.adjust:
        gradients = adjust(values, gradients)
    updates = _optimise(options, values, gradients, numbers)
    averages = _average([*network.updates, *_of(gradients, updates)], numbers, options)
    graph = replace(
        network,
        name=f"{model.name}_step",
        inputs=(*network.inputs, *_others(given, own), *numbers.values()),
        outputs=((LOSS, loss), *([(WEIGHT, group.weight)] if group else [])),
        updates=_guarded(network.updates, [*updates, *averages], loss, group),
        origins={**found.origins, **network.origins},
    )
    if parallel is not None:
        graph = Buckets(parallel.bucket_bytes)(graph)
    idle = tuple(path for path in values if path not in gradients)
    averaged = tuple(path.removeprefix(AVERAGE + "/") for path, _ in averages)
    return Step(graph, tuple(gradients), idle, averaged)


def moment_path(moment: str, path: str) -> str:
    """Returns under which name an optimizer's moment of a parameter is kept."""
    return f"{moment}/{path}"


def average_path(path: str) -> str:
    """Returns under which name the moving average of a parameter is kept."""
    return f"{AVERAGE}/{path}"


def _number_inputs(options: StepOptions, loss: Node) -> dict[str, Node]:
    type = Tensor(loss.type.dtype, ())
    return {name: Input(NUMBERS + name, type)() for name in options.numbers(1, 1.0)}


def _optimise(
    options: StepOptions, values: Nodes, gradients: Nodes, numbers: Nodes
) -> list[tuple[str, Node]]:
    """The new values of parameters and moments."""
    optimizer = options.optimizer
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
        final = new.value
        for constraint, chosen in options.constraints:
            final = constraint(final) if path in chosen else final
        updates.append((path, final))
    return updates


def _of(paths: Container[str], updates: Updates) -> Updates:
    return [(path, node) for path, node in updates if path in paths]


def _average(updates: Updates, numbers: Nodes, options: StepOptions) -> Updates:
    """The new values of the moving averages of what is updated."""
    if options.average is None:
        return []
    found = []
    for path, node in updates:
        before = Param(average_path(path), node.type, trainable=False)()
        moved = Mul()(Sub()(node, before), numbers["average.share"])
        found.append((average_path(path), Add()(before, moved)))
    return found


def _guarded(
    running: Updates, updates: Updates, loss: Node, group: Accumulated | None
) -> tuple[tuple[str, Node], ...]:
    """Updates that leave everything as it is where the loss is no number.

    So one bad batch destroys nothing, and where its loss became no number can still be found. What
    waits for the end of a group stays as it is before.

    Args:
        running: What changes with every batch: running statistics.
        updates: What changes with every update.
        loss: Decides.
        group: The batches of an update, if there are several.
    """
    number = Equal()(Sub()(loss, loss), literal(0.0, loss.type.dtype))
    often = [*running, *(group.updates if group else [])]
    complete = And()(number, group.last) if group else number
    conditions = {path: number for path, _ in often} | {path: complete for path, _ in updates}
    targets = {node: path for path, node in (*often, *updates)}
    params = {}
    final: dict[Node, Node] = {}
    for node in topological(targets):
        if isinstance(node.op, Param):
            params[node.op.path] = node
        new = rebuild(node, tuple(final[source] for source in node.inputs))
        if node in targets:
            path = targets[node]
            old = params.get(path) or Param(path, node.type)()
            new = Where()(conditions[path], new, old)
        final[node] = new
    return tuple((path, final[node]) for path, node in (*often, *updates))


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


def _others(given: Nodes, own: Nodes) -> list[Node]:
    """Data that are no inputs of the model."""
    return [node for name, node in given.items() if name not in own]


def _mean(loss: Node) -> Node:
    return BatchMean()(loss) if loss.type.shape else loss


def _label(node: Node) -> str:
    assert isinstance(node.op, Input)
    return node.op.label
