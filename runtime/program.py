"""Programs: what a compilation gives. Call them with arrays; they keep their own weights."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from dhc.backends.base import Adopting, Executable, Sharing, Target, expect_input
from dhc.errors import ArgumentError
from dhc.ir.graph import Array, Graph
from dhc.ir.size import Expr, Size, Symbol, substitute, symbols
from dhc.ir.types import Tensor
from dhc.runtime.parameters import check_values, read_safetensors

MAX_SPECIALISATIONS = 8
MAX_FORMS = 64

Inputs = Mapping[str, Tensor]
Values = Mapping[str, Array]


@dataclass(frozen=True)
class Specialised:
    """An executable for one binding of the size symbols.

    Attributes:
        prepare: Gives the graph of what the executable needs besides the parameters.
        executable: The built program.
        loaded: Whether it has its weights already.
    """

    prepare: Callable[[], Graph]
    executable: Executable
    loaded: bool = False


Specialiser = Callable[[Mapping[str, Size]], Specialised]
Bindings = tuple[tuple[str, int], ...]
Form = tuple[tuple[str, tuple[int, ...], np.dtype[np.generic]], ...]  # label, shape, element type


@dataclass(frozen=True)
class Content:
    """What a program is made from; graph and parameters are fetched when first needed.

    Attributes:
        inputs: The types of the inputs by label, specialised as far as sizes are known.
        graph: Gives the graph before any pass.
        parameters: Gives the weights by path.
        name: What identifies the built program if it is of one size: see `weight_image`.
        updated: Paths of the parameters that each call changes.
    """

    inputs: Inputs
    graph: Callable[[], Graph]
    parameters: Callable[[], Values]
    name: str = ""
    updated: tuple[str, ...] = ()


class Program:
    """A compiled graph with its parameters.

    Sizes that were left open are bound by the arrays of a call; the programs for the last few
    bindings are kept. Calls may overlap in time; those of a program that updates its parameters
    wait for each other.

    Args:
        content: What it is made from.
        target: What it is compiled for.
        specialise: Compiles it for a binding of the symbols that are open.
    """

    def __init__(self, content: Content, target: Target, specialise: Specialiser) -> None:
        self.target = target
        self.inputs = content.inputs
        self._content = content
        self._specialise = specialise
        self._replaced: Values | None = None
        self._cache: OrderedDict[Bindings, Specialised] = OrderedDict()
        self._forms: dict[Form, Bindings] = {}
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._holder: Specialised | None = None  # who has the newest updated parameters
        if not any(symbols(size) for type in self.inputs.values() for size in type.shape):
            self._specialised(())

    @cached_property
    def graph(self) -> Graph:
        """The graph before any pass, specialised as far as sizes are known."""
        return self._content.graph()

    def __call__(self, **inputs: Array) -> dict[str, Array]:
        """Runs the program.

        Args:
            inputs: One array for each input, of its element type and shape.

        Returns:
            The outputs by name.

        Raises:
            ArgumentError: if an input is missing, unknown, or of the wrong type or shape.
        """
        inputs = {name: _as_array(value) for name, value in inputs.items()}
        form = _form(inputs)
        bindings = self._forms.get(form) if form is not None else None
        if bindings is None:
            bindings = self._bindings(inputs)
            self._remember(form, bindings)
        specialised = self._specialised(bindings)
        if not self._content.updated:
            return specialised.executable(inputs)
        with self._turn:
            self._hand_over(specialised)
            return specialised.executable(inputs)

    def compile_for(self, sizes: Mapping[str, int]) -> None:
        """Compiles it for sizes by name, before the first call that has them.

        Raises:
            ArgumentError: if these are not all sizes that are open, or others too.
            DhcError: if the program cannot have these sizes.
        """
        shapes = (type.shape for type in self.inputs.values())
        known = {name for shape in shapes for size in shape for name in symbols(size)}
        if known != sizes.keys():
            raise ArgumentError(f"The open sizes are {sorted(known)}, not {sorted(sizes)}.")
        self._specialised(tuple(sorted(sizes.items())))

    def parameters(self) -> dict[str, Array]:
        """Returns the parameters by path; changing the arrays changes nothing."""
        with self._turn:
            return copies(self._values) | self._state()

    def load_parameters(self, source: Values | str | Path) -> None:
        """Replaces all parameters by those of a mapping or a safetensors file.

        Raises:
            DhcError: if names or shapes differ; nothing is changed then.
        """
        given = copies(source) if isinstance(source, Mapping) else read_safetensors(source)
        values = check_values(self.graph.params, given)
        with self._turn, self._lock:
            self._replaced, self._holder = values, None
            for specialised in self._cache.values():
                self._load(specialised)

    def save(self, path: str | Path) -> None:
        """Writes a .dhx artifact: the program and its weights in one file."""
        from dhc.runtime.artifact import Artifact, write_artifact

        image = self._weight_image()
        name = self._content.name if image is not None else ""
        write_artifact(path, Artifact(self.graph, self._values, self.target, image, name))

    def _state(self) -> dict[str, Array]:
        """The updated parameters as they are now."""
        return self._holder.executable.read(self._content.updated) if self._holder else {}

    def _hand_over(self, specialised: Specialised) -> None:
        """Gives the updated parameters to the program for the sizes of this call."""
        if self._holder is specialised:
            return
        if self._holder is not None and not _share(self._holder, specialised):
            state = self._state()
            self._replaced = {**self._values, **state}
            self._load(specialised)
        self._holder = specialised

    @property
    def _values(self) -> Values:
        return self._content.parameters() if self._replaced is None else self._replaced

    def _weight_image(self) -> memoryview | None:
        """The weights as the only executable has them in memory, if it can tell."""
        only = self._cache.get(())
        if only is None or not isinstance(only.executable, Adopting):
            return None
        return only.executable.weight_image

    def _remember(self, form: Form | None, bindings: Bindings) -> None:
        """Keeps which sizes the arrays of a call have, so the next such call is not checked."""
        if len(self._forms) >= MAX_FORMS:
            self._forms = {}
        if form is not None:
            self._forms[form] = bindings

    def _bindings(self, inputs: Mapping[str, Array]) -> Bindings:
        """Checks the arrays of a call and finds the sizes they bind."""
        if self.inputs.keys() != inputs.keys():
            raise ArgumentError(f"The inputs are {sorted(self.inputs)}, not {sorted(inputs)}.")
        for label, type in self.inputs.items():
            expect_input(label, type, inputs[label])
        found: dict[str, int] = {}
        sizes = [
            (label, size, given)
            for label, type in self.inputs.items()
            for size, given in zip(type.shape, inputs[label].shape, strict=True)
        ]
        for label, size, given in sizes:
            name = _symbol(size)
            if name is not None and found.setdefault(name, given) != given:
                raise ArgumentError(f"Size {name} is {found[name]} and, in '{label}', {given}.")
        for label, size, given in sizes:
            missing = sorted(symbols(size) - found.keys())
            if missing:
                raise ArgumentError(
                    f"Size {missing[0]} must be known when the program is compiled."
                )
            if (wanted := substitute(size, found)) != given:
                raise ArgumentError(f"Size {size} is {wanted} and, in '{label}', {given}.")
        return tuple(sorted(found.items()))

    def _specialised(self, bindings: Bindings) -> Specialised:
        with self._lock:
            if bindings in self._cache:
                self._cache.move_to_end(bindings)
                return self._cache[bindings]
            made = self._specialise(dict(bindings))
            if not made.loaded:
                self._load(made)
            self._cache[bindings] = made
            if len(self._cache) > MAX_SPECIALISATIONS:
                self._cache.popitem(last=False)
            return made

    def _load(self, specialised: Specialised) -> None:
        """Computes the prepared weights and hands all weights to the executable."""
        from dhc.ops.base import run

        prepare = specialised.prepare()
        roots = [node for _, node in prepare.outputs]
        values = self._values
        constants = {**self.graph.constants, **prepare.constants}  # restored ones have no data
        prepared = run(roots, values, constants)
        names = [name for name, _ in prepare.outputs]
        specialised.executable.load(
            {**values, **constants, **dict(zip(names, prepared, strict=True))}
        )


def _share(holder: Specialised, taker: Specialised) -> bool:
    """Whether one program could take another's weights without a copy.

    What they prepare from parameters must be nothing: it may differ with their sizes.
    """
    if not isinstance(taker.executable, Sharing):
        return False
    graphs = [each.prepare() for each in (holder, taker)]
    prepared = any(graph.outputs or graph.constants for graph in graphs)
    return not prepared and taker.executable.share(holder.executable)


def copies(values: Values) -> dict[str, Array]:
    """Returns arrays of their own, which stay the same when the caller changes the given ones."""
    return {path: np.array(value) for path, value in values.items()}


def _as_array(value: Array) -> Array:
    """The value itself, or an array of rank 0 for a single number of numpy's."""
    return np.asarray(value) if isinstance(value, np.generic) else value


def _form(inputs: Mapping[str, Array]) -> Form | None:
    """What the checks of a call depend on; None if something is no array."""
    if not all(isinstance(array, np.ndarray) for array in inputs.values()):
        return None
    return tuple((label, array.shape, array.dtype) for label, array in inputs.items())


def _symbol(size: Size) -> str | None:
    """The name of a size that is one symbol by itself."""
    match size:
        case Expr((((Symbol(name),), 1),)):
            return name
    return None
