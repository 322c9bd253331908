"""The machine that is measured: its description, and settings of memory that are fair to all."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

# By default the C library returns large blocks to the system after each call and takes new pages
# for the next one. Where first touches of pages are expensive, as in many virtual machines, that
# alone makes some contenders several times slower. With these settings they keep what they had.
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
}

_PACKAGES = (
    "dhc",
    "llvmlite",
    "numpy",
    "torch",
    "torchvision",
    "onnx",
    "onnxruntime",
    "openvino",
    "opencv-python-headless",
    "opencv-python",
)
_FEATURES = ("avx2", "fma", "avx512f", "avx512vnni", "avx512bf16", "amx-bf16", "amx-int8", "neon")


def keep_memory() -> None:
    """Starts this process anew with the settings above, unless it has them."""
    if all(os.environ.get(name) == value for name, value in MALLOC.items()):
        return
    sys.stdout.flush()
    environment = {**os.environ, **MALLOC}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def isa() -> str:
    """Returns the kind of vector unit that dhc compiles for here."""
    from dhc.backends.cpu.features import host_isa

    return host_isa().name


def kind() -> str:
    """Returns a short name of this kind of machine: its vector unit and who made it."""
    words = processor().lower()
    makers = [maker for maker in ("amd", "intel", "apple", "arm") if maker in words]
    return "-".join((isa(), *makers[:1]))


def describe(threads: int) -> dict[str, object]:
    """Returns what a reader needs to judge the numbers."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "features": _features(),
        "isa": isa(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "threads": threads,
        "malloc": {name: os.environ.get(name) for name in MALLOC},
        "python": platform.python_version(),
        "versions": versions(_PACKAGES),
    }


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Returns the versions of those packages that are installed."""
    found: dict[str, str] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def print_description(described: dict[str, object]) -> None:
    """Prints a description, one line for each entry."""
    for name, value in described.items():
        text = value
        if isinstance(value, dict):
            text = ", ".join(f"{key} {each}" for key, each in value.items())
        print(f"{name:10} {text}")
    print(flush=True)


def _features() -> str:
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return " ".join(name for name in _FEATURES if features.get(name)) or "none"


def processor() -> str:
    """Returns the name that the processor gives itself; virtual machines may give another."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            names = [line.split(":")[1].strip() for line in stream if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor()
