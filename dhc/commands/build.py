"""`dhc compile`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from dhc.api import compile
from dhc.commands.entries import (
    Request,
    check_size_names,
    choose_target,
    open_entry,
    parse_shapes,
)


def compile_entry(
    request: Request,
    output: Path,
    target: str,
    weights: Path | None,
    shapes: Sequence[str],
    threads: int,
) -> int:
    """Compiles an entry and writes it as one file."""
    source, model = open_entry(request)
    sizes = parse_shapes(shapes)
    check_size_names(model, sizes)
    if weights is not None:
        model.load_parameters(weights)
    start = time.perf_counter()
    program = compile(model, choose_target(source, target, threads), sizes)
    program.save(output)
    seconds = time.perf_counter() - start
    still = sorted(model.sizes - sizes.keys())
    open_text = f", sizes bound at the first call: {', '.join(still)}" if still else ""
    print(f"{output}: {model.name} for {target}, {seconds:.2f} s{open_text}")
    return 0
