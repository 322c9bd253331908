"""Programs that find how large their outputs are: what leaves them has no entry more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dhc.backends.base import Executable
from dhc.ir.graph import Array
from dhc.ir.size import Shape, Size, substitute


class Trimmed:
    """An executable whose outputs have room, as one whose outputs have the sizes that it finds.

    Args:
        executable: Runs with room for the most that can be found.
        shapes: What is there of outputs, by their names.
        found: Which outputs say what was found, by the names of the counts.
    """

    def __init__(
        self, executable: Executable, shapes: Mapping[str, Shape], found: Mapping[str, str]
    ) -> None:
        self._executable = executable
        self._shapes = shapes
        self._found = found

    def load(self, weights: Mapping[str, Array]) -> None:
        self._executable.load(weights)

    def read(self, labels: Sequence[str]) -> dict[str, Array]:
        return self._executable.read(labels)

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        results = self._executable(inputs)
        sizes = {name: int(results.pop(label)) for name, label in self._found.items()}
        for name, shape in self._shapes.items():
            results[name] = _trimmed(results[name], shape, sizes)
        return results


def _trimmed(array: Array, shape: Shape, sizes: Mapping[str, Size]) -> Array:
    kept = (substitute(size, sizes) for size in shape)
    parts = tuple(slice(size if isinstance(size, int) else None) for size in kept)
    return np.array(array[parts])
