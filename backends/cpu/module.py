"""Assembles LLVM modules for a plan: its kernels, and the function that every worker runs.

A plan with collectives has a function for each stretch of launches between them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

from dhc.backends.cpu.calling import (
    FIRST_ARRAY,
    WeightBlock,
    array_slots,
    barrier_bytes,
    entry_names,
    pause,
    scratch_bytes,
    scratch_start,
    weight_block,
    yield_function,
)
from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.function import FunctionText
from dhc.backends.cpu.half import half_definitions
from dhc.backends.cpu.kernel_printer import print_kernel
from dhc.ir.kernel import Kernel
from dhc.lower.plan import Launch, Plan, Slot

PART = 400_000  # characters of a module, when kernels take more than that


@runtime_checkable
class NativeKernel(Protocol):
    """A kernel whose text comes from a generator of its own.

    One that has a method `scratch(isa)` gets as many bytes of memory for each worker alone.
    """

    @property
    def name(self) -> str: ...

    @property
    def joins_next(self) -> bool:
        """Whether the next step may run at the same time."""

    def function(self, isa: Isa) -> FunctionText:
        """Prints it; parameters are the operands' addresses, then worker and workers."""


def print_modules(plan: Plan, isa: Isa, profile: bool = False) -> tuple[str, ...]:
    """Returns the texts of a plan's modules; the same plan gives the same texts.

    The first has the functions that workers call. If there is much text the kernels are in further
    modules, which can be compiled at the same time.

    Args:
        plan: What to print.
        isa: For which processor.
        profile: Whether the first worker writes the cycle counter before and after each step.
    """
    functions: dict[str, FunctionText] = {}
    for step in plan.launches:
        if step.kernel.name not in functions:
            functions[step.kernel.name] = _function(step, isa)
    head = f"; dhc program {plan.name} for {isa.name}"
    entries = [_barrier(), *_entries(plan, functions, isa, profile)]
    if sum(len(function.text()) for function in functions.values()) <= PART:
        return (_joined([head, *_texts(functions.values(), "internal"), *entries]),)
    known = "\n".join(function.prototype() for function in functions.values())
    first = _joined([head, known, *entries])
    parts = (_texts(part, "hidden") for part in _parts(plan, functions))
    return (first, *(_joined([head, *part]) for part in parts))


def _parts(plan: Plan, functions: Mapping[str, FunctionText]) -> list[list[FunctionText]]:
    """The functions of each module: of generators, which are the same for any batch, and others."""
    generic = {kernel.name for kernel in plan.kernels}
    kinds: list[list[FunctionText]] = [[], []]
    for name, function in functions.items():
        kinds[name in generic].append(function)
    return [part for kind in kinds for part in _cut(kind)]


