"""`dhc explain`, `dhc summary` and `dhc graph`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

from dhc.api import Model, Source, check_sizes, load
from dhc.commands.entries import (
    Request,
    choose_target,
    open_entry,
    parse_shapes,
    require_sizes,
)
from dhc.commands.report import print_json, print_table, quantity
from dhc.draw import draw
from dhc.errors import DhcError, Diagnostic
from dhc.explain import explain
from dhc.files import atomic_writer
from dhc.frontend import ast, format_text
from dhc.frontend.parse import parse
from dhc.frontend.render import render_configured
from dhc.passes.bind_sizes import bind_sizes
from dhc.passes.bound_counts import with_most
from dhc.source import Span, read_source
from dhc.summary import Summary, summarise


def explain_entry(request: Request, at: str, target: str, shapes: Sequence[str]) -> int:
    """Prints one stage of a compilation."""
    if at == "ast":
        print("\n".join(_tree(parse(read_source(request.file)))))
        return 0
    found = load(request.file)
    if request.entry in found.configurations:
        print(_configuration(found, request.entry), end="")
        return 0
    source, model = open_entry(request)
    sizes = parse_shapes(shapes)
    if at == "graph":
        check_sizes(model, sizes)
        print(_resolved(model), end="")
    else:
        require_sizes(model, sizes)
    print(explain(model.graph, choose_target(source, target), sizes, at), end="")
    return 0


def _configuration(source: Source, name: str) -> str:
    """What a train, target or study says, defaults included; an app as it is written."""
    kind = source.configurations[name]
    if kind != "app":
        return render_configured(source.program.configuration(name, kind))
    items = source.program.tree.items
    (app,) = (i for i in items if isinstance(i, ast.Definition) and i.name.text == name)
    return format_text(f"dhm 1\n{app.span.text}\n").removeprefix("dhm 1\n").lstrip("\n")


def _resolved(model: Model) -> str:
    """The compile-time parameters, defaults included, and what sizes must satisfy."""
    lines = [f"# {name} = {value}" for name, value in model.settings.items()]
    lines += [f"# needs {constraint}" for constraint in model.constraints]
    return "".join(f"{line}\n" for line in lines)


def _tree(value: object, indent: int = 0, label: str = "") -> list[str]:
    """Syntax as an indented tree; positions are left out."""
    pad, head = "  " * indent, f"{label}: " if label else ""
    if isinstance(value, tuple):
        if not value:
            return []
        inner = [line for item in value for line in _tree(item, indent + 1)]
        return [f"{pad}{head.rstrip()}", *inner]
    if not is_dataclass(value):
        return [f"{pad}{head}{value!r}"]
    lines = [f"{pad}{head}{type(value).__name__}"]
    for field in fields(value):
        part = getattr(value, field.name)
        if not isinstance(part, Span) and field.name != "file" and part is not None:
            lines += _tree(part, indent + 1, field.name)
    return lines


def summarise_entry(request: Request, shapes: Sequence[str], json: bool) -> int:
    """Prints the layers of an entry and what they cost."""
    _, model = open_entry(request)
    sizes = parse_shapes(shapes)
    require_sizes(model, sizes)
    summary = summarise(with_most(bind_sizes(model.graph, dict(sizes))))
    if json:
        print_json(_summary_json(summary))
    else:
        _print_summary(summary)
    return 0


def _summary_json(summary: Summary) -> dict[str, object]:
    return {
        "name": summary.name,
        "parameters": summary.parameters,
        "state": summary.state,
        "flop": summary.flop,
        "activation_bytes": summary.activations,
        "layers": [
            {
                "path": row.path,
                "operators": list(row.operators),
                "shape": list(row.type.static_shape),
                "dtype": str(row.type.dtype),
                "parameters": row.parameters,
                "flop": row.flop,
            }
            for row in summary.rows
        ],
    }


def _print_summary(summary: Summary) -> None:
    rows = [
        (
            row.path,
            " ".join(dict.fromkeys(row.operators)),
            str(row.type),
            f"{row.parameters:,}" if row.parameters else "",
            quantity(row.flop) if row.flop else "",
        )
        for row in summary.rows
    ]
    print_table(summary.name, ("layer", "operators", "result", "parameters", "FLOP"), rows)
    print(f"parameters    {summary.parameters:,}")
    print(f"running state {summary.state:,}")
    print(f"FLOP          {quantity(summary.flop)}")
    print(f"activations   {quantity(summary.activations, 'B')}")


def draw_entry(request: Request, output: Path) -> int:
    """Writes a drawing of the layers."""
    if output.suffix != ".svg":
        text = f"A drawing is SVG; '{output}' has another ending."
        raise DhcError(Diagnostic("output", text, hints=("write -o NAME.svg",)))
    _, model = open_entry(request)
    with atomic_writer(output) as stream:
        stream.write(draw(model.graph).encode("utf-8"))
    print(f"{output}: {model.name}")
    return 0
