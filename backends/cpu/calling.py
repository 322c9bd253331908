"""How programs are called: one table of addresses, one block of weights, one barrier."""

from __future__ import annotations

import math
import platform
from dataclasses import dataclass

from dhc.backends.cpu.features import Isa
from dhc.lower.memory import ALIGNMENT
from dhc.lower.plan import Plan, Slot

ENTRY = "run"
FIRST_ARRAY = 3  # addresses before the callers' arrays: arena, weights, barrier


@dataclass(frozen=True)
class WeightBlock:
    """Where each weight lies in the one block that holds them all, in bytes."""

    offsets: dict[str, int]
    bytes: int


def weight_block(plan: Plan) -> WeightBlock:
    """Places the weights one after another."""
    offsets: dict[str, int] = {}
    total = 0
    for slot in plan.by_role("weight"):
        offsets[slot.name] = total
        size = slot.size * slot.type.dtype.bytes
        total += -(-size // ALIGNMENT) * ALIGNMENT
    return WeightBlock(offsets, total)


def entry_names(plan: Plan) -> list[str]:
    """Returns the names of the functions that workers run, one for each stretch of launches."""
    count = sum(isinstance(part, tuple) for part in plan.stretches)
    return [ENTRY] if count == 1 else [f"{ENTRY}{number}" for number in range(count)]


def array_slots(plan: Plan) -> tuple[Slot, ...]:
    """The slots whose memory callers own, in the order of their addresses."""
    return (*plan.by_role("input"), *plan.by_role("output"))


def barrier_bytes() -> int:
    """Memory that a barrier needs: two counters on cache lines of their own."""
    return 2 * math.lcm(ALIGNMENT, 64)


def scratch_start(steps: int) -> int:
    """Bytes from the barrier to the first worker's scratch: a stamp for each step lies between."""
    size = barrier_bytes() + 8 * (steps + 1)
    return -(-size // ALIGNMENT) * ALIGNMENT


def scratch_bytes(plan: Plan, isa: Isa) -> int:
    """Memory of its own that each worker needs: what the greediest kernel asks for."""
    sizes = [own(isa) for step in plan.launches if (own := getattr(step.kernel, "scratch", None))]
    return -(-max(sizes, default=0) // ALIGNMENT) * ALIGNMENT


def pause() -> tuple[str, str]:
    """How LLVM's text tells the processor that a loop only waits: a declaration and a call."""
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        return "declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"
    if machine in ("aarch64", "arm64"):
        return "declare void @llvm.aarch64.hint(i32)", "call void @llvm.aarch64.hint(i32 1)"
    return "", ""


def yield_function() -> str:
    """The system's function that lets another thread run; it takes nothing and returns i32."""
    return "SwitchToThread" if platform.system() == "Windows" else "sched_yield"
