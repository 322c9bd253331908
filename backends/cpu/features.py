"""What this processor's vector units can do, read from its features and never from its name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Isa:
    """A kind of vector unit.

    Attributes:
        name: `avx512`, `avx2` or `generic`.
        lanes: Floats in one register.
        registers: Vector registers that code may use.
        cpu: The processor that LLVM schedules for.
        features: LLVM's feature text; empty for what `cpu` implies.
    """

    name: str
    lanes: int
    registers: int
    cpu: str
    features: str = ""


AVX512 = Isa("avx512", 16, 32, "x86-64-v4", "-prefer-256-bit")
AVX2 = Isa("avx2", 8, 16, "x86-64-v3")
GENERIC = Isa("generic", 4, 16, "")


def host_isa(limit: str = "") -> Isa:
    """Returns the best kind that this machine has, at most `limit` if one is named."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    wide = all(features.get(f) for f in ("avx512f", "avx512bw", "avx512dq", "avx512vl"))
    if wide and limit in ("", AVX512.name):
        return AVX512
    if features.get("avx2") and features.get("fma") and limit != GENERIC.name:
        return AVX2
    return GENERIC
