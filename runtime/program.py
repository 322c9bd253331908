"""Programs: what a compilation gives. Call them with arrays; they keep their own weights."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dhc.backends.base import Executable, Target, expect_input
from dhc.ir.graph import Array, Graph, Input, Node
from dhc.ir.size import Expr, Size, Symbol, symbols
from dhc.ops.base import run
from dhc.runtime.parameters import check_values, initial_values, read_safetensors

MAX_SPECIALISATIONS = 8


@dataclass(frozen=True)
class Specialised:
    """An executable for one binding of the size symbols, with the graphs it came from."""

    graph: Graph
    prepare: Graph
    executable: Executable


Specialiser = Callable[[Mapping[str, Size]], Specialised]
Bindings = tuple[tuple[str, int], ...]


class Program:
    """A compiled graph with its parameters.

    Sizes that were left open are bound by the arrays of a call; the programs for the last few
    bindings are kept.

    Args:
        graph: The graph, specialised as far as sizes are known.
        target: What it is compiled for.
        specialise: Compiles it for a binding of the remaining symbols.
        shapes: The sizes bound already.
        parameters: Weights by path; fresh ones if not given.
    """

    def __init__(
        self,
        graph: Graph,
        target: Target,
        specialise: Specialiser,
        shapes: Mapping[str, int],
        parameters: Mapping[str, Array] | None = None,
    ) -> None:
        self.graph = graph
        self.target = target
        self._specialise = specialise
        self._shapes = dict(shapes)
        self._values = (
            initial_values(graph.params)
            if parameters is None
            else check_values(graph.params, parameters)
        )
        self._cache: OrderedDict[Bindings, Specialised] = OrderedDict()
        self._lock = threading.Lock()
        if not self._open_symbols():
            self._specialised(())

    def __call__(self, **inputs: Array) -> dict[str, Array]:
        """Runs the program.

        Args:
            inputs: One array for each input, of its element type and shape.

        Returns:
            The outputs by name.

        Raises:
            ValueError: if an input is missing, unknown, or of the wrong type or shape.
        """
        labels = {node.op.label: node for node in self.graph.inputs if isinstance(node.op, Input)}
        if labels.keys() != inputs.keys():
            raise ValueError(f"The inputs are {sorted(labels)}, not {sorted(inputs)}.")
        for label, node in labels.items():
            expect_input(label, node.type, inputs[label])
        chosen = self._specialised(self._bindings(labels, inputs))
        return chosen.executable(inputs)

    def parameters(self) -> dict[str, Array]:
        """Returns the parameters by path; changing the arrays changes nothing."""
        return {path: value.copy() for path, value in self._values.items()}

    def load_parameters(self, source: Mapping[str, Array] | str | Path) -> None:
        """Replaces all parameters by those of a mapping or a safetensors file.

        Raises:
            DhcError: if names or shapes differ; nothing is changed then.
        """
        given = source if isinstance(source, Mapping) else read_safetensors(source)
        self._values = check_values(self.graph.params, given)
        with self._lock:
            for specialised in self._cache.values():
                self._load(specialised)

    def save(self, path: str | Path) -> None:
        """Writes a .dhx artifact: the program and its weights in one file."""
        from dhc.runtime.artifact import Artifact, write_artifact

        write_artifact(path, Artifact(self.graph, self._values, self.target))

    def _open_symbols(self) -> set[str]:
        sizes = [size for node in self.graph.inputs for size in node.type.shape]
        return {name for size in sizes for name in symbols(size)}

    def _bindings(self, labels: Mapping[str, Node], inputs: Mapping[str, Array]) -> Bindings:
        found: dict[str, int] = {}
        for label, node in labels.items():
            for size, given in zip(node.type.shape, inputs[label].shape, strict=True):
                name = _symbol(size)
                if name is not None and found.setdefault(name, given) != given:
                    raise ValueError(f"Size {name} is {found[name]} and, in '{label}', {given}.")
        return tuple(sorted(found.items()))

    def _specialised(self, bindings: Bindings) -> Specialised:
        with self._lock:
            if bindings in self._cache:
                self._cache.move_to_end(bindings)
                return self._cache[bindings]
            made = self._specialise({**self._shapes, **dict(bindings)})
            self._load(made)
            self._cache[bindings] = made
            if len(self._cache) > MAX_SPECIALISATIONS:
                self._cache.popitem(last=False)
            return made

    def _load(self, specialised: Specialised) -> None:
        """Computes the prepared weights and hands all weights to the executable."""
        prepare = specialised.prepare
        roots = [node for _, node in prepare.outputs]
        prepared = run(roots, self._values, prepare.constants)
        names = [name for name, _ in prepare.outputs]
        specialised.executable.load(
            {**self._values, **prepare.constants, **dict(zip(names, prepared, strict=True))}
        )


def _symbol(size: Size) -> str | None:
    """The name of a size that is one symbol by itself."""
    match size:
        case Expr((((Symbol(name),), 1),)):
            return name
    return None
