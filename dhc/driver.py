"""compile(): from a graph to a program. The order of the passes is this file."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import dhc.ops  # noqa: F401  (registers the operators)
from dhc.backends.base import Backend, Compiled, Connecting, Exported, StagedBackend, Target
from dhc.cached import entry_name, restore
from dhc.errors import DhcError, Diagnostic
from dhc.ir.counts import is_counted
from dhc.ir.graph import Array, Graph, Input, topological
from dhc.ir.size import Size, largest
from dhc.ir.size import static as static_shape
from dhc.ir.text import print_graph
from dhc.ir.types import Tensor
from dhc.ir.verify import verify_kernel
from dhc.lower.planner import make_plan
from dhc.lower.schedule import Loops
from dhc.passes.bind_sizes import bind_sizes
from dhc.passes.bound_counts import Bounded, bound_counts
from dhc.passes.canonicalize import Canonicalize
from dhc.passes.compose_affine import ComposeWarps
from dhc.passes.fold_batchnorm import FoldBatchNorm
from dhc.passes.join_scans import JoinScans
from dhc.passes.legalise import Legalise
from dhc.passes.manager import Hook, Pass, StartRecord, notify, remaining, run_passes
from dhc.passes.narrow_products import RoundProducts, SplitProducts
from dhc.passes.recompute import Recompute
from dhc.passes.sink_scaling import SinkScaling
from dhc.runtime.cache import default_cache
from dhc.runtime.comm.base import Exchange
from dhc.runtime.parameters import check_values, initial_values
from dhc.runtime.program import Content, Program, Specialised
from dhc.runtime.trimmed import Trimmed
from dhc.targets import make_backend
from dhc.watch import wants_fresh, watchers

log = logging.getLogger("dhc")

COMMON_PASSES = (
    JoinScans(),
    ComposeWarps(),
    SinkScaling(),
    Canonicalize(),
    FoldBatchNorm(),
    Canonicalize(),
)
PRECISION_PASSES: Mapping[str, Sequence[Pass]] = {
    "bf16": (Legalise(), RoundProducts()),
    "f32x3": (Legalise(), SplitProducts()),
}
MAX_ELEMENTS = 1 << 40  # of one tensor


def passes_for(precision: str) -> tuple[Pass, ...]:
    """Returns the passes that all backends share, for a precision."""
    return (*COMMON_PASSES, *PRECISION_PASSES.get(precision, ()))


def passes_of(target: Target, backend: Backend, graph: Graph) -> tuple[Pass, ...]:
    """Returns all passes before the backend's own, also those that need to know the backend.

    Those that all share are for sizes that are known.

    Raises:
        DhcError: if memory is limited and the backend limits none.
    """
    if is_counted(graph) and not isinstance(backend, StagedBackend):
        return tuple(PRECISION_PASSES.get(target.precision, ()))
    passes = passes_for(target.precision)
    _check_without(target, passes, backend)
    passes = remaining(passes, target.without)
    if not target.memory:
        return passes
    if not isinstance(backend, StagedBackend):
        text = f"The backend '{backend.name}' places no intermediate results, so it limits none."
        raise DhcError(Diagnostic("memory", text, hints=("leave the limit of memory out",)))
    return (*passes, Legalise(), Recompute(target.memory, backend.measure))


def _check_without(target: Target, passes: Sequence[Pass], backend: Backend) -> None:
    own = (*backend.passes(), *backend.fusion()) if isinstance(backend, StagedBackend) else ()
    optional = dict.fromkeys(one.name for one in (*passes, *own) if one.optional)
    if unknown := [name for name in target.without if name not in optional]:
        text = f"'{target.backend}' has no pass '{unknown[0]}' that can be left out."
        hint = f"there are {', '.join(optional)}"
        raise DhcError(Diagnostic("unknown-pass", text, hints=(hint,)))


def compile_graph(
    graph: Graph,
    target: str | Target = "cpu",
    shapes: Mapping[str, int] | None = None,
    parameters: Mapping[str, Array] | None = None,
    hooks: Sequence[Hook] = (),
    foreign: bool = False,
    exchange: Exchange | None = None,
) -> Program:
    """Compiles a graph, or takes the program from the cache.

    Args:
        graph: What to compute.
        target: A backend's name, or a target with options.
        shapes: Values of size symbols; those left out are bound by the first call's inputs.
        parameters: Weights by path; fresh ones if not given.
        hooks: Called after each stage; with hooks everything is compiled anew.
        foreign: Whether the graph comes from outside and no front end has checked its attributes.
        exchange: How its sums over ranks reach the other ranks.

    Returns:
        The program, ready to be called.

    Raises:
        DhcError: if the backend cannot build all of the graph, or a tool is missing.
    """
    chosen = target if isinstance(target, Target) else Target(target)
    backend = make_backend(chosen)
    bound = bind_sizes(graph, dict(shapes or {}))
    params = bound.params
    values = initial_values(params) if parameters is None else check_values(params, parameters)

    def build(bindings: Mapping[str, Size]) -> Specialised:
        bounded = with_room(bind_sizes(bound, bindings), backend)
        static = bounded.graph
        check_extent(static)
        backend.check(static)
        watching = (*hooks, *watchers())
        notify(watching, StartRecord(static, str(chosen)))
        compiled = None if hooks or wants_fresh() else _cached(static, chosen, backend)
        if compiled is None:
            make = _compile_foreign if foreign else _compile
            compiled = make(static, backend, watching, passes_of(chosen, backend, static))
            _keep(static, chosen, backend, compiled)
        if exchange is not None and isinstance(compiled.executable, Connecting):
            compiled.executable.connect(exchange)
        executable = compiled.executable
        if bounded.shapes:
            executable = Trimmed(executable, bounded.shapes, bounded.found)
        return Specialised(compiled.prepare, executable)

    name = entry_name(print_graph(bound, origins=False), chosen, backend)
    updated = tuple(path for path, _ in bound.updates)
    content = Content(input_types(bound), lambda: bound, lambda: values, name, updated)
    return Program(content, chosen, build)


def with_room(graph: Graph, backend: Backend) -> Bounded:
    """Returns a graph as a backend takes it: the reference finds sizes, others have room.

    Raises:
        DhcError: if a layer cannot work so.
    """
    staged = isinstance(backend, StagedBackend)
    return bound_counts(graph) if staged else Bounded(graph, {}, {})


def export_graph(
    graph: Graph,
    target: str | Target,
    shapes: Mapping[str, int],
    parameters: Mapping[str, Array],
    folder: str | Path,
) -> None:
    """Writes a project for the tools of a device: on an FPGA, sources, testbench and golden data.

    Args:
        graph: What to compute; all its sizes must be bound by `shapes`.
        target: A backend's name, or a target with options.
        shapes: Values of size symbols.
        parameters: Weights by path.
        folder: Where to; files of the same names are replaced.

    Raises:
        DhcError: if the backend writes no projects, or cannot build all of the graph.
    """
    chosen = target if isinstance(target, Target) else Target(target)
    backend = make_backend(chosen)
    static = bind_sizes(graph, dict(shapes))
    if is_counted(static):
        text = "A program that finds the sizes of its outputs cannot be written as a project."
        raise DhcError(Diagnostic("found-size", text))
    check_extent(static)
    backend.check(static)
    values = check_values(static.params, parameters)
    optimised = run_passes(static, passes_for(chosen.precision))
    backend.export(Exported(static, optimised, values), Path(folder))


def input_types(graph: Graph) -> dict[str, Tensor]:
    """Returns the types of a graph's inputs by label."""
    return {node.op.label: node.type for node in graph.inputs if isinstance(node.op, Input)}


