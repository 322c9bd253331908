"""Makes the plan of a fused graph with dense row-major tensors: what portable backends run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dhc.ir.graph import Constant, Graph, Input, Literal_, Node, Param, topological
from dhc.ir.kernel import Kernel
from dhc.ir.scalar import Buffer
from dhc.ir.size import symbols
from dhc.ir.types import Tensor
from dhc.lower.memory import Lifetime, place
from dhc.lower.plan import Launch, Plan, Role, Slot
from dhc.lower.pointwise import joint_kernel
from dhc.lower.schedule import Schedule
from dhc.lower.state import Order, order_of, results_are_computed
from dhc.lower.to_kernels import kernel_of, row_major
from dhc.ops.shape import Copy


def make_plan(graph: Graph, schedule: Schedule) -> Plan:
    """Returns the plan of a graph whose every operator is one kernel.

    Results that are inputs, weights, or the same value as another result are copied.
    """
    graph = results_are_computed(graph)
    order = order_of(graph)
    slots = _make_slots(graph, order)
    kernels: dict[Kernel, Kernel] = {}
    steps: list[Launch] = []

    def launch(node: Node, kernel: Kernel, operands: Sequence[str]) -> None:
        known = kernels.setdefault(
            kernel, replace(kernel, name=f"k{len(kernels)}_{kernel_stem(node)}")
        )
        steps.append(Launch(known, tuple(operands), graph.origin(node)))

    for nodes in order.steps:
        if len(nodes) > 1:
            launch(nodes[-1], *joint_step(nodes, slots, schedule))
            continue
        (node,) = nodes
        operands = [slots[node], *(slots[source] for source in node.inputs)]
        launch(node, kernel_of(node, "", schedule, buffers_of(operands)), operand_names(operands))
    for node, param in order.copied.items():
        pair = [slots[param], slots[node]]
        copy = Copy("state")(node)
        launch(copy, kernel_of(copy, "", schedule, buffers_of(pair)), operand_names(pair))
    placed, arena = _place_temporaries(tuple(dict.fromkeys(slots.values())), steps)
    sizes = sorted({s for i in graph.inputs for size in i.type.shape for s in symbols(size)})
    return Plan(identifier(graph.name), placed, tuple(steps), arena, tuple(sizes))


def joint_step(
    nodes: Sequence[Node], slots: Mapping[Node, Slot], schedule: Schedule, flat: bool = False
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
    kernel = joint_kernel(nodes, {n: buffers[slots[n].name] for n in needed}, schedule, flat)
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


def _make_slots(graph: Graph, order: Order) -> dict[Node, Slot]:
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
    return slots


def _slot(name: str, label: str, type: Tensor, role: Role) -> Slot:
    known = all(isinstance(size, int) for size in type.shape)
    elements = math.prod(type.static_shape) if known else 0
    return Slot(name, label, type, role, row_major(name, type), size=elements)


def _place_temporaries(slots: Iterable[Slot], steps: list[Launch]) -> tuple[tuple[Slot, ...], int]:
    slots = tuple(slots)
    uses: dict[str, list[int]] = {}
    for number, step in enumerate(steps):
        for operand in step.operands:
            uses.setdefault(operand, []).append(number)
    lifetimes = [
        Lifetime(
            slot.name, slot.size * slot.type.dtype.bytes, uses[slot.name][0], uses[slot.name][-1]
        )
        for slot in slots
        if slot.role == "temporary"
    ]
    offsets, total = place(lifetimes)
    placed = tuple(replace(slot, arena=offsets.get(slot.name, -1)) for slot in slots)
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
