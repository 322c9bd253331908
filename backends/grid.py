"""What CUDA and OpenCL share: plans of grid kernels, their text, and where launches find memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dhc.backends.cstyle import GRID, print_kernel, unsupported
from dhc.backends.launch import block_counts, thread_counts
from dhc.errors import DhcError, Diagnostic
from dhc.ir.evaluate import evaluate
from dhc.ir.graph import Array, Graph, Node, topological
from dhc.ir.kernel import Barrier, For, If, Kernel, Let, statements
from dhc.ir.scalar import Var, index
from dhc.ir.types import DType, Tensor
from dhc.lower.plan import Collective, Plan, Slot, Step
from dhc.lower.planner import make_plan
from dhc.lower.schedule import Grid
from dhc.ops.collective import AllReduceStart

THREADS = 128


def grid_plan(graph: Graph, threads: int = THREADS) -> Plan:
    """Returns the plan of a fused graph whose every kernel is spread over a grid of threads."""
    plan = make_plan(graph, Grid(threads))
    return replace(plan, steps=tuple(_spread_step(step, threads) for step in plan.steps))


def _spread_step(step: Step, threads: int) -> Step:
    if isinstance(step, Collective):
        return step
    assert isinstance(step.kernel, Kernel)
    return replace(step, kernel=spread(step.kernel, threads))


def spread(kernel: Kernel, threads: int) -> Kernel:
    """Spreads a kernel that is one parallel loop over a grid; others run on one thread."""
    match kernel.body:
        case (For(var, extent, body, "parallel"),):
            block, thread = Var("block", DType.I64), Var("thread", DType.I64, threads)
            place = Let(var, block * threads + thread)
            inner = For(thread, index(threads), (place, If(var < extent, body)), "thread")
            blocks = (extent + (threads - 1)) // threads
            return replace(kernel, body=(For(block, blocks, (inner,), "block"),))
    return kernel


def kernels_text(plan: Plan) -> str:
    """Returns the text of all kernels, the same for CUDA and OpenCL."""
    return "\n".join(print_kernel(kernel, GRID) for kernel in plan.kernels)


# ---- launches ---------------------------------------------------------------------------------

ARENA = ""


@dataclass(frozen=True)
class Place:
    """Where an operand lies.

    Attributes:
        owner: The slot whose memory it is; `ARENA` for temporaries.
        first: The number of elements before logical element 0.
    """

    owner: str
    first: int


@dataclass(frozen=True)
class GridLaunch:
    """A launch with all numbers known; dimensions count from the fastest."""

    kernel: Kernel
    places: tuple[Place, ...]
    blocks: tuple[int, ...]
    threads: tuple[int, ...]


@dataclass(frozen=True)
class GridStop:
    """A place between launches where ranks meet.

    Attributes:
        kind: `start` or `wait`.
        number: Of the bucket.
        place: Where the bucket lies.
        type: Its element type and size.
    """

    kind: str
    number: int
    place: Place
    type: Tensor

    @property
    def bytes(self) -> slice:
        """Its part of the arena."""
        size = self.type.dtype.bytes
        first = self.place.first * size
        return slice(first, first + self.type.static_shape[0] * size)


def grid_steps(plan: Plan) -> tuple[GridLaunch | GridStop, ...]:
    """Returns the steps of a plan without run-time sizes; no launches with nothing to do."""
    assert not plan.sizes, "a device program is made for known sizes"
    slots = {slot.name: slot for slot in plan.slots}
    steps: list[GridLaunch | GridStop] = []
    for step in plan.steps:
        if isinstance(step, Collective):
            bucket = slots[step.bucket]
            place = place_of(bucket, slots)
            steps.append(GridStop(step.kind, step.number, place, bucket.type))
            continue
        assert isinstance(step.kernel, Kernel)
        places = tuple(place_of(slots[operand], slots) for operand in step.operands)
        blocks = tuple(int(evaluate(count, {})) for count in block_counts(step.kernel))
        if all(blocks):
            steps.append(GridLaunch(step.kernel, places, blocks, thread_counts(step.kernel)))
    return tuple(steps)


def launches_of(steps: Iterable[GridLaunch | GridStop]) -> tuple[GridLaunch, ...]:
    """Returns the launches among steps."""
    return tuple(step for step in steps if isinstance(step, GridLaunch))


def place_of(slot: Slot, slots: dict[str, Slot]) -> Place:
    """Returns where a slot's logical element 0 lies."""
    owner = slot
    while owner.within:
        owner = slots[owner.within]
    if owner.role != "temporary":
        return Place(owner.name, slot.offset)
    return Place(ARENA, owner.arena // slot.type.dtype.bytes + slot.offset)


def has_barrier(kernel: Kernel) -> bool:
    """Whether the threads of a block wait for each other."""
    return any(isinstance(statement, Barrier) for statement in statements(kernel.body))


def storage_bytes(slot: Slot) -> int:
    """Returns the bytes of a slot's memory; at least 1, for devices without empty buffers."""
    return max(slot.size * slot.type.dtype.bytes, 1)


def as_slot(slot: Slot, array: Array) -> Array:
    """Returns an array as a slot wants it: contiguous, of its element type and shape.

    Raises:
        ValueError: if the shape or the element type differ.
    """
    dtype, shape = slot.type.dtype.numpy, slot.type.static_shape
    if array.shape != shape or array.dtype != dtype:
        found = f"{array.dtype}{list(array.shape)}"
        raise ValueError(f"'{slot.label}' must be {slot.type}, not {found}.")
    return np.ascontiguousarray(array)


# ---- refusals ---------------------------------------------------------------------------------


def refuse_types(graph: Graph, refusal: Callable[[DType], str], backend: str) -> None:
    """Refuses the element types that a device has not, naming every layer that needs one.

    Args:
        graph: What is to be compiled.
        refusal: Says why a type cannot be used; empty where it can.
        backend: The backend's name, for the message.

    Raises:
        DhcError: if a node's values are of such a type.
    """
    found: list[Diagnostic] = []
    for node in topological((*graph.inputs, *graph.roots)):
        reason = refusal(node.type.dtype)
        if reason:
            found.append(_refusal(graph, node, reason, backend))
    if found:
        raise DhcError(found)


def _refusal(graph: Graph, node: Node, reason: str, backend: str) -> Diagnostic:
    origin = graph.origin(node)
    layer = f"Layer '{origin.path}'" if origin.path else f"'{node.op.name}'"
    return Diagnostic(
        "unsupported-type",
        f"{layer} has {node.type.dtype} values, which '{backend}' cannot compute: {reason}.",
        span=origin.span,
        hints=("convert with cast(x, f32), or compile for another target",),
    )


def refuse_collectives(graph: Graph, reason: str) -> None:
    """Refuses sums over ranks on a device that cannot stop for them.

    Raises:
        DhcError: if there is one.
    """
    for node in topological(graph.roots):
        if isinstance(node.op, AllReduceStart):
            hints = ("leave 'distribute' out", "train on the processor: --target cpu")
            span = graph.origin(node).span
            raise DhcError(Diagnostic("unsupported-layer", reason, span, hints=hints))


def no_printer(dtype: DType) -> str:
    """Says that C has no such type."""
    return "generated C has no such type yet" if unsupported(dtype) else ""


def tool_missing(message: str, *hints: str) -> DhcError:
    """Returns the error for a tool or device that is not there."""
    return DhcError(Diagnostic("missing-tool", message, hints=tuple(hints)))


def weight_of(slot: Slot, weights: Sequence[str]) -> str:
    """Returns the label under which a slot's weights are given.

    Raises:
        ValueError: if there are none.
    """
    if slot.label not in weights:
        raise ValueError(f"There are no weights for '{slot.label}'.")
    return slot.label


def weight_slots(plan: Plan) -> dict[str, Slot]:
    """Returns the slots of the weights by label."""
    return {slot.label: slot for slot in plan.by_role("weight")}
