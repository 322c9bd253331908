"""Writes a graph as a model of ONNX: one node after another, each as its operator says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dhc.errors import DhcError, Diagnostic
from dhc.files import atomic_writer
from dhc.ir.graph import Array, Constant, Graph, Input, Literal_, Node, Param, topological
from dhc.onnx.beside import beside
from dhc.onnx.file import MOST_BYTES, empty_model, refused
from dhc.onnx.proto import Content, model_proto
from dhc.onnx.schemas import Elements
from dhc.ops.foreign import ForeignError
from dhc.ops.outward import Body, Names, Outward, Term, Written, foreign_type

OPSETS = range(13, 24)
OPSET = 21  # what the readers of the last two years know


def save(
    graph: Graph,
    values: Mapping[str, Array],
    path: str | Path,
    opset: int = OPSET,
    metadata: Mapping[str, str] | None = None,
    most: int = MOST_BYTES - (1 << 24),  # the nodes need some room
) -> None:
    """Writes a file, and a second one beside it for parameters of more than 2 GiB.

    Args:
        graph: What it computes; its inputs, outputs and parameters keep their names. An output with
            the name of an input, as pipelines have them, is called `image_out`.
        values: The parameters by path.
        path: The file, which is replaced as a whole or not at all. The name of its data file tells
            the content; that of a model which was there before is removed afterwards.
        opset: The version of ONNX's operators.
        metadata: What else the file says of itself, by name.
        most: How many bytes of parameters the file itself may hold.

    Raises:
        DhcError: with everything that ONNX cannot say, or if the file cannot be written.
    """
    content = write(graph, values, opset)
    target = Path(path)
    try:
        with beside(target, content.parameters, most) as data:
            model = model_proto(content, _version(), metadata or {}, data)
            with atomic_writer(target) as stream:
                stream.write(model.SerializeToString())
    except OSError as error:
        raise refused(f"'{path}' cannot be written: {error.strerror}.") from error


def write(graph: Graph, values: Mapping[str, Array], opset: int = OPSET) -> Content:
    """Returns what the file of a graph says.

    Raises:
        DhcError: with everything that ONNX cannot say, or if the package `onnx` is missing.
    """
    empty_model()
    _check(graph, values, opset)
    names = Names()
    inputs = [_leaf(node, names) for node in graph.inputs]
    known = dict(zip(graph.inputs, inputs, strict=True))
    out = Outward(opset, inputs, names)
    parameters: dict[str, Array] = {}
    for op in graph.params:
        known[op()] = _leaf(op(), names)
        parameters[op.path] = values[op.path].astype(op.type.dtype.numpy, copy=False)
    called = [name if names.take(name) else names.new(f"{name}_out") for name, _ in graph.outputs]
    _write_nodes(graph, out, known)
    outputs, renamed = _outputs(graph, called, out, known)
    nodes = _needed(out.nodes, renamed)
    return Content(graph.name, opset, tuple(inputs), outputs, parameters, nodes, renamed)


def _check(graph: Graph, values: Mapping[str, Array], opset: int) -> None:
    if opset not in OPSETS:
        raise refused(f"dhc writes versions {OPSETS[0]} to {OPSETS[-1]} of ONNX, not {opset}.")
    if graph.updates:
        text = f"'{graph.name}' changes its parameters: what trains a model is not exported."
        raise refused(text, "export the model itself")
    for op in graph.params:
        if op.path not in values:
            raise refused(f"There is no value for the parameter '{op.path}'.")
        if values[op.path].shape != op.type.shape:
            raise refused(f"The parameter '{op.path}' is {op.type}, not {values[op.path].shape}.")


def _leaf(node: Node, names: Names) -> Term:
    """An input or a parameter under its own name."""
    name = node.op.label if isinstance(node.op, Input) else getattr(node.op, "path", "")
    if not names.take(name):
        raise refused(f"Two of the inputs, outputs and parameters have the name '{name}'.")
    try:
        foreign_type(node.type.dtype)
    except ForeignError as error:
        raise refused(f"'{name}' cannot be written: {error}.") from error
    return Term(name, node.type)


def _write_nodes(graph: Graph, out: Outward, known: dict[Node, Term]) -> None:
    """Writes all nodes; what follows from one that cannot be written is tried all the same."""
    problems: dict[str, Diagnostic] = {}
    elements = Elements(out.opset, {term.name: term.dtype for term in known.values()})
    for node in topological(graph.roots):
        if node in known:
            continue
        origin = graph.origin(node)
        out.place, before = origin.path, len(out.nodes)
        try:
            known[node] = _term(node, graph, out, known)
            elements.check(out.nodes[before:])
        except ForeignError as error:
            known[node] = Term("", node.type)
            where = f" in '{origin.path}'" if origin.path else ""
            text = f"'{node.op.name}'{where} cannot be written for ONNX {out.opset}: {error}."
            problems.setdefault(text, Diagnostic("onnx", text, span=origin.span))
    if problems:
        raise DhcError(list(problems.values()))


def _term(node: Node, graph: Graph, out: Outward, known: Mapping[Node, Term]) -> Term:
    match node.op:
        case Constant(digest):
            return out.constant(graph.constants[digest], node.type.dtype)
        case Literal_(value, dtype):
            return out.number(value, dtype)
        case Param():
            raise AssertionError("parameters are known")
    return out.operator(node.op, node.type, *(known[source] for source in node.inputs))


def _outputs(
    graph: Graph, called: Sequence[str], out: Outward, known: Mapping[Node, Term]
) -> tuple[tuple[Term, ...], Mapping[str, str]]:
    """The outputs as they are called, and which values have other names than they were given."""
    renamed: dict[str, str] = {}
    made = {each.name for node in out.nodes if node.op_type != "Constant" for each in node.outputs}
    results = [node for _, node in graph.outputs]
    for name, node in zip(called, results, strict=True):
        term = known[node]
        if term.name in made and term.name not in renamed:
            renamed[term.name] = name
        else:
            out.place = f"{name}.copy"
            copy = out.node("Identity", (term,), term.type)
            renamed[copy.name] = name
    outputs = (Term(name, node.type) for name, node in zip(called, results, strict=True))
    return tuple(outputs), renamed


def _needed(nodes: Sequence[Written], results: Iterable[str]) -> tuple[Written, ...]:
    """The nodes that results follow from."""
    names, kept = set(results), list[Written]()
    for node in reversed(nodes):
        if any(each.name in names for each in node.outputs):
            kept.append(node)
            names.update(_reads(node))
    return tuple(reversed(kept))


def _reads(node: Written) -> Iterable[str]:
    """The names that a node reads, also within the graphs that it holds."""
    yield from node.inputs
    for value in node.attributes.values():
        if isinstance(value, Body):
            for inner in value.nodes:
                yield from _reads(inner)
            yield from (each.name for each in value.outputs)


def _version() -> str:
    try:
        return version("dhc")
    except PackageNotFoundError:
        return ""
