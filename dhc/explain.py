"""Prints any stage of a compilation."""

from __future__ import annotations

from collections.abc import Mapping

from dhc.backends.base import Lowered, StagedBackend, Target
from dhc.driver import passes_of, with_room
from dhc.errors import DhcError, Diagnostic, did_you_mean
from dhc.ir.graph import Graph
from dhc.ir.text import print_graph, print_kernel
from dhc.lower.plan import Launch, Plan, Step
from dhc.passes.bind_sizes import bind_sizes
from dhc.passes.manager import Event, PassRecord, run_passes
from dhc.targets import make_backend


def explain(graph: Graph, target: Target, shapes: Mapping[str, int], stage: str) -> str:
    """Returns the text of one stage.

    Args:
        graph: What is compiled.
        target: For what.
        shapes: Values of size symbols; they may stay open for the stage `graph`.
        stage: `graph`, the name of a pass, `prepare`, `fused`, `plan`, `kernels` or `source`.

    Raises:
        DhcError: if there is no such stage for this target.
    """
    graph = bind_sizes(graph, dict(shapes))
    if stage == "graph":
        return print_graph(graph)
    events: list[Event] = []
    backend = make_backend(target)
    graph = with_room(graph, backend).graph
    optimised = run_passes(graph, passes_of(target, backend, graph), [events.append])
    texts: dict[str, str] = {}
    if isinstance(backend, StagedBackend):
        texts = _last_stages(backend.lower(optimised, [events.append]))
    texts |= {e.name: print_graph(e.after) for e in events if isinstance(e, PassRecord)}
    if stage not in texts:
        raise _unknown(stage, ["ast", "graph", *texts])
    return texts[stage]


def _last_stages(lowered: Lowered) -> dict[str, str]:
    return {
        "prepare": print_graph(lowered.prepare),
        "fused": print_graph(lowered.fused),
        "plan": print_plan(lowered.plan),
        "kernels": "\n".join(map(print_kernel, lowered.plan.kernels)),
        "source": "\n".join(lowered.source.files.values()),
    }


def print_plan(plan: Plan) -> str:
    """Returns a table of steps with the tensors that each reads and writes, and where they lie."""
    lines = [f"plan {plan.name}: {len(plan.steps)} steps, arena {plan.arena_bytes} bytes"]
    for slot in plan.slots:
        place = f"arena+{slot.arena}" if slot.arena >= 0 else slot.label
        inside = f" within {slot.within}+{slot.offset}" if slot.within else ""
        lines.append(f"  {slot.role:9} {slot.name}: {slot.type} {place}{inside}")
    for number, step in enumerate(plan.steps):
        origin = f"  # {step.origin.path}" if step.origin.path else ""
        lines.append(f"  {number:3} {_what(step)}({', '.join(step.operands)}){origin}")
    return "\n".join(lines) + "\n"


def _what(step: Step) -> str:
    if isinstance(step, Launch):
        return step.kernel.name
    return f"all-reduce {step.number}: {step.kind} "


def _unknown(stage: str, stages: list[str]) -> DhcError:
    guess = did_you_mean(stage, stages)
    hint = f"did you mean '{guess}'?" if guess else f"stages: {', '.join(stages)}"
    return DhcError(Diagnostic("unknown-stage", f"There is no stage '{stage}'.", hints=(hint,)))
