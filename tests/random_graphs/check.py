"""Holds programs to what a random graph means."""

from __future__ import annotations

from collections.abc import Mapping

from dhc.errors import DhcError
from dhc.ir.graph import Graph
from dhc.ir.text import print_graph
from tests.random_graphs.drawing import draw_graph
from tests.random_graphs.families import FAMILIES
from tests.random_graphs.meaning import Meanings, differs
from tests.random_graphs.programs import Program
from tests.random_graphs.shrink import shrunk

SLACK = {"runtime": 1e-6, "again": 1e-6}  # attributes of ONNX have 32 bits


def problem(
    graph: Graph, meanings: Meanings, program: Program, slack: float = 0.0
) -> tuple[str, str]:
    """What kind of problem a program has with a graph, and in words; nothing if it is right."""
    try:
        found = program(graph, meanings.leaves)
    except Exception as error:
        text = str(error.args[0]) if isinstance(error, DhcError) and error.args else str(error)
        return type(error).__name__, f"raises {type(error).__name__}: {text[:1500]}"
    if found is None:
        return "", ""
    if found.keys() != dict(graph.outputs).keys():
        return "names", f"has the outputs {', '.join(found)}"
    for name, node in graph.outputs:
        text = differs(meanings.of(node), found[name], node.type.dtype, slack)
        if text:
            return "values", f"gives '{name}' that {text}"
    return "", ""


def report(seed: int, programs: Mapping[str, Program]) -> list[str]:
    """The problems that programs have with the graph of a number, each with a small graph."""
    graph, meanings = draw_graph(seed, FAMILIES)
    return [
        text
        for name, program in programs.items()
        if (text := _report(seed, graph, meanings, name, program))
    ]


def _report(seed: int, graph: Graph, meanings: Meanings, name: str, program: Program) -> str:
    slack = SLACK.get(name, 0.0)
    kind, _ = problem(graph, meanings, program, slack)
    if not kind:
        return ""

    def fails(each: Graph) -> bool:
        return problem(each, meanings, program, slack)[0] == kind

    small = shrunk(graph, meanings, fails)
    _, text = problem(small, meanings, program, slack)
    return f"Seed {seed}: '{name}' {text}\n{print_graph(small)}"
