"""What compile_time.py runs in fresh processes; it imports nothing that the measured code does not.

fresh.py cold ARTIFACT FILE MODEL SIZE THREADS    compiles, and writes the artifact
fresh.py warm ARTIFACT                            opens it, and runs it twice
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

import dhc
import dhc.opening


def cold(artifact: str, file: str, name: str, size: str, threads: str) -> dict[str, float]:
    """Compiles a model and writes it to a file."""
    start = time.perf_counter()
    model = dhc.load(file).model(name)
    loaded = time.perf_counter()
    _ = model.values  # the random weights are no part of a compilation
    drawn = time.perf_counter()
    shapes = {"N": 1, "H": int(size), "W": int(size)}
    program = dhc.compile(model, "cpu", shapes, threads=int(threads))
    compiled = time.perf_counter()
    program.save(artifact)
    return {
        "load_s": loaded - start,
        "weights_s": drawn - loaded,
        "compile_s": compiled - drawn,
        "load_and_compile_s": loaded - start + compiled - drawn,
        "save_s": time.perf_counter() - compiled,
        "numba_imported": float("numba" in sys.modules),
    }


def warm(artifact: str) -> dict[str, float]:
    """Opens the file and runs the program; memory is counted before, and after the second run."""
    imported = resident_bytes()
    start = time.perf_counter()
    program = dhc.open(artifact)
    opened = time.perf_counter()
    types = program.inputs.items()
    inputs = {label: np.zeros(type.static_shape, type.dtype.numpy) for label, type in types}
    begin = time.perf_counter()
    program(**inputs)
    first = time.perf_counter()
    program(**inputs)
    second = time.perf_counter()
    memory, needed = resident_bytes(), program_bytes(program)
    return {
        "open_s": opened - start,
        "first_run_s": first - begin,
        "second_run_s": second - first,
        "numba_imported": float("numba" in sys.modules),
        "resident_bytes": memory,
        "resident_after_imports_bytes": imported,
        "weights_and_arena_bytes": needed,
        "overhead_bytes": memory - needed,
    }


def resident_bytes() -> int:
    """Returns the memory that this process has now; on systems without /proc, the most it had."""
    try:
        with open("/proc/self/status", encoding="ascii") as stream:
            (line,) = (line for line in stream if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def program_bytes(program: dhc.Program) -> int:
    """Returns what weights and intermediate tensors need; only the LLVM engine knows it.

    No public interface tells this, so it is read from the program's inside.
    """
    (specialised,) = program._cache.values()
    interface = getattr(specialised.executable, "interface", None)
    return 0 if interface is None else interface.weight_bytes + interface.arena_bytes


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    found = warm(*arguments) if command == "warm" else cold(*arguments)
    print(json.dumps(found))
