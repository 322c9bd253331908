"""Keeps decoded samples in memory, so that files are not read and decoded in every epoch."""

from __future__ import annotations

import threading
from pathlib import Path

from dhc.ir.graph import Array
from dhc.runtime.data.dataset import Sample

MOST = 1_000_000_000


class Kept:
    """Samples that stay, from the first one read on, until there is no room.

    None is thrown out for another: in epochs that visit every sample, all would be, in turn.

    Args:
        most: Bytes that they may take; 0 keeps none.
    """

    def __init__(self, most: int = MOST) -> None:
        self._left = most
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, Array]] = {}

    def read(self, sample: Sample) -> dict[str, Array]:
        """Returns the arrays of a sample's fields; nobody may write to those that stay.

        Raises:
            DhcError: naming the sample, if a file cannot be read.
        """
        found = self._known.get(sample.name)
        if found is not None:
            return dict(found)
        arrays = sample.read()
        if not any(isinstance(value, (Path, tuple)) for value in sample.values.values()):
            return arrays
        size = sum(array.nbytes for array in arrays.values())
        with self._lock:
            if size > self._left or sample.name in self._known:
                return arrays
            self._left -= size
            found = self._known[sample.name] = {n: _fixed(array) for n, array in arrays.items()}
        return dict(found)


def _fixed(array: Array) -> Array:
    """The same elements, which nobody can write to through the result."""
    view = array.view()
    view.setflags(write=False)
    return view
