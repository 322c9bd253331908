"""`dhc run`: images through a pipeline and a network, to pictures, arrays and a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dhc.api import compile, load
from dhc.commands.entries import build_entry, choose_entry, choose_target
from dhc.commands.report import print_json, print_table
from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Array
from dhc.ir.types import DType, Tensor, dtype_of
from dhc.opening import open_program
from dhc.ops.random import COUNTER
from dhc.runtime.data.files import atomic_writer
from dhc.runtime.data.images import Image, read_image
from dhc.runtime.data.pictures import (
    grey_picture,
    scale_to_height,
    side_by_side,
    write_png,
)
from dhc.runtime.findings import Finding, Row, describe
from dhc.runtime.program import Program

SHOWN_PIXELS = 384  # the least height of a picture that is written


@dataclass(frozen=True)
class RunOptions:
    """How to run.

    Attributes:
        output: A folder, or a .png or .npy file for one image and the first output.
        pipeline: A pipeline to put before the model, or "".
    """

    output: Path
    pipeline: str
    weights: Path | None
    target: str
    settings: Sequence[str]
    threads: int
    json: bool


@dataclass(frozen=True)
class _Loaded:
    """What is known of a program besides itself: its classes, and whether it takes batches."""

    labels: Sequence[str]
    batched: bool


def run_entry(file: Path, arguments: Sequence[str], options: RunOptions) -> int:
    """Runs an entry on each input and writes what it finds."""
    entry, names = _split(file, arguments)
    images = [read_image(name) for name in names]
    if options.output.suffix in (".png", ".npy") and len(images) > 1:
        raise _fail("output", "Several images need a folder for their results.", "use -o FOLDER")
    rows: list[dict[str, object]] = []
    programs: dict[DType, tuple[_Loaded, Program]] = {}
    for image in images:
        dtype = dtype_of(image.array)
        if dtype not in programs:
            programs[dtype] = _prepare(file, entry, options, dtype)
        loaded, program = programs[dtype]
        outputs = program(**_inputs(program, image, loaded.batched))
        rows += _write(image, outputs, loaded, options)
    _report(rows, options)
    return 0


def _split(file: Path, arguments: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The entry, if the first argument names one, and the images."""
    first, *rest = arguments
    if file.suffix != ".dhx":
        source = load(file)
        if first in (*source.models, *source.pipelines, *source.configurations):
            if not rest:
                raise _fail("no-input", f"Say on which image '{first}' should run.")
            return choose_entry(source, first), rest
    return "", arguments


def _prepare(file: Path, entry: str, options: RunOptions, dtype: DType) -> tuple[_Loaded, Program]:
    if file.suffix == ".dhx":
        program = open_program(file)
        return _Loaded((), all(type.rank != 3 for type in program.inputs.values())), program
    source = load(file)
    model = build_entry(source, choose_entry(source, entry), options.settings)
    if options.weights is not None:
        model.load_parameters(options.weights)
    if model.kind == "pipeline":
        model = source.pipeline(model.name, dtype)
    if options.pipeline:
        model = model.after(source.pipeline(options.pipeline, dtype))
    labels = model.settings.get("labels", ())
    words = [str(label) for label in labels] if isinstance(labels, (list, tuple)) else []
    program = compile(model, choose_target(source, options.target, options.threads))
    return _Loaded(words, model.kind == "model"), program


def _inputs(program: Program, image: Image, batched: bool) -> dict[str, Array]:
    """The arrays of a call: the image, and zeros as counters of random draws."""
    wanted = [label for label in program.inputs if label != COUNTER]
    if len(wanted) != 1:
        text = f"The program takes {', '.join(wanted)}; `dhc run` gives one image at a time."
        raise _fail("inputs", text, "use the Python interface for several inputs")
    found = {wanted[0]: image.array[None] if batched else image.array}
    if COUNTER in program.inputs:
        type = program.inputs[COUNTER]
        found[COUNTER] = np.zeros(type.static_shape, type.dtype.numpy)
    _check_image(wanted[0], program.inputs[wanted[0]], found[wanted[0]])
    return found


def _check_image(label: str, type: Tensor, array: Array) -> None:
    fits = len(array.shape) == type.rank and all(
        not isinstance(size, int) or size == given
        for size, given in zip(type.shape, array.shape, strict=True)
    )
    if not fits or array.dtype != type.dtype.numpy:
        text = f"The program takes {label} as {type}; the image is {array.dtype} "
        text += f"{list(array.shape)}."
        raise _fail("image-shape", text, "use a pipeline that makes it fit: --pipeline NAME")


def _write(
    image: Image, outputs: Mapping[str, Array], loaded: _Loaded, options: RunOptions
) -> list[dict[str, object]]:
    """Writes the results of one image and returns its rows of the table."""
    rows: list[dict[str, object]] = []
    for number, (name, array) in enumerate(outputs.items()):
        single = array[0] if array.ndim in (2, 4, 5) and array.shape[0] == 1 else array
        finding = describe(name, single, loaded.labels)
        rows += [{"image": image.name, **asdict(row)} for row in finding.rows]
        if options.output.suffix in (".png", ".npy"):
            if number == 0:
                _write_file(options.output, image, array, finding)
            continue
        stem = options.output / f"{Path(image.name).stem}_{name}"
        _write_file(stem.with_suffix(".npy"), image, array, finding)
        if finding.picture is not None:
            _write_file(stem.with_suffix(".png"), image, array, finding)
    return rows


def _write_file(path: Path, image: Image, array: Array, finding: Finding) -> None:
    if path.suffix == ".npy":
        with atomic_writer(path) as stream:
            np.save(stream, array, allow_pickle=False)
        return
    if finding.picture is None:
        raise _fail("output", "This output is no image; write it with -o FILE.npy or -o FOLDER.")
    height = max(SHOWN_PIXELS, finding.picture.shape[0])
    pictures = [scale_to_height(finding.picture, height)]
    if image.array.ndim == 3 and image.array.shape[0] == 1:
        pictures.insert(0, scale_to_height(grey_picture(image.array[0]), height))
    write_png(path, side_by_side(pictures))


def _report(rows: list[dict[str, object]], options: RunOptions) -> None:
    """Prints the table; in a folder it is written as well."""
    columns = ("image", *Row.__dataclass_fields__)
    if options.output.suffix not in (".png", ".npy"):
        text = io.StringIO()
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(rows)
        with atomic_writer(options.output / "table.csv") as stream:
            stream.write(text.getvalue().encode("utf-8"))
    if options.json:
        print_json(rows)
        return
    shown = [[_cell(column, row[column]) for column in columns] for row in rows]
    print_table("Findings", columns, shown)
    print(f"written to {options.output}")


def _cell(column: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{100 * value:.1f} %" if column == "share" else f"{value:.4g}"
    return str(value)


def _fail(code: str, message: str, *hints: str) -> DhcError:
    return DhcError(Diagnostic(code, message, hints=hints))
