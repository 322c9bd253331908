"""Writes what programs make of images: pictures, arrays, and a table."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePath

import numpy as np

from dhc.errors import DhcError, Diagnostic
from dhc.files import atomic_writer
from dhc.ir.graph import Array
from dhc.runtime.data.images import Image
from dhc.runtime.data.pictures import grey_picture, scale_to_height, side_by_side, write_png
from dhc.runtime.findings import Finding, Row, describe

SHOWN_PIXELS = 384  # the least height of a picture that is written
COLUMNS = ("image", *Row.__dataclass_fields__)
TABLE = "table.csv"

Cells = Mapping[str, object]


class Outputs:
    """Where results go.

    Args:
        place: A folder, or a .png or .npy file for one image and the first output.
        labels: The names of classes.
    """

    def __init__(self, place: Path, labels: Sequence[str] = ()) -> None:
        self._place = place
        self.labels = labels
        self._stems: Counter[str] = Counter()
        self.rows: list[Cells] = []

    @property
    def is_folder(self) -> bool:
        """Whether several results have their place."""
        return self._place.suffix not in (".png", ".npy")

    def check(self, images: int) -> None:
        """Refuses to write several images into one file, or a folder where a file is.

        Raises:
            DhcError: if there are several and no folder for them, or a file has the folder's name.
        """
        if self.is_folder and self._place.exists() and not self._place.is_dir():
            raise _fail(f"'{self._place}' is a file, not a folder.", "name another folder with -o")
        if images > 1 and not self.is_folder:
            raise _fail("Several images need a folder for their results.", "use -o FOLDER")

    def write(self, image: Image, outputs: Mapping[str, Array]) -> None:
        """Writes the results of one image and keeps its rows of the table."""
        stem = self._stem(image.name)
        for number, (name, array) in enumerate(outputs.items()):
            single = array[0] if array.ndim in (2, 4, 5) and array.shape[0] == 1 else array
            finding = describe(name, single, self.labels)
            self.rows += [{"image": image.name, **asdict(row)} for row in finding.rows]
            if self.is_folder:
                self._write_both(self._place / f"{stem}_{name}", image, array, finding)
            elif number == 0:
                _write_file(self._place, image, array, finding)

    def close(self) -> None:
        """Writes the table, where there is a folder for it."""
        if self.is_folder:
            write_table(self._place / TABLE, COLUMNS, self.rows)

    def _stem(self, name: str) -> str:
        """What files of an image begin with: its own name, and a number where that is taken."""
        path = PurePath(name)
        stem = re.sub(r"[^\w.-]+", "_", "_".join((*path.parts[:-1], path.stem))) or "image"
        while self._stems[stem]:
            self._stems[stem] += 1
            stem = f"{stem}-{self._stems[stem]}"
        self._stems[stem] += 1
        return stem

    def _write_both(self, stem: Path, image: Image, array: Array, finding: Finding) -> None:
        _write_file(stem.with_name(f"{stem.name}.npy"), image, array, finding)
        if finding.picture is not None:
            _write_file(stem.with_name(f"{stem.name}.png"), image, array, finding)


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Cells]) -> None:
    """Writes rows as a CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    with atomic_writer(path) as stream:
        stream.write(text.getvalue().encode("utf-8"))


def _write_file(path: Path, image: Image, array: Array, finding: Finding) -> None:
    if path.suffix == ".npy":
        with atomic_writer(path) as stream:
            np.save(stream, array, allow_pickle=False)
        return
    if finding.picture is None:
        raise _fail("This output is no image; write it with -o FILE.npy or -o FOLDER.")
    height = max(SHOWN_PIXELS, finding.picture.shape[0])
    pictures = [scale_to_height(finding.picture, height)]
    if image.array.ndim == 3 and image.array.shape[0] == 1:
        pictures.insert(0, scale_to_height(grey_picture(image.array[0]), height))
    write_png(path, side_by_side(pictures))


def _fail(message: str, *hints: str) -> DhcError:
    return DhcError(Diagnostic("output", message, hints=hints))
