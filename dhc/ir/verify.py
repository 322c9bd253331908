"""Checks graphs and kernels between passes: what fails here is a bug of the compiler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import fields

from dhc.ir.counts import count_problems
from dhc.ir.graph import Constant, Graph, Input, Node, Param, topological
from dhc.ir.interning import value_key
from dhc.ir.kernel import Kernel
from dhc.ir.scalar import Scalar, walk
from dhc.ir.size import collecting
from dhc.ir.text_kernel import print_kernel
from dhc.ir.types import dtype_of
from dhc.ir.verify_kernel import kernel_problems
from dhc.ir.verify_scalar import type_problem


class InternalError(Exception):
    """The compiler has broken its own rules; the message tells which and where."""


def verify_graph(graph: Graph) -> None:
    """Checks that types agree, names are unique, and everything a graph needs is there.

    Raises:
        InternalError: with all that is wrong.
    """
    problems = [*_interface_problems(graph), *_leaf_problems(graph), *count_problems(graph)]
    for node in topological((*graph.inputs, *graph.roots)):
        problems.extend(f"{_place(graph, node)}: {text}" for text in _node_problems(node))
    _report(f"graph '{graph.name}'", problems)


def verify_kernel(kernel: Kernel) -> None:
    """Checks scopes, types, the range of indices where it can be known, and parallel writes.

    Raises:
        InternalError: with all that is wrong and the kernel's text.
    """
    problems = list(kernel_problems(kernel))
    _report(f"kernel '{kernel.name}'", problems, print_kernel(kernel) if problems else "")


def _report(what: str, problems: list[str], text: str = "") -> None:
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in dict.fromkeys(problems))
        raise InternalError(f"The {what} is not valid:\n{listed}\n{text}".rstrip())


def _place(graph: Graph, node: Node) -> str:
    origin = graph.origin(node)
    where = f"{origin.path} {origin.span or ''}".strip()
    return f"{node!r}" + (f" from {where}" if where else "")


# ---- graphs ----------------------------------------------------------------------------------


def _interface_problems(graph: Graph) -> Iterator[str]:
    for what, names in (
        ("input", [n.op.label for n in graph.inputs if isinstance(n.op, Input)]),
        ("output", [name for name, _ in graph.outputs]),
        ("update", [name for name, _ in graph.updates]),
    ):
        yield from (f"There are two {what}s '{name}'." for name in _repeated(names))
    for node in graph.inputs:
        if not isinstance(node.op, Input):
            yield f"{node!r} is listed as an input."
    listed = set(graph.inputs)
    for node in topological(graph.roots):
        if isinstance(node.op, Input) and node not in listed:
            yield f"The input '{node.op.label}' is used but not listed."


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _leaf_problems(graph: Graph) -> Iterator[str]:
    params: dict[str, Param] = {}
    for node in topological(graph.roots):
        match node.op:
            case Param(path):
                if params.setdefault(path, node.op) != node.op:
                    yield f"There are two different parameters '{path}'."
            case Constant():
                yield from _constant_problems(graph, node.op)


def _constant_problems(graph: Graph, constant: Constant) -> Iterator[str]:
    if constant.digest not in graph.constants:
        yield f"The data of the constant {constant.digest} is missing."
        return
    data = graph.constants[constant.digest]
    if data.shape != constant.type.shape or dtype_of(data) is not constant.type.dtype:
        yield f"The constant {constant.digest} is {data.dtype}{list(data.shape)}."


def _node_problems(node: Node) -> Iterator[str]:
    try:
        hash(value_key(node.op))
        hash(node.op)
    except TypeError as error:
        yield f"An attribute of '{node.op.name}' cannot be hashed: {error}."
    for f in fields(node.op):
        yield from _attribute_problems(getattr(node.op, f.name))
    try:
        with collecting():
            inferred = node.op.infer(*(source.type for source in node.inputs))
    except Exception as error:  # whatever a shape rule of a contributor raises
        yield f"'{node.op.name}' cannot take its inputs: {error}"
        return
    if inferred != node.type:
        yield f"The type is {node.type}, but '{node.op.name}' gives {inferred}."


def _attribute_problems(value: object) -> Iterator[str]:
    if isinstance(value, Scalar):
        problems = map(type_problem, walk(value))
        yield from (problem for problem in problems if problem is not None)
    if isinstance(value, Graph):
        try:
            verify_graph(value)
        except InternalError as error:
            yield str(error).replace("\n", "\n    ")