def check_extent(graph: Graph) -> None:
    """Refuses tensors with fewer than no elements, and with more than any memory holds.

    Raises:
        DhcError: naming the first such layer.
    """
    for node in topological((*graph.inputs, *graph.roots)):
        try:
            shape = static_shape(tuple(map(largest, node.type.shape)))
        except ValueError as error:
            text = f"'{node.op.name}' makes {node.type}: {error}."
            raise DhcError(Diagnostic("size", text, graph.origin(node).span)) from None
        if any(size < 0 for size in shape) or math.prod(shape) > MAX_ELEMENTS:
            text = f"'{node.op.name}' would make {node.type}, which cannot exist."
            raise DhcError(Diagnostic("size", text, graph.origin(node).span))


def verify_accesses(graph: Graph) -> None:
    """Looks for operators whose attributes make them read or write outside of their tensors.

    Raises:
        InternalError: with what the first such kernel does.
    """
    for kernel in make_plan(Legalise()(graph), Loops(parallel=False)).kernels:
        verify_kernel(kernel)


def _compile_foreign(
    graph: Graph, backend: Backend, hooks: Sequence[Hook], passes: Sequence[Pass] = COMMON_PASSES
) -> Compiled:
    """Compiles what no front end has checked: if anything goes wrong, the program is to blame."""
    try:
        if isinstance(backend, StagedBackend):
            verify_accesses(graph)
        return _compile(graph, backend, hooks, passes)
    except DhcError:
        raise
    except Exception as error:
        text = f"The program '{graph.name}' makes no sense."
        hint = "compile it again from its source"
        notes = (str(error)[:2000],) if str(error) else ()
        raise DhcError(Diagnostic("artifact-damaged", text, notes=notes, hints=(hint,))) from error


def _compile(
    graph: Graph, backend: Backend, hooks: Sequence[Hook], passes: Sequence[Pass] = COMMON_PASSES
) -> Compiled:
    start = time.perf_counter()
    compiled = backend.compile(run_passes(graph, passes, hooks), hooks)
    text = "Compiling '%s' for %s took %.2f s."
    log.info(text, graph.name, backend.name, time.perf_counter() - start)
    return compiled


def _cached(graph: Graph, target: Target, backend: Backend) -> Compiled | None:
    restored = restore(entry_name(print_graph(graph, origins=False), target, backend), backend)
    return None if restored is None else restored.compiled


def _keep(graph: Graph, target: Target, backend: Backend, compiled: Compiled) -> None:
    snapshot = backend.snapshot(compiled)
    if snapshot is not None and compiled.prepare().constants.keys() <= graph.constants.keys():
        name = entry_name(print_graph(graph, origins=False), target, backend)
        default_cache().put(name, snapshot)
