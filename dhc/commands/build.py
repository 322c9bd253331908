"""`dhc compile`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from dhc.api import check_sizes, compile
from dhc.commands.entries import (
    Request,
    choose_target,
    open_entry,
    parse_shapes,
    require_sizes,
)
from dhc.driver import export_graph


def compile_entry(
    request: Request,
    output: Path,
    target: str,
    weights: Path | None,
    shapes: Sequence[str],
    threads: int,
) -> int:
    """Compiles an entry and writes it as one file, or as a folder for other tools."""
    source, model = open_entry(request)
    sizes = parse_shapes(shapes)
    check_sizes(model, sizes)
    if weights is not None:
        model.load_parameters(weights)
    start = time.perf_counter()
    if output.suffix != ".dhx":
        require_sizes(model, sizes)
        chosen = choose_target(source, target, threads)
        export_graph(model.graph, chosen, sizes, model.values, output)
        print(f"{output}: project of {model.name} for {target}")
        return 0
    program = compile(model, choose_target(source, target, threads), sizes)
    program.save(output)
    seconds = time.perf_counter() - start
    still = sorted(model.sizes - sizes.keys())
    open_text = f", sizes bound at the first call: {', '.join(still)}" if still else ""
    print(f"{output}: {model.name} for {target}, {seconds:.2f} s{open_text}")
    return 0


def verify_project(folder: Path) -> int:
    """Compiles and runs the testbench of an FPGA project."""
    from dhc.backends.fpga.project import verify

    found = verify(folder)
    print(found.report, end="")
    verdict = "agrees" if found.passed else "does not agree"
    print(f"{folder}: {verdict} with its golden data, {found.wrong} of {found.values} values wrong")
    return 0 if found.passed else 3
