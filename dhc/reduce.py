"""Finds the pass that breaks a program, and a graph as small as can be on which it still does.

A pass breaks a graph if it raises, or if numpy computes something else of it afterwards. If no pass
does, the built program is compared with numpy. The graph that fails is shrunk as long as the same
stage fails in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from dhc.backends.base import StagedBackend, Target
from dhc.driver import COMMON_PASSES, compile_graph
from dhc.errors import DhcError
from dhc.ir.graph import Graph, Input, Node, Param, topological
from dhc.ir.rewrite import rebuild, transform
from dhc.ir.verify import InternalError
from dhc.numerics import CheckNumerics, difference, draw_values, evaluate
from dhc.passes.manager import Pass, run_passes
from dhc.passes.prepare import split_prepare
from dhc.targets import make_backend

MAX_ROUNDS = 20

Stage = Callable[[Graph], Graph | None]
"""Takes a graph and returns that for the next stage; raises if it is broken."""


@dataclass(frozen=True)
class Failure:
    """How a stage breaks a graph.

    Attributes:
        stage: The name of the pass, or `program` if the built program is wrong.
        kind: The class of what it raises; InternalError where results differ.
        text: What is wrong, in words.
    """

    stage: str
    kind: str
    text: str


@dataclass(frozen=True)
class Reproduction:
    """A failure, and a small graph on which it happens."""

    failure: Failure
    graph: Graph


def reduce_graph(graph: Graph, target: Target) -> Reproduction | None:
    """Returns a small graph that some stage breaks, or None if no stage breaks the given one.

    Args:
        graph: A graph with all sizes bound.
        target: What it is compiled for.
    """
    current: Graph | None = graph
    for name, stage in _stages(graph, target):
        assert current is not None
        failure, following = _try(name, stage, current)
        if failure is not None:
            return _shrink(current, name, stage, failure)
        current = following
    return None


# ---- stages ----------------------------------------------------------------------------------


def _stages(graph: Graph, target: Target) -> Iterator[tuple[str, Stage]]:
    """The passes in order, then the program as a whole, which takes the first graph again."""
    backend = make_backend(target)
    yield from ((one.name, _checked(one)) for one in COMMON_PASSES)
    if isinstance(backend, StagedBackend):
        yield from ((one.name, _checked(one)) for one in backend.passes())
        yield "split", lambda graph: split_prepare(graph)[1]
        yield from ((one.name, _checked(one)) for one in backend.fusion())
    yield "restart", lambda _: graph
    yield "program", lambda graph: _run_program(graph, target)


def _checked(one: Pass) -> Stage:
    return lambda graph: run_passes(graph, (one,), (CheckNumerics(),))


def _run_program(graph: Graph, target: Target) -> None:
    values = draw_values(graph)
    inputs = {n.op.label: values[n.op.label] for n in graph.inputs if isinstance(n.op, Input)}
    weights = {param.path: values[param.path] for param in graph.params}
    # With a hook the program does not come from the cache.
    program = compile_graph(graph, target, parameters=weights, hooks=(lambda event: None,))
    made = program(**inputs)
    plain = replace(graph, updates=())
    found = [made[name] for name, _ in plain.outputs]
    problem = difference(plain, plain, evaluate(plain, values), found)
    if problem:
        raise InternalError(f"The program computes something else than numpy: {problem}")


def _try(name: str, stage: Stage, graph: Graph) -> tuple[Failure | None, Graph | None]:
    try:
        return None, stage(graph)
    except DhcError:
        raise
    except Exception as error:
        kind = type(error).__name__
        words = str(error) if isinstance(error, InternalError) else f"{kind}: {error}"
        return Failure(name, kind, words), None


# ---- shrinking -------------------------------------------------------------------------------


def _shrink(graph: Graph, name: str, stage: Stage, failure: Failure) -> Reproduction:
    """Takes every smaller graph that fails in the same way, until there is none."""
    found = Reproduction(failure, graph)

    def fails(candidate: Graph) -> bool:
        nonlocal found
        try:
            failure, _ = _try(name, stage, candidate)
        except DhcError:  # the backend refuses it
            return False
        if failure is None or failure.kind != found.failure.kind:
            return False
        found = Reproduction(failure, candidate)
        return True

    _bisect(graph, fails)
    for _ in range(MAX_ROUNDS):
        before = found.graph
        for smaller in (_one_output, _cut, _bypass):
            smaller(found.graph, fails)
        if found.graph == before:
            break
    return found


Test = Callable[[Graph], bool]


def _bisect(graph: Graph, fails: Test) -> None:
    """Looks for the shortest beginning of the graph that fails."""
    nodes = _operators(graph)
    low, high = 0, len(nodes)  # nothing does not fail, everything does
    while high - low > 1:
        middle = (low + high) // 2
        if fails(_ending_in(graph, _last(nodes[:middle]))):
            high = middle
        else:
            low = middle


def _last(nodes: list[Node]) -> list[Node]:
    """The nodes that no other one of them reads."""
    read = {source for node in nodes for source in node.inputs}
    return [node for node in nodes if node not in read]


def _one_output(graph: Graph, fails: Test) -> None:
    if len(graph.roots) > 1:
        any(fails(_ending_in(graph, [node])) for node in dict.fromkeys(graph.roots))


def _cut(graph: Graph, fails: Test) -> None:
    """Puts inputs in the place of computed values, those near the end first."""
    for number, node in enumerate(reversed(_operators(graph))):
        if node not in graph.roots and node in set(topological(graph.roots)):
            label = f"cut{number}"
            taken = any(isinstance(n.op, Input) and n.op.label == label for n in graph.inputs)
            fresh = Input(f"{label}_" if taken else label, node.type)()
            candidate = _replace(graph, node, fresh)
            graph = candidate if fails(candidate) else graph


def _bypass(graph: Graph, fails: Test) -> None:
    """Puts an operand of the same type in the place of a computed value."""
    for node in reversed(_operators(graph)):
        for source in dict.fromkeys(node.inputs):
            present = node in set(topological(graph.roots))
            if present and source.type == node.type and not isinstance(source.op, Param):
                candidate = _replace(graph, node, source)
                graph = candidate if fails(candidate) else graph


def _operators(graph: Graph) -> list[Node]:
    return [node for node in topological(graph.roots) if node.inputs]


def _replace(graph: Graph, old: Node, new: Node) -> Graph:
    """The graph with another node in the place of one; inputs that nothing reads are gone."""

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        return new if node is old else rebuild(node, inputs)

    return _with_used_inputs(transform(graph, step))


def _ending_in(graph: Graph, nodes: list[Node]) -> Graph:
    """The part of a graph that some of its nodes need."""
    outputs = tuple((f"y{number}", node) for number, node in enumerate(nodes))
    return _with_used_inputs(replace(graph, outputs=outputs, updates=()))


def _with_used_inputs(graph: Graph) -> Graph:
    used = tuple(node for node in topological(graph.roots) if isinstance(node.op, Input))
    return replace(graph, inputs=used)
