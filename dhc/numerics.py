"""Compares graphs by what numpy computes of them: a pass must not change that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np

from dhc.ir.graph import Array, Graph, Input, Param, topological
from dhc.ir.types import Tensor
from dhc.ir.verify import InternalError
from dhc.ops.base import run
from dhc.passes.manager import Event, PassRecord, SplitRecord, StartRecord
from dhc.passes.widen import widen, widen_array
from dhc.runtime.parameters import initial_values

TOLERANCE = 1e-4  # of floats, relative to the largest; passes may round in another order
FLIPS = 1e-3  # the share of integers and truth values that rounding may turn over

Values = dict[str, Array]


class CheckNumerics:
    """A hook that compares the graphs before and after each pass on one random input.

    Raises:
        InternalError: from the hook, naming the pass after which a result differs.
    """

    def __init__(self) -> None:
        self._values: Values = {}
        self._checked: tuple[Graph, list[Array]] | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case StartRecord():
                self._values, self._checked = {}, None
            case PassRecord(exact=False):  # it computes something else on purpose
                self._checked = (event.after, self._run(event.after))
            case PassRecord():
                self._compare(f"The pass '{event.name}'", event.before, event.after)
            case SplitRecord():
                names = [name for name, _ in event.prepare.outputs]
                prepared = self._run(event.prepare)
                self._values |= dict(zip(names, prepared, strict=True))
                self._compare("Splitting off the weights", event.before, event.main)

    def _compare(self, what: str, before: Graph, after: Graph) -> None:
        known = self._checked is not None and self._checked[0] is before
        expected = self._checked[1] if known and self._checked else self._run(before)
        found = self._run(after)
        problem = difference(before, after, expected, found)
        if problem:
            raise InternalError(f"{what} changes what '{before.name}' computes: {problem}")
        self._checked = (after, found)

    def _run(self, graph: Graph) -> list[Array]:
        self._values |= draw_values(graph, self._values)
        return evaluate(graph, self._values)


def evaluate(graph: Graph, values: Mapping[str, Array]) -> list[Array]:
    """Returns outputs and updates; narrower floats are computed in float64."""
    wide = {name: widen_array(value) for name, value in values.items()}
    constants = {name: widen_array(value) for name, value in graph.constants.items()}
    return run(widen(graph).roots, wide, constants)


def draw_values(graph: Graph, known: Mapping[str, Array] | None = None) -> Values:
    """Returns random values of the inputs and weights that are not known yet, by their names."""
    found = dict(known or {})
    for node in topological((*graph.inputs, *graph.roots)):
        match node.op:
            case Input(label, type) if label not in found:
                found[label] = _draw(label, type)
            case Param(path) if path not in found:
                found[path] = _weight(node.op)
    return found


def difference(
    before: Graph, after: Graph, expected: Iterable[Array], found: Iterable[Array]
) -> str:
    """Returns how the results of two graphs differ, or nothing if they agree."""
    pairs = [(*before.outputs, *before.updates), (*after.outputs, *after.updates)]
    names = [[name for name, _ in results] for results in pairs]
    if names[0] != names[1]:
        return f"its results were {', '.join(names[0])} and are {', '.join(names[1])}."
    for name, one, other in zip(names[0], expected, found, strict=True):
        problem = _differs(one, other)
        if problem:
            return f"'{name}' {problem}."
    return ""


def _differs(expected: Array, found: Array) -> str:
    if expected.shape != found.shape:
        return f"had shape {list(expected.shape)} and has {list(found.shape)}"
    if not np.issubdtype(expected.dtype, np.floating):
        wrong = float(np.mean(expected != found)) if expected.size else 0.0
        return f"differs in {wrong:.1%} of its elements" if wrong > FLIPS else ""
    if not np.array_equal(np.isfinite(expected), np.isfinite(found)):
        return "is infinite or no number elsewhere"
    finite = np.isfinite(expected)
    error = np.abs(np.subtract(expected, found, dtype=np.float64), where=finite, out=None)
    scale = float(np.max(np.abs(expected), initial=0.0, where=finite))
    worst = float(np.max(error, initial=0.0, where=finite))
    if worst <= TOLERANCE * max(scale, 1e-6):
        return ""
    return f"differs by up to {worst:.3g}, where its largest value is {scale:.3g}"


def _draw(label: str, type: Tensor) -> Array:
    generator = np.random.default_rng(_seed(label))
    if type.dtype.is_float:
        return generator.standard_normal(type.static_shape).astype(type.dtype.numpy)
    highest = 101 if type.dtype.is_integer else 2
    return generator.integers(0, highest, type.static_shape).astype(type.dtype.numpy)


def _weight(param: Param) -> Array:
    """An initial value; constants are moved a little, so that each of them makes a difference."""
    value = initial_values([param])[param.path]
    if param.initializer.kind != "constant" or not param.type.dtype.is_float:
        return value
    generator = np.random.default_rng(_seed(param.path))
    moved = param.initializer.value + generator.uniform(0.1, 0.5, value.shape)
    return moved.astype(value.dtype)


def _seed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
