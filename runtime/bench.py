"""Times a program and measures its error against float64."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dhc.backends.reference import ReferenceExecutable
from dhc.ir.graph import Array, Graph, Input
from dhc.ir.types import Tensor
from dhc.runtime.program import Program


@dataclass(frozen=True)
class Timing:
    """Times of repeated calls, in milliseconds."""

    median_ms: float
    min_ms: float
    rounds: int


def random_inputs(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Returns standard normal floats, and integers from 0 to 100, of each input's known shape."""
    generator = np.random.default_rng(seed)
    return {
        node.op.label: _draw(node.op.type, generator)
        for node in graph.inputs
        if isinstance(node.op, Input)
    }


def _draw(type: Tensor, generator: np.random.Generator) -> Array:
    if type.dtype.is_float:
        return generator.standard_normal(type.static_shape).astype(type.dtype.numpy)
    return generator.integers(0, 101, type.static_shape).astype(type.dtype.numpy)


def time_program(program: Program, inputs: Mapping[str, Array], rounds: int) -> Timing:
    """Calls a program `rounds` times after two calls that are not counted."""
    for _ in range(2):
        program(**inputs)
    times: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        program(**inputs)
        times.append((time.perf_counter() - start) * 1e3)
    return Timing(statistics.median(times), min(times), rounds)


def max_error(program: Program, inputs: Mapping[str, Array]) -> float:
    """Returns the largest absolute difference from float64 over its largest absolute value."""
    graph = program.graph
    wide = ReferenceExecutable(graph, wide=True)
    wide.load(program.parameters())
    exact = wide(inputs)
    found = program(**inputs)
    return max(_relative(found[name], reference) for name, reference in exact.items())


def _relative(found: Array, reference: Array) -> float:
    scale = float(np.max(np.abs(reference), initial=0.0)) or 1.0
    difference = np.subtract(found, reference, dtype=np.float64)
    return float(np.max(np.abs(difference), initial=0.0)) / scale
