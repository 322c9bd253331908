"""`dhc bench`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dhc.api import Model, compile, open_sizes
from dhc.commands.entries import (
    Request,
    choose_target,
    open_entry,
    parse_shapes,
    require_sizes,
)
from dhc.commands.report import print_json
from dhc.opening import open_program
from dhc.runtime.bench import max_error, random_inputs, time_program
from dhc.runtime.program import Program
from dhc.summary import summarise


@dataclass(frozen=True)
class BenchOptions:
    """How to measure."""

    target: str
    batch: int
    threads: int
    precision: str
    rounds: int
    shapes: Sequence[str]


def bench_entry(request: Request, options: BenchOptions, json: bool) -> int:
    """Times an entry or an artifact and measures its error."""
    found = _measure(request, options)
    if json:
        print_json(found)
    else:
        for name, value in found.items():
            print(f"{name:10} {value:.6g}" if isinstance(value, float) else f"{name:10} {value}")
    return 0


def _measure(request: Request, options: BenchOptions) -> dict[str, object]:
    start = time.perf_counter()
    loading = request.file.suffix == ".dhx"
    program = _open(request.file) if loading else _compile(request, options)
    seconds = time.perf_counter() - start
    inputs = random_inputs(program.graph)
    timing = time_program(program, inputs, options.rounds)
    flop = summarise(program.graph).flop
    return {
        "file": str(request.file),
        "entry": program.graph.name,
        "target": program.target.backend,
        "precision": program.target.precision,
        "batch": options.batch,
        "threads": program.target.threads,
        "shapes": {label: list(array.shape) for label, array in inputs.items()},
        "compile_s": 0.0 if loading else seconds,
        "load_s": seconds if loading else 0.0,
        "median_ms": timing.median_ms,
        "min_ms": timing.min_ms,
        "flop": flop,
        "gflops": flop / timing.median_ms / 1e6,
        "max_error": max_error(program, inputs),
    }


def _open(path: Path) -> Program:
    program = open_program(path)
    still = open_sizes(program.graph)
    if still:
        from dhc.errors import DhcError, Diagnostic

        text = f"'{path}' has open sizes: {', '.join(sorted(still))}."
        hint = "compile it with --shape for each of them"
        raise DhcError(Diagnostic("open-size", text, hints=(hint,)))
    return program


def _compile(request: Request, options: BenchOptions) -> Program:
    source, model = open_entry(request)
    sizes = _sizes(model, options)
    require_sizes(model, sizes)
    target = choose_target(source, options.target, options.threads)
    if options.precision:
        target = replace(target, precision=options.precision)
    return compile(model, target, sizes)


def _sizes(model: Model, options: BenchOptions) -> dict[str, int]:
    """The sizes given; `N` is the batch where the entry has it."""
    sizes = parse_shapes(options.shapes)
    return {"N": options.batch, **sizes} if "N" in model.sizes else sizes
