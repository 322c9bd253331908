"""The Python interface: load a program, compile a model, call it with arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from dhc import frontend
from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.errors import DhcError, Diagnostic
from dhc.ir.bindings import check_bindings
from dhc.ir.graph import Array, Graph, Input
from dhc.ir.size import symbols
from dhc.ir.types import DType
from dhc.passes.join import join
from dhc.runtime.parameters import check_values, initial_values, read_safetensors
from dhc.runtime.program import Program, copies


class Source:
    """A checked .dhm file. Its models and pipelines are built when asked for.

    Attributes:
        program: What the front end made of it.
        folder: Where the paths in it begin.
    """

    def __init__(self, program: frontend.Program, folder: str | Path = ".") -> None:
        self.program = program
        self.folder = Path(folder)

    @property
    def models(self) -> tuple[str, ...]:
        """The names of its models."""
        return self.program.models

    @property
    def pipelines(self) -> tuple[str, ...]:
        """The names of its pipelines."""
        return self.program.pipelines

    @property
    def configurations(self) -> dict[str, str]:
        """What is no graph yet: the kind of each train, target, study and app, by name."""
        kinds = {"train": self.program.trains, "target": self.program.targets}
        kinds |= {"study": self.program.studies, "app": self.program.apps}
        return {name: kind for kind, names in kinds.items() for name in names}

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of its targets."""
        return self.program.targets

    @property
    def trains(self) -> tuple[str, ...]:
        """The names of its trains."""
        return self.program.trains

    def model(self, name: str, **parameters: object) -> Model:
        """Builds a model with the given parameters; the others keep their defaults.

        Raises:
            DhcError: if there is no such model or parameter, or the tensors in it do not fit.
        """
        return Model(self.program.model(name, **parameters))

    def pipeline(self, name: str, dtype: DType = DType.F32) -> Model:
        """Builds a pipeline for one sample whose images have elements of type `dtype`.

        Raises:
            DhcError: if there is no such pipeline, or its stages do not fit.
        """
        return Model(self.program.pipeline(name, dtype))

    def entry(self, name: str) -> Model:
        """Builds the model or else the pipeline of that name, with all defaults."""
        return self.model(name) if name in self.models else self.pipeline(name)

    def target(self, name: str) -> Target:
        """Returns what a target block says.

        Raises:
            DhcError: if there is no such target, or it asks for what does not exist yet.
        """
        found = self.program.target(name)
        if found.quantize is not None:
            text = f"The target '{name}' asks for quantization, which does not exist yet."
            raise DhcError(Diagnostic("not-yet", text, found.quantize.span))
        options = {
            key: value
            for key, value in found.arguments.items()
            if isinstance(value, (str, int, float, bool))
        }
        return Target(found.backend, found.threads or 0, found.precision or "f32", options)


class Model:
    """A model or pipeline of a program, with its parameters.

    Attributes:
        name: Its name in the file.
        kind: `model` or `pipeline`.
        graph: Its graph; sizes may be symbolic.
        constraints: What the sizes must satisfy, such as `H % 8 == 0`.
        settings: The values of its compile-time parameters.
    """

    def __init__(self, entry: frontend.Entry) -> None:
        self.name = entry.name
        self.kind = entry.kind
        self.graph = entry.graph
        self.constraints = entry.constraints
        self.settings = dict(entry.parameters)
        self._loaded: dict[str, Array] | None = None

    @cached_property
    def sizes(self) -> frozenset[str]:
        """The size symbols that are still open."""
        return open_sizes(self.graph)

    @property
    def values(self) -> Mapping[str, Array]:
        """The parameters; drawn when first needed, since large networks take seconds."""
        if self._loaded is None:
            self._loaded = initial_values(self.graph.params)
        return self._loaded

    def after(self, pipeline: Model) -> Model:
        """Returns this model fed by a pipeline: one graph from a stored image to its outputs.

        Raises:
            DhcError: if what the pipeline makes does not fit the model's inputs.
        """
        graph = join(pipeline.graph, self.graph)
        settings = tuple(self.settings.items())
        joined = Model(frontend.Entry(self.name, "pipeline", graph, parameters=settings))
        joined._loaded = self._loaded
        return joined

    def parameters(self) -> dict[str, Array]:
        """Returns the parameters by path; changing the arrays changes nothing."""
        return {path: value.copy() for path, value in self.values.items()}

    def load_parameters(self, source: Mapping[str, Array] | str | Path) -> None:
        """Replaces all parameters by those of a mapping or a safetensors file.

        Raises:
            DhcError: if names or shapes differ; nothing is changed then.
        """
        given = copies(source) if isinstance(source, Mapping) else read_safetensors(source)
        self._loaded = check_values(self.graph.params, given)


def load(path: str | Path) -> Source:
    """Reads and checks a .dhm file.

    Raises:
        DhcError: with everything that is wrong in it.
    """
    return Source(frontend.load(path), Path(path).parent)


def compile(
    model: Model,
    target: str | Target = "cpu",
    shapes: Mapping[str, int] | None = None,
    precision: str | None = None,
    threads: int | None = None,
) -> Program:
    """Compiles a model.

    Args:
        model: What to compile.
        target: `reference`, `cpu`, `cuda`, `opencl`, `fpga`, or a target with options.
        shapes: Values of size symbols; those left out are bound by the first call's inputs.
        precision: `f32`, or `f64` on the reference backend; the target's own if not given.
        threads: Workers on the CPU; 0 means one for each core.

    Returns:
        A program that starts with the model's parameters.

    Raises:
        DhcError: if there is no such size, the target cannot run all of the model, or a tool is
            missing.
    """
    check_sizes(model, shapes or {})
    chosen = target if isinstance(target, Target) else Target(target)
    if precision is not None:
        chosen = replace(chosen, precision=precision)
    if threads is not None:
        chosen = replace(chosen, threads=threads)
    return compile_graph(model.graph, chosen, shapes, parameters=model.values)


def check_sizes(model: Model, shapes: Mapping[str, int]) -> None:
    """Refuses names that are no sizes of a model, and numbers that are no sizes.

    Raises:
        DhcError: for the first of them.
    """
    check_bindings(shapes, model.sizes)


def open_sizes(graph: Graph) -> frozenset[str]:
    """Returns the size symbols in the inputs of a graph."""
    sizes = [s for node in graph.inputs if isinstance(node.op, Input) for s in node.type.shape]
    return frozenset(name for size in sizes for name in symbols(size))
