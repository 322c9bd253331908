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
        if any(isinstance(value, (Path, tuple)) for value in sample.values.values()):
            self._keep(sample.name, arrays)
        return arrays

    def _keep(self, name: str, arrays: dict[str, Array]) -> None:
        size = sum(array.nbytes for array in arrays.values())
        with self._lock:
            if size > self._left or name in self._known:
                return
            self._left -= size
            for array in arrays.values():
                array.setflags(write=False)
            self._known[name] = dict(arrays)
