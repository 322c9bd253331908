"""Finds an OpenCL device, and says what is missing where there is none."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from dhc.backends.base import Target
from dhc.backends.grid import tool_missing

if TYPE_CHECKING:
    import pyopencl as cl

POCL = "Portable Computing Language"
_LAST = "Oclgrind"  # a checker, hundreds of times slower than a device


def choose_device(target: Target) -> cl.Device:
    """Returns the device that the target's options name, or the best there is.

    Raises:
        DhcError: if pyopencl or such a device is missing, or PoCL lacks its linker, without which
            it would abort the process.
    """
    platform = _choose_platform(str(target.options.get("platform", "")))
    if platform.name == POCL and shutil.which("ld") is None:
        raise tool_missing(
            "The OpenCL platform PoCL links programs with 'ld', which is not on the PATH.",
            "install it: apt install binutils (or dnf, brew), or choose another platform",
        )
    wanted = str(target.options.get("device", ""))
    devices = [d for d in platform.get_devices() if wanted.lower() in d.name.lower()]
    if not devices:
        raise tool_missing(f"'{platform.name}' has no OpenCL device '{wanted}'.")
    return devices[0]


def _choose_platform(wanted: str) -> cl.Platform:
    platforms = _platforms()
    names = ", ".join(f"'{p.name}'" for p in platforms)
    fitting = [p for p in platforms if _matches(p.name, wanted)]
    if not platforms:
        raise tool_missing(
            "There is no OpenCL platform on this machine.",
            "for the processor: pip install 'pyopencl[pocl]'; for a GPU install its driver",
        )
    if not fitting:
        raise tool_missing(f"There is no OpenCL platform '{wanted}'.", f"installed: {names}")
    return min(fitting, key=lambda p: (p.name == _LAST, p.name != POCL))


def _matches(name: str, wanted: str) -> bool:
    return wanted.lower() in name.lower() or (wanted.lower() == "pocl" and name == POCL)


def _platforms() -> list[cl.Platform]:
    try:
        import pyopencl as cl
    except ImportError:
        raise tool_missing(
            "The OpenCL backend needs the package 'pyopencl', which is not installed.",
            "pip install 'dhc[opencl]'",
        ) from None
    try:
        return list(cl.get_platforms())
    except cl.LogicError:  # the loader found none
        return []
