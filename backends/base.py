"""What a backend is: three stages, of which only the last needs the device."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from dhc.errors import ArgumentError, DhcError, Diagnostic
from dhc.ir.graph import Array, Graph
from dhc.ir.types import Tensor
from dhc.lower.plan import Plan
from dhc.passes.manager import (
    Hook,
    Pass,
    PlanRecord,
    SourceRecord,
    SplitRecord,
    notify,
    remaining,
    run_passes,
)
from dhc.passes.prepare import split_prepare
from dhc.runtime.comm.base import Exchange
from dhc.runtime.memory import Bytes

log = logging.getLogger("dhc")


@dataclass(frozen=True)
class Target:
    """What to compile for: a backend's name and its options.

    Attributes:
        backend: Name of a backend, such as `cpu`.
        threads: Workers on the CPU; 0 means one for each core.
        precision: `f32`; `f32x3` or `bf16`, see `dhc.passes.narrow_products`; or `f64` on the
            reference backend.
        memory: Bytes that intermediate results may take; 0 for as many as they need.
        options: Further settings that only this backend knows.
        without: Names of optional passes that are left out, to see what they do.
    """

    backend: str
    threads: int = 0
    precision: str = "f32"
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    memory: int = 0
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """Generated text of a whole program.

    Attributes:
        files: File name to text; the first is the program itself.
        plan: What the text implements.
    """

    files: Mapping[str, str]
    plan: Plan

    @property
    def text(self) -> str:
        """The main file."""
        return next(iter(self.files.values()))


@runtime_checkable
class Adopting(Protocol):
    """An executable that can take its weights as one block of memory."""

    @property
    def weight_image(self) -> memoryview:
        """All weights as they lie in memory."""

    def adopt(self, memory: Bytes, size: int) -> bool:
        """Takes such a block of `size` bytes, with slack after it, unless the size is wrong."""


@runtime_checkable
class Sharing(Protocol):
    """An executable that can use the weights of another one as they lie in memory."""

    def share(self, other: Executable) -> bool:
        """Takes the memory of another one's weights, if its own would lie in the same way."""


@runtime_checkable
class Connecting(Protocol):
    """An executable that can stop for sums over ranks; alone if it is connected to nobody."""

    def connect(self, exchange: Exchange) -> None:
        """Takes what its collectives go through."""


