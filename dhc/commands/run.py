"""`dhc run`: images through a pipeline and a network, to pictures, arrays and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from dhc.runtime.data.images import Image, read_image
from dhc.runtime.outputs import COLUMNS, Outputs
from dhc.runtime.program import Program


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
    written = Outputs(options.output)
    written.check(len(images))
    programs: dict[DType, tuple[_Loaded, Program]] = {}
    for image in images:
        dtype = dtype_of(image.array)
        if dtype not in programs:
            programs[dtype] = _prepare(file, entry, options, dtype)
        loaded, program = programs[dtype]
        written.labels = loaded.labels
        written.write(image, program(**_inputs(program, image, loaded.batched)))
    written.close()
    report_findings(written.rows, options.output, options.json)
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
        if rest and not _names_an_image(first):
            choose_entry(source, first)  # says which there are
    return "", arguments


def _names_an_image(text: str) -> bool:
    """Whether an argument can only be meant as an image."""
    return bool(Path(text).suffix) or ":" in text or Path(text).exists()


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


def report_findings(rows: Sequence[Mapping[str, object]], output: Path, json: bool) -> None:
    """Prints the table of what was found."""
    if json:
        print_json(list(rows))
        return
    shown = [[_cell(column, row[column]) for column in COLUMNS] for row in rows]
    print_table("Findings", COLUMNS, shown)
    print(f"written to {output}")


def _cell(column: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{100 * value:.1f} %" if column == "share" else f"{value:.4g}"
    return str(value)


def _fail(code: str, message: str, *hints: str) -> DhcError:
    return DhcError(Diagnostic(code, message, hints=hints))
