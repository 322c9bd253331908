"""Makes the plan of a fused graph with dense row-major tensors: what portable backends run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from dhc.ir.graph import Constant, Graph, Input, Literal_, Node, Param, topological, users
from dhc.ir.kernel import Kernel
from dhc.ir.scalar import Buffer
from dhc.ir.size import symbols
from dhc.ir.types import Tensor
from dhc.lower.alike import Alike, kind_of
from dhc.lower.buckets import part_slot, parts_of, place_in_buckets
from dhc.lower.memory import Lifetime, place
from dhc.lower.plan import Collective, Launch, Plan, Role, Slot, Step
from dhc.lower.pointwise import joint_kernel
from dhc.lower.schedule import Schedule
from dhc.lower.state import Order, order_of, results_are_computed
from dhc.lower.to_kernels import kernel_of, row_major
from dhc.lower.views import place_views
from dhc.ops.collective import AllReduceStart, AllReduceWait
from dhc.ops.shape import Copy


def make_plan(graph: Graph, schedule: Schedule) -> Plan:
    """Returns the plan of a graph whose every operator is one kernel.

    Results that are inputs, weights, or the same value as another result are copied.
    """
    return _Planner(results_are_computed(graph), schedule).plan()


class _Planner:
    def __init__(self, graph: Graph, schedule: Schedule) -> None:
        self._graph = graph
        self._schedule = schedule
        self._order = order_of(graph)
        self._slots, self._views = _make_slots(graph, self._order)
        self._extra: list[Slot] = []
        self._kernels: dict[Kernel, Kernel] = {}
        self._alike: Alike[Kernel] = Alike()
        self._steps: list[Step] = []

    def plan(self) -> Plan:
        for nodes in self._order.steps:
            if nodes[-1] in self._views:
                continue
            if len(nodes) > 1:
                self._launch(nodes[-1], *self._joint(nodes))
            else:
                self._step(nodes[0])
        for node, param in self._order.copied.items():
            self._copy("state", node, self._slots[param])
        slots = tuple(dict.fromkeys((*self._slots.values(), *self._extra)))
        placed, arena = place_temporaries(slots, self._steps)
        shapes = [node.type.shape for node in self._graph.inputs]
        sizes = sorted({s for shape in shapes for size in shape for s in symbols(size)})
        name = identifier(self._graph.name)
        return Plan(name, placed, tuple(self._steps), arena, tuple(sizes))

    def _joint(self, nodes: Sequence[Node]) -> tuple[Kernel, tuple[str, ...]]:
        return joint_step(nodes, self._slots, self._schedule, self._alike)

    def _step(self, node: Node) -> None:
        match node.op:
            case AllReduceStart():
                for source, piece in copies_into(node, self._slots):
                    self._extra.append(piece)
                    self._copy("piece", source, piece)
                self._steps.append(collective(node, self._slots, self._graph))
            case AllReduceWait():
                self._steps.append(collective(node, self._slots, self._graph))
            case _:
                operands = [self._slots[node], *(self._slots[source] for source in node.inputs)]
                buffers = buffers_of(operands)
                kernel = self._alike.made(
                    (*kind_of(node), buffers), lambda: kernel_of(node, "", self._schedule, buffers)
                )
                self._launch(node, kernel, operand_names(operands))

    def _copy(self, label: str, node: Node, to: Slot) -> None:
        pair = [to, self._slots[node]]
        copy = Copy(label)(node)
        kernel = kernel_of(copy, "", self._schedule, buffers_of(pair))
        self._launch(copy, kernel, operand_names(pair))

    def _launch(self, node: Node, kernel: Kernel, operands: Sequence[str]) -> None:
        name = f"k{len(self._kernels)}_{kernel_stem(node)}"
        known = self._kernels.setdefault(kernel, replace(kernel, name=name))
        self._steps.append(Launch(known, tuple(operands), self._graph.origin(node)))


def copies_into(start: Node, slots: Mapping[Node, Slot]) -> list[tuple[Node, Slot]]:
    """Returns what must be copied into a bucket, and where to."""
    bucket = slots[start]
    return [
        (source, part_slot(bucket, source, first))
        for source, first in parts_of(start)
        if slots[source].within != bucket.name
    ]


def collective(node: Node, slots: Mapping[Node, Slot], graph: Graph) -> Collective:
    """Returns the step of a start or a wait."""
    assert isinstance(node.op, (AllReduceStart, AllReduceWait))
    kind: Literal["start", "wait"] = "start" if isinstance(node.op, AllReduceStart) else "wait"
    return Collective(kind, node.op.number, slots[node].name, graph.origin(node))


def joint_step(
    nodes: Sequence[Node],
    slots: Mapping[Node, Slot],
    schedule: Schedule,
    alike: Alike[Kernel],
    flat: bool = False,
) -> tuple[Kernel, tuple[str, ...]]:
    """Returns the kernel of nodes that are computed together, and the slots that it takes."""
    buffers: dict[str, Buffer] = {}
    for node in nodes:
        buffers[slots[node].name] = replace(slots[node].buffer, name=f"out{len(buffers)}")
    for source in (source for node in nodes for source in node.inputs):
        name = slots[source].name
        if name not in buffers:
            number = len(buffers) - len(nodes)
            buffers[name] = replace(slots[source].buffer, name=f"in{number}")
    needed = {*nodes, *(source for node in nodes for source in node.inputs)}
    own = {node: buffers[slots[node].name] for node in needed}
    what = tuple(
        (*kind_of(node), own[node], tuple(own[source] for source in node.inputs)) for node in nodes
    )
    kernel = alike.made(what, lambda: joint_kernel(nodes, own, schedule, flat))
    owners = {buffer.name: name for name, buffer in buffers.items()}
    return kernel, tuple(owners[buffer.name] for buffer in kernel.buffers)


def buffers_of(operands: Sequence[Slot]) -> tuple[Buffer, ...]:
    """Returns the buffers of a kernel's operands, the result first.

    An operand in the place of the result is the result's own buffer.
    """
    out = replace(operands[0].buffer, name="out")
    inputs = (
        out if slot.name == operands[0].name else replace(slot.buffer, name=f"in{k}")
        for k, slot in enumerate(operands[1:])
    )
    return (out, *inputs)


def operand_names(operands: Sequence[Slot]) -> tuple[str, ...]:
    """Returns the slots that a launch passes: each once for each buffer of `buffers_of`."""
    first, *rest = (slot.name for slot in operands)
    return (first, *(name for name in rest if name != first))


def _make_slots(graph: Graph, order: Order) -> tuple[dict[Node, Slot], frozenset[Node]]:
    """Returns where nodes lie, and which of them lie there without being computed."""
    outputs = {node: name for name, node in graph.outputs}
    slots: dict[Node, Slot] = {}
    for node in (*graph.inputs, *order.copied.values(), *order.in_place.values(), *order.nodes):
        if node in slots:
            continue
        if node in order.in_place:
            slots[node] = slots[order.in_place[node]]
            continue
        match node.op:
            case Input(label):
                slots[node] = _slot(f"in_{identifier(label)}", label, node.type, "input")
            case Param(path):
                slots[node] = _slot(f"w{len(slots)}", path, node.type, "weight")
            case Constant(digest):
                slots[node] = _slot(f"w{len(slots)}", digest, node.type, "weight")
            case _ if node in outputs:
                label = outputs[node]
                slots[node] = _slot(f"out_{identifier(label)}", label, node.type, "output")
            case _:
                slots[node] = _slot(f"t{len(slots)}", "", node.type, "temporary")
    views = place_views(slots)
    place_in_buckets(slots, users(graph.roots))
    return slots, views


def _slot(name: str, label: str, type: Tensor, role: Role) -> Slot:
    known = all(isinstance(size, int) for size in type.shape)
    elements = math.prod(type.static_shape) if known else 0
    return Slot(name, label, type, role, row_major(name, type), size=elements)


def place_temporaries(slots: Iterable[Slot], steps: Sequence[Step]) -> tuple[tuple[Slot, ...], int]:
    """Gives every storage its bytes of the arena, for the time that any tensor in it is needed.

    Returns:
        The slots with their places, and the size of the arena.
    """
    slots = tuple(slots)
    owner = {slot.name: slot.within or slot.name for slot in slots}
    uses: dict[str, list[int]] = {}
    for number, step in enumerate(steps):
        for operand in step.operands:
            uses.setdefault(owner[operand], []).append(number)
    lifetimes = [
        Lifetime(s.name, s.size * s.type.dtype.bytes, uses[s.name][0], uses[s.name][-1])
        for s in slots
        if s.role == "temporary" and not s.within and s.name in uses
    ]
    offsets, total = place(lifetimes)
    placed = tuple(
        replace(s, arena=offsets[owner[s.name]]) if owner[s.name] in offsets else s for s in slots
    )
    return placed, total


def kernel_stem(node: Node) -> str:
    """Returns what a node computes, in a few words that may stand in an identifier."""
    from dhc.ops.region import Region

    if isinstance(node.op, Region):
        names = [n.op.name for n in topological(node.op.body.roots)]
        stem = "_".join(n for n in names if n not in (Input.name, Literal_.name))[:40]
    else:
        stem = node.op.name
    return identifier(stem)


def identifier(text: str) -> str:
    """Returns the text with everything replaced that cannot stand in a C identifier."""
    return re.sub(r"\W", "_", text) or "main"
