"""The graphs of a run: the step that trains, and the network that is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dhc.errors import DhcError, Diagnostic
from dhc.frontend import Program as Source
from dhc.ir.graph import Graph, Input, Node, topological
from dhc.ir.size import Expr, Size
from dhc.ir.types import Tensor
from dhc.ops.collective import BatchMean
from dhc.ops.movement import SizeValue
from dhc.passes.bind_sizes import bind_sizes
from dhc.recipe.penalties import Penalise
from dhc.training.checks import check_metrics
from dhc.training.group import weight_of
from dhc.training.settings import TrainSettings, by_name, choose
from dhc.training.step import LOSS, Adjust, Step, StepOptions, build_step

LOSS_WEIGHT = f"{LOSS}.weight"  # by what the mean loss of a batch was divided


@dataclass(frozen=True)
class Built:
    """The graphs of a run.

    Attributes:
        step: The training step.
        options: What it does.
        check: The network as it is used, with the loss: what validation runs.
        paths: The network's parameters, without moments.
        batch: The number of samples in a batch, usually a symbol.
    """

    step: Step
    options: StepOptions
    check: Graph
    paths: tuple[str, ...]
    batch: Size


def build(source: Source, settings: TrainSettings, types: Mapping[str, Tensor]) -> Built:
    """Returns the graphs of a run.

    Args:
        source: The file's program.
        settings: What its train block says.
        types: Of the fields of a prepared sample, without a batch axis.

    Raises:
        DhcError: if data, network and loss do not fit each other.
    """
    model = source.instance(settings.model).graph
    batch, sizes = _bindings(model, types, settings)
    bound = bind_sizes(model, sizes)
    data = {name: type.with_shape((batch, *type.shape)) for name, type in types.items()}
    outputs = dict(bound.outputs)
    check_metrics(settings, outputs, data)

    def objective(out: Mapping[str, Node], given: Mapping[str, Node]) -> Node:
        return source.loss(settings.name, out, given)

    own = {n.op.label: n for n in bound.inputs if isinstance(n.op, Input)}
    given = {name: own.get(name) or Input(name, type)() for name, type in data.items()}
    loss = objective(outputs, given)
    used = _used(loss, given)
    paths = tuple(param.path for param in bound.params)
    span = settings.configured.places.get("freeze")
    frozen = choose(settings.freeze, paths, span) if settings.freeze else frozenset()
    options = StepOptions(
        settings.optimizer,
        frozen,
        _adjust(settings, paths),
        settings.average,
        settings.accumulate > 1,
        by_name(settings.constraints, paths),
        settings.parallel,
    )
    step = build_step(bound, {name: data[name] for name in used}, objective, options)
    mean = BatchMean()(loss) if loss.type.shape else loss
    weight = weight_of(mean, SizeValue(batch, mean.type.dtype)())
    check = replace(
        bound,
        name=f"{bound.name}_check",
        inputs=(*bound.inputs, *(given[name] for name in used if name not in own)),
        outputs=(*bound.outputs, (LOSS, mean), (LOSS_WEIGHT, weight)),
    )
    return Built(step, options, check, paths, batch)


def _bindings(
    model: Graph, types: Mapping[str, Tensor], settings: TrainSettings
) -> tuple[Size, dict[str, Size]]:
    """The number of samples, and what the data say of the other sizes of the model's inputs."""
    found: dict[str, Size] = {}
    batch: Size = settings.batch
    for node in model.inputs:
        assert isinstance(node.op, Input)
        label, wanted = node.op.label, node.type
        given = types.get(label)
        if given is None:
            known = ", ".join(types)
            text = f"The model takes '{label}'; the data have {known}."
            hint = "give both the same name"
            raise _unfit(text, settings, hint)
        batch = wanted.shape[0] if wanted.shape else batch
        if wanted.dtype is not given.dtype or wanted.rank != given.rank + 1:
            raise _unfit(f"The model takes '{label}' as {wanted}; a sample has {given}.", settings)
        for size, actual in zip(wanted.shape[1:], given.shape, strict=True):
            if isinstance(size, Expr) and str(size).isidentifier():
                if found.setdefault(str(size), actual) != actual:
                    text = f"Size {size} of '{label}' would be {found[str(size)]} and {actual}."
                    raise _unfit(text, settings)
            elif size != actual:
                text = f"The model takes '{label}' as {wanted}; a sample has {given}."
                raise _unfit(text, settings)
    return batch, found


def _adjust(settings: TrainSettings, paths: Sequence[str]) -> list[Adjust]:
    """What changes gradients: penalties are part of them when they are clipped."""
    penalties = by_name(settings.penalties, paths)
    found: list[Adjust] = [Penalise(penalties)] if penalties else []
    return [*found, settings.clip] if settings.clip is not None else found


def _used(loss: Node, given: Mapping[str, Node]) -> list[str]:
    """The data that the loss reads."""
    nodes = set(topological([loss]))
    return [name for name, node in given.items() if node in nodes]


def _unfit(text: str, settings: TrainSettings, *hints: str) -> DhcError:
    return DhcError(Diagnostic("data", text, settings.data.span, "these data", hints=hints))