def _cut(functions: Sequence[FunctionText]) -> list[list[FunctionText]]:
    """Cuts functions into parts of about the same size, not much above `PART`."""
    sizes = [len(function.text()) for function in functions]
    count = -(-sum(sizes) // PART)
    found: list[list[FunctionText]] = [[] for _ in range(count)]
    before = 0
    for function, size in zip(functions, sizes, strict=True):
        found[min(before * count // sum(sizes), count - 1)].append(function)
        before += size
    return [part for part in found if part]


def _texts(functions: Collection[FunctionText], linkage: str) -> list[str]:
    """Functions after what they call: declarations, and functions that each module has itself."""
    definitions = {n: text for f in functions for n, text in f.definitions.items()}
    declarations = {line for f in functions for line in f.declarations}
    called = ["\n".join(sorted(declarations)), *(definitions[n] for n in sorted(definitions))]
    return [*called, *(function.text(linkage) for function in functions)]


def _joined(parts: Sequence[str]) -> str:
    attributes = 'attributes #0 = { noinline nounwind "prefer-vector-width"="512" }'
    return "\n".join([*parts, attributes]) + "\n"


def _function(step: Launch, isa: Isa) -> FunctionText:
    if isinstance(step.kernel, Kernel):
        function = print_kernel(step.kernel, isa.lanes)
    else:
        assert isinstance(step.kernel, NativeKernel)
        function = step.kernel.function(isa)
    function.definitions |= half_definitions(function.text(), isa)
    return function


PIECE = 100  # launches in one function: compilers take too long over functions of thousands


def _entries(
    plan: Plan, functions: Mapping[str, FunctionText], isa: Isa, profile: bool
) -> list[str]:
    """The functions that each worker calls."""
    stretches = [part for part in plan.stretches if isinstance(part, tuple)]
    found: list[str] = []
    done = 0
    for name, launches in zip(entry_names(plan), stretches, strict=True):
        pieces = [launches[k : k + PIECE] for k in range(0, len(launches), PIECE)] or [()]
        names = [name] if len(pieces) == 1 else [f"{name}.{k}" for k in range(len(pieces))]
        for own, piece in zip(names, pieces, strict=True):
            last = piece is pieces[-1]
            found.append(_entry(own, plan, functions, isa, piece, last, done if profile else None))
            done += len(piece)
        if len(pieces) > 1:
            found.append(_in_turn(name, names))
    return found


def _in_turn(name: str, names: Sequence[str]) -> str:
    """A function that calls others, one after another."""
    calls = [f"  call void @{each}(ptr %bases, i64 %worker, i64 %workers)" for each in names]
    head = f"define void @{name}(ptr %bases, i64 %worker, i64 %workers) {{"
    return "\n".join([head, *calls, "  ret void", "}", ""])


def _entry(
    name: str,
    plan: Plan,
    functions: Mapping[str, FunctionText],
    isa: Isa,
    launches: Sequence[Launch],
    ends: bool,
    stamp: int | None,
) -> str:
    """A function of some launches, with a barrier after each but the last of all.

    Args:
        name: Its name.
        plan: Where its operands lie.
        functions: What launches call.
        isa: What the kernels are printed for.
        launches: What it runs.
        ends: Whether the last of all is among them.
        stamp: How many launches were before it, if their cycles are kept.
    """
    weights = weight_block(plan)
    arrays = {slot.name: FIRST_ARRAY + k for k, slot in enumerate(array_slots(plan))}
    lines = [
        f"define void @{name}(ptr %bases, i64 %worker, i64 %workers) noinline {{",
        "  %arena = load ptr, ptr %bases",
        "  %weightsat = getelementptr ptr, ptr %bases, i64 1",
        "  %weights = load ptr, ptr %weightsat",
        "  %barrierat = getelementptr ptr, ptr %bases, i64 2",
        "  %barrier = load ptr, ptr %barrierat",
        *_scratch(plan, isa),
    ]
    slots = {slot.name: slot for slot in plan.slots}
    lines += [] if stamp is None else _stamp(stamp)
    for number, step in enumerate(launches, 1):
        given = [f"ptr %{name}.{number}" for name in step.operands]
        for name in dict.fromkeys(step.operands):
            lines += _address(slots[name], f"%{name}.{number}", arrays, weights)
        if getattr(step.kernel, "scratch", None):
            given.append("ptr %scratch")
        sizes = [f"i64 {size}" for size in functions[step.kernel.name].sizes]
        arguments = ", ".join([*given, "i64 %worker", "i64 %workers", *sizes])
        call = f"  call void @{step.kernel.name}({arguments})"
        lines.append(f"{call} ; {step.origin.path}".rstrip(" ;"))
        last = ends and number == len(launches)
        if not last and not getattr(step.kernel, "joins_next", False):
            lines.append("  call void @barrier(ptr %barrier, i64 %workers)")
        lines += [] if stamp is None else _stamp(stamp + number)
    return "\n".join([*lines, "  ret void", "}", ""])


def _scratch(plan: Plan, isa: Isa) -> list[str]:
    """Finds this worker's own memory, where some step needs it."""
    size = scratch_bytes(plan, isa)
    if not size:
        return []
    return [
        f"  %before = mul i64 %worker, {size}",
        f"  %scratchat = add i64 %before, {scratch_start(len(plan.launches))}",
        "  %scratch = getelementptr i8, ptr %barrier, i64 %scratchat",
    ]


def _stamp(number: int) -> list[str]:
    """Writes the cycle counter after the barrier's counters; all workers write about the same."""
    place = barrier_bytes() + 8 * number
    return [
        f"  %stamp{number} = getelementptr i8, ptr %barrier, i64 {place}",
        f"  %cycles{number} = call i64 @llvm.readcyclecounter()",
        f"  store i64 %cycles{number}, ptr %stamp{number}",
    ]


def _address(slot: Slot, to: str, arrays: dict[str, int], weights: WeightBlock) -> list[str]:
    """Loads the address of a slot's first logical element, just where it is needed.

    Compilers take long over many addresses that all live through a long function.
    """
    start = slot.offset * slot.type.dtype.bytes
    if slot.name in arrays:
        return [
            f"  {to}.at = getelementptr ptr, ptr %bases, i64 {arrays[slot.name]}",
            f"  {to} = load ptr, ptr {to}.at",
        ]
    base = "%weights" if slot.role == "weight" else "%arena"
    start += weights.offsets[slot.name] if slot.role == "weight" else slot.arena
    return [f"  {to} = getelementptr i8, ptr {base}, i64 {start}"]


def _barrier() -> str:
    declaration, call = pause()
    text = _BARRIER.replace("PAUSE", call).replace("YIELD", yield_function())
    return f"{declaration}\n{text}"


_BARRIER = """declare i32 @YIELD()
declare i64 @llvm.readcyclecounter()

; All workers wait for the last. The counter is at 0, the generation at 64 bytes.
define internal void @barrier(ptr %state, i64 %workers) noinline {
entry:
  %alone = icmp eq i64 %workers, 1
  br i1 %alone, label %done, label %arrive
arrive:
  %generation = getelementptr i8, ptr %state, i64 64
  %before = load atomic i64, ptr %generation monotonic, align 64
  %others = atomicrmw add ptr %state, i64 1 acq_rel, align 64
  %wanted = sub i64 %workers, 1
  %last = icmp eq i64 %others, %wanted
  br i1 %last, label %open, label %spin
open:
  store atomic i64 0, ptr %state monotonic, align 64
  %next = add i64 %before, 1
  store atomic i64 %next, ptr %generation release, align 64
  br label %done
spin:
  %turn = phi i64 [ 0, %arrive ], [ %following, %again ], [ 0, %rest ]
  %now = load atomic i64, ptr %generation acquire, align 64
  %opened = icmp ne i64 %now, %before
  br i1 %opened, label %done, label %wait
wait:
  PAUSE
  %following = add i64 %turn, 1
  %long = icmp ugt i64 %following, 4096
  br i1 %long, label %rest, label %again
again:
  br label %spin
rest:
  %ignored = call i32 @YIELD()
  br label %spin
done:
  ret void
}
"""
