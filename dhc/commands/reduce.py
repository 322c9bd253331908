"""`dhc reduce`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dhc.commands.entries import (
    Request,
    choose_target,
    open_entry,
    parse_shapes,
    require_sizes,
)
from dhc.commands.session import INTERNAL_ERROR
from dhc.files import atomic_writer
from dhc.ir.text import print_graph
from dhc.passes.bind_sizes import bind_sizes
from dhc.reduce import reduce_graph


def reduce_entry(request: Request, target: str, shapes: Sequence[str], output: Path | None) -> int:
    """Looks for a stage that breaks an entry and prints a small graph that it breaks too."""
    source, model = open_entry(request)
    sizes = parse_shapes(shapes)
    require_sizes(model, sizes)
    found = reduce_graph(bind_sizes(model.graph, dict(sizes)), choose_target(source, target))
    if found is None:
        print(f"Nothing changes what '{model.name}' computes: the passes and the program agree.")
        return 0
    failure = found.failure
    comments = [f"At the stage '{failure.stage}', for {target}:", *failure.text.splitlines()]
    text = "".join(f"# {line}\n" for line in comments) + print_graph(found.graph)
    if output is None:
        print(text, end="")
    else:
        with atomic_writer(output) as stream:
            stream.write(text.encode("utf-8"))
        print(f"{output}: a graph that fails at the stage '{failure.stage}'")
    return INTERNAL_ERROR
