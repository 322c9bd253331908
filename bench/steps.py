"""The training steps that are measured: each network with its loss, in all forms alike.

Dropout and the dropping of whole blocks are left out everywhere: no two pieces of software draw the
same zeros, and the results could not be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import dhc
from bench.cases import MODELS, SEED, modules_exist
from bench.weights import match
from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.ir.graph import Array, Graph, Input, Node
from dhc.ir.types import DType, Tensor
from dhc.ops.loss import BinaryCrossEntropy, CrossEntropy
from dhc.passes.bind_sizes import bind_sizes
from dhc.passes.canonicalize import Canonicalize
from dhc.recipe.optimizers import Adam
from dhc.runtime.parameters import initial_values
from dhc.runtime.program import Program
from dhc.training.step import NUMBERS, Step, StepOptions, build_step, moment_path

if TYPE_CHECKING:
    from torch import nn

TRUTH = "truth"
RATE = 1e-3
CLASSES = 1000


@dataclass(frozen=True)
class StepCase:
    """A training step to measure.

    Attributes:
        name: The network's name in the .dhm file.
        file: The file in models/.
        shape: The shape of a batch of its inputs.
        module: Makes the network as a PyTorch module, without dropout.
        settings: Its parameters that are not the defaults.
    """

    name: str
    file: str
    shape: tuple[int, ...]
    module: Callable[[], nn.Module]
    settings: Mapping[str, int] = field(default_factory=dict)


def _module(name: str, **settings: int) -> nn.Module:
    from bench import torch_models

    made: nn.Module = getattr(torch_models, name)(**settings)
    return made


CASES = (
    StepCase("ResNet18", "resnet.dhm", (16, 3, 64, 64), partial(_module, "resnet18")),
    StepCase(
        "UNet", "unet.dhm", (2, 1, 128, 128), partial(_module, "UNet", width=32), {"width": 32}
    ),
    StepCase("VGG16", "vgg.dhm", (8, 3, 64, 64), partial(_module, "vgg16", field=2), {"field": 2}),
    StepCase(
        "EfficientNetB0", "efficientnet.dhm", (8, 3, 128, 128), partial(_module, "efficientnet_b0")
    ),
)


@dataclass(frozen=True)
class Lesson:
    """A step with its weights and its batch, in the forms that the contenders take.

    Attributes:
        graph: The network with its sizes, as dhc has it.
        step: Its training step as dhc has it.
        weights: The parameters at the beginning, by path.
        image, truth: The batch.
        module: The network as PyTorch has it; None where that is not installed.
    """

    graph: Graph
    step: Step
    weights: Mapping[str, Array]
    image: Array
    truth: Array
    module: nn.Module | None

    def by_path(self, given: list[tuple[str, Array]]) -> dict[str, Array]:
        """Names arrays in the order of PyTorch's layers as dhc does."""
        return match([(p.path, p.type.static_shape) for p in self.graph.params], given)


def build(case: StepCase) -> Lesson:
    """Makes a step in all forms, with the same weights in each."""
    model = dhc.load(MODELS / case.file).model(case.name, **case.settings)
    axes = "DHW"[-len(case.shape) + 2 :]
    sizes = dict(zip(("N", *axes), (case.shape[0], *case.shape[2:]), strict=True))
    graph = Canonicalize()(bind_sizes(model.graph, sizes))  # leaves dropout out
    step = _step(graph)
    drawn = np.random.default_rng(SEED)
    image = drawn.standard_normal(case.shape).astype(np.float32)
    truth = _truth(graph, drawn)
    module = _settled(case) if modules_exist() else None
    lesson = Lesson(graph, step, initial_values(step.graph.params), image, truth, module)
    if module is None:
        return lesson
    given = [(name, tensor.numpy()) for name, tensor in module.state_dict().items() if tensor.ndim]
    return Lesson(graph, step, {**lesson.weights, **lesson.by_path(given)}, image, truth, module)


def _settled(case: StepCase) -> nn.Module:
    import torch

    torch.manual_seed(SEED)
    return case.module()


def _step(graph: Graph) -> Step:
    ((output, node),) = graph.outputs
    classifies = node.type.rank == 2
    truth = Tensor(DType.I64, node.type.shape[:1]) if classifies else node.type
    loss = CrossEntropy() if classifies else BinaryCrossEntropy("probabilities")

    def objective(outputs: Mapping[str, Node], data: Mapping[str, Node]) -> Node:
        return loss(outputs[output], data[TRUTH])

    return build_step(graph, {TRUTH: truth}, objective, StepOptions(Adam(RATE)))


def _truth(graph: Graph, drawn: np.random.Generator) -> Array:
    ((_, node),) = graph.outputs
    shape = node.type.static_shape
    if len(shape) == 2:
        return drawn.integers(0, shape[1], shape[0])
    return (drawn.random(shape) < 0.5).astype(np.float32)


# ---- dhc -------------------------------------------------------------------------------------


class Trainee:
    """A step compiled by dhc, called as often as wanted."""

    def __init__(self, lesson: Lesson, threads: int) -> None:
        self._lesson = lesson
        self._count = 0
        target = Target("cpu", threads)
        self.program: Program = compile_graph(lesson.step.graph, target, parameters=lesson.weights)
        (label,) = (n.op.label for n in lesson.graph.inputs if isinstance(n.op, Input))
        self._data = {label: lesson.image, TRUTH: lesson.truth}

    def __call__(self) -> None:
        self._count += 1
        numbers = Adam(RATE).numbers(self._count, RATE)
        given = {NUMBERS + name: np.asarray(x, np.float32) for name, x in numbers.items()}
        self.program(**self._data, **given)

    def learned(self) -> Array:
        """What one step from the beginning leaves: means of gradients, and running statistics."""
        known = self.program.parameters()
        trained = set(self._lesson.step.trained)
        paths = [param.path for param in self._lesson.graph.params]
        return flat([known[moment_path("mean", p) if p in trained else p] for p in paths])


def flat(arrays: list[Array]) -> Array:
    """Returns all elements in one row."""
    return np.concatenate([array.ravel() for array in arrays])
