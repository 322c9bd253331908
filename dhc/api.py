"""The Python interface: load a program, compile a model, call it with arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.ir.graph import Array, Graph
from dhc.runtime.artifact import read_artifact
from dhc.runtime.parameters import check_values, initial_values, read_safetensors
from dhc.runtime.program import Program


class Model:
    """A network or pipeline of a program, with its parameters.

    Attributes:
        graph: Its graph; sizes may be symbolic.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._loaded: dict[str, Array] | None = None

    @property
    def name(self) -> str:
        return self.graph.name

    @property
    def _values(self) -> dict[str, Array]:
        """The parameters; drawn when first needed, since large networks take seconds."""
        if self._loaded is None:
            self._loaded = initial_values(self.graph.params)
        return self._loaded

    def parameters(self) -> dict[str, Array]:
        """Returns the parameters by path; changing the arrays changes nothing."""
        return {path: value.copy() for path, value in self._values.items()}

    def load_parameters(self, source: Mapping[str, Array] | str | Path) -> None:
        """Replaces all parameters by those of a mapping or a safetensors file.

        Raises:
            DhcError: if names or shapes differ; nothing is changed then.
        """
        given = source if isinstance(source, Mapping) else read_safetensors(source)
        self._loaded = check_values(self.graph.params, given)


def compile_model(
    model: Model,
    target: str | Target = "cpu",
    shapes: Mapping[str, int] | None = None,
    precision: str = "f32",
    threads: int = 0,
) -> Program:
    """Compiles a model.

    Args:
        model: What to compile.
        target: `reference`, `cpu`, `cuda`, `opencl`, `fpga`, or a target with options.
        shapes: Values of size symbols; those left out are bound by the first call's inputs.
        precision: `f32`, or `f64` on the reference backend.
        threads: Workers on the CPU; 0 means one for each core.

    Returns:
        A program that starts with the model's parameters.

    Raises:
        DhcError: if the target cannot run all of the model, or a tool is missing.
    """
    chosen = target if isinstance(target, Target) else Target(target)
    chosen = replace(chosen, precision=precision, threads=threads)
    return compile_graph(model.graph, chosen, shapes, parameters=model.parameters())


def open_artifact(path: str | Path) -> Program:
    """Opens a .dhx file: checks it, and compiles its program unless the cache has it.

    Raises:
        DhcError: if the file is damaged or the target is not available.
    """
    artifact = read_artifact(path)
    return compile_graph(artifact.graph, artifact.target, parameters=artifact.weights)