class Executable(Protocol):
    """A built program: weights in, then as many calls as wanted.

    Calls may overlap in time, unless the program updates its own weights.
    """

    def load(self, weights: Mapping[str, Array]) -> None:
        """Takes the weights by label; each has the logical shape of its slot."""

    def read(self, labels: Sequence[str]) -> dict[str, Array]:
        """Returns copies of weights as they are now, by label."""

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs once: arrays by input label in, arrays by output label out."""


class Backend(Protocol):
    """One kind of device. Objects are made anew for each compilation with its target.

    Attributes:
        name: What targets call it.
        options: The target options it knows, with the type of each.
        precisions: The precisions it computes in.
    """

    name: ClassVar[str]
    options: ClassVar[Mapping[str, type]]
    precisions: ClassVar[Sequence[str]]

    def __init__(self, target: Target) -> None: ...

    def check(self, graph: Graph) -> None:
        """Raises DhcError for everything in a graph that this backend cannot do, all at once."""

    def compile(self, graph: Graph, hooks: Sequence[Hook]) -> Compiled:
        """Compiles a static graph that the common passes have been through."""

    def identity(self) -> str:
        """What, besides the graph and the target, decides what is built: processor, versions."""

    def snapshot(self, compiled: Compiled) -> bytes | None:
        """Returns what restores a program without compiling it; None if that cannot be kept."""

    def restore(self, stored: bytes) -> Restored | None:
        """Returns the program of a snapshot; the bytes must be authentic."""

    def export(self, source: Exported, folder: Path) -> None:
        """Writes a project that other tools build.

        Raises:
            DhcError: if there are no such tools for this kind of device.
        """


@dataclass(frozen=True)
class Compiled:
    """What a backend makes of a graph.

    Attributes:
        prepare: Gives the graph that computes, from parameters, the further weights of the
            executable.
        executable: The built program.
    """

    prepare: Callable[[], Graph]
    executable: Executable


@dataclass(frozen=True)
class Restored:
    """A program from a snapshot, with the types of its inputs by label."""

    compiled: Compiled
    inputs: Mapping[str, Tensor]


class StagedBackend(ABC):
    """The backends that generate code: compilation in stages that can be looked at one by one.

    Only `build` needs tools or a device.
    """

    name: ClassVar[str] = ""
    options: ClassVar[Mapping[str, type]] = {}
    precisions: ClassVar[Sequence[str]] = ("f32", "f32x3", "bf16")

    def __init__(self, target: Target) -> None:
        self.target = target

    def check(self, graph: Graph) -> None:
        """Accepts every graph; override to refuse what cannot be built."""
        return

    @abstractmethod
    def passes(self) -> Sequence[Pass]:
        """The backend's own passes before weights are split off: legalisation above all."""

    @abstractmethod
    def fusion(self) -> Sequence[Pass]:
        """The passes afterwards: layout and fusion."""

    @abstractmethod
    def plan(self, graph: Graph) -> Plan:
        """Cuts a fused graph into launches and places its tensors."""

    @abstractmethod
    def codegen(self, plan: Plan) -> Source:
        """Prints the program; pure, and the same text every time."""

    @abstractmethod
    def build(self, source: Source) -> Executable:
        """Compiles the text.

        Raises:
            DhcError: if a tool or device is missing; the message says which and how to get it.
        """

    def lower(self, graph: Graph, hooks: Sequence[Hook] = ()) -> Lowered:
        """Runs every stage that needs no device."""
        legal = run_passes(graph, self._left(self.passes()), hooks)
        prepare, main = split_prepare(legal)
        notify(hooks, SplitRecord(legal, prepare, main))
        fused = run_passes(main, self._left(self.fusion()), hooks)
        start = time.perf_counter()
        plan = self.plan(fused)
        planned = time.perf_counter()
        notify(hooks, PlanRecord(plan, planned - start))
        source = self.codegen(plan)
        notify(hooks, SourceRecord(source.files, time.perf_counter() - planned))
        log.debug("The plan has %d steps and %d kernels.", len(plan.steps), len(plan.kernels))
        log.debug("Its intermediate results need %d bytes.", plan.arena_bytes)
        log.debug("Its generated text has %d characters.", sum(map(len, source.files.values())))
        return Lowered(prepare, fused, plan, source)

    def _left(self, passes: Sequence[Pass]) -> Sequence[Pass]:
        return remaining(passes, self.target.without)

    def measure(self, graph: Graph) -> int:
        """Returns how many bytes the intermediate results of a graph need."""
        _, main = split_prepare(run_passes(graph, self._left(self.passes())))
        return self.plan(run_passes(main, self._left(self.fusion()))).arena_bytes

    def compile(self, graph: Graph, hooks: Sequence[Hook] = ()) -> Compiled:
        lowered = self.lower(graph, hooks)
        return Compiled(lambda: lowered.prepare, self.build(lowered.source))

    def identity(self) -> str:
        return ""

    def snapshot(self, compiled: Compiled) -> bytes | None:
        return None

    def restore(self, stored: bytes) -> Restored | None:
        return None

    def export(self, source: Exported, folder: Path) -> None:
        raise no_project(self.name)


@dataclass(frozen=True)
class Exported:
    """What a project is made from.

    Attributes:
        graph: A static graph before any pass: what the results must be.
        optimised: The same after the common passes.
        parameters: The weights by path.
    """

    graph: Graph
    optimised: Graph
    parameters: Mapping[str, Array]


def no_project(name: str) -> DhcError:
    """The error of backends that write no projects."""
    text = f"The backend '{name}' writes no project for other tools."
    return DhcError(Diagnostic("no-project", text, hints=("write a .dhx file: -o NAME.dhx",)))


@dataclass(frozen=True)
class Lowered:
    """The stages of one compilation, for `explain` and golden tests."""

    prepare: Graph
    fused: Graph
    plan: Plan
    source: Source


def expect_input(label: str, type: Tensor, array: Array) -> None:
    """Checks one argument of a call.

    Raises:
        ArgumentError: if it is no array, or its type or a known size differs.
    """
    if not hasattr(array, "dtype") or not hasattr(array, "shape"):
        raise ArgumentError(f"Input '{label}' needs a numpy array, not {array.__class__.__name__}.")
    if array.dtype != type.dtype.numpy:
        raise ArgumentError(f"Input '{label}' needs {type.dtype} elements, not {array.dtype}.")
    fits = len(array.shape) == type.rank and all(
        not isinstance(size, int) or size == given
        for size, given in zip(type.shape, array.shape, strict=True)
    )
    if not fits:
        raise ArgumentError(f"Input '{label}' needs shape {type}, not {list(array.shape)}.")
