"""What a phantom data set is, and how its pieces are drawn."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

TABLE = "labels.csv"

T = TypeVar("T")
Tell = Callable[[int], None]
"""Is told after each piece how many are done."""
Row = Mapping[str, str]


class Phantom(Protocol):
    """A data set that is made of pieces, such as patients."""

    @property
    def version(self) -> int:
        """Another version is another content."""

    @property
    def about(self) -> str:
        """What it shows, in a few words."""

    @property
    def pieces(self) -> int:
        """How many there are."""

    @property
    def entry(self) -> str:
        """What is opened as a data set, within its folder."""

    def write(self, folder: Path, tell: Tell) -> None:
        """Writes it into an empty folder."""


def in_threads(draw: Callable[[int], T], count: int, tell: Tell) -> Iterator[T]:
    """Yields pieces in their order, drawn in as many threads as there are processors."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for number, piece in enumerate(pool.map(draw, range(count))):
            tell(number + 1)
            yield piece


def parts_of(counts: Mapping[str, int]) -> list[str]:
    """Returns the part of each piece: first those for training, and so on."""
    return [part for part, count in counts.items() for _ in range(count)]


def write_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Writes arrays as an .npz file, the same bytes whenever it is written."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)


def write_table(folder: Path, rows: Sequence[Row]) -> None:
    """Writes the table of a data set."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (folder / TABLE).write_text(text.getvalue(), encoding="utf-8")
