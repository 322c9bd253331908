"""What this machine can do: versions, processor features, backends and tools."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: What was looked for.
        found: Whether it is there.
        detail: Version or description.
        remedy: How to get it, where it is missing.
    """

    name: str
    found: bool
    detail: str = ""
    remedy: str = ""


def examine() -> list[Finding]:
    """Looks at everything that a target may need; starts no device."""
    return [
        Finding("Python", True, platform.python_version()),
        Finding("system", True, f"{platform.system()} {platform.machine()}"),
        Finding("cores", True, str(os.cpu_count())),
        _vector_units(),
        *(_package(*row) for row in _PACKAGES),
        _mpi(),
        *(_tool(*row) for row in _TOOLS),
    ]


_PACKAGES = (
    ("numba", "numba", "pip install numba"),
    ("OpenCL", "pyopencl", "pip install 'dhc[opencl]'"),
    ("CUDA", "cupy", "pip install 'dhc[cuda]'"),
    ("ONNX", "onnx", "pip install 'dhc[onnx]'"),
    ("NIfTI", "nibabel", "pip install 'dhc[formats]'"),
)
_TOOLS = (
    ("linker (OpenCL on the processor)", "ld", "install the binutils package"),
    ("C++ compiler (FPGA simulation)", "g++", "install the g++ package"),
)


def _vector_units() -> Finding:
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    names = ("avx2", "fma", "avx512f", "avx512_bf16", "amx-bf16", "amx-int8", "neon")
    return Finding("vector units", True, ", ".join(n for n in names if features.get(n)) or "none")


def _package(name: str, module: str, remedy: str) -> Finding:
    if importlib.util.find_spec(module) is None:
        return Finding(name, False, "", remedy)
    try:
        return Finding(name, True, f"{module} {version(module)}")
    except PackageNotFoundError:
        return Finding(name, True, module)


def _mpi() -> Finding:
    """The library that mpi4py loads, and the launcher; they must be of one kind."""
    remedy = "pip install 'dhc[mpi]', or mpi4py with the MPI of a cluster"
    try:
        import mpi4py

        mpi4py.rc.initialize = mpi4py.rc.finalize = False
        from mpi4py import MPI
    except (ImportError, RuntimeError):
        return Finding("MPI (several ranks)", False, "", remedy)
    library = MPI.Get_library_version().splitlines()[0].replace("\t", " ").strip(" \0")
    launcher = shutil.which("mpiexec") or "no mpiexec on the path"
    return Finding("MPI (several ranks)", True, f"{library}, {launcher}")


def _tool(name: str, program: str, remedy: str) -> Finding:
    place = shutil.which(program)
    return Finding(name, place is not None, place or "", "" if place else remedy)
