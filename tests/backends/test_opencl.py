"""What the OpenCL backend says where there is no device, and that it never aborts the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dhc.backends.base import Target
from dhc.backends.opencl import device
from dhc.errors import DhcError

cl = pytest.importorskip("pyopencl")


def _platform(name: str, *devices: str) -> SimpleNamespace:
    found = [SimpleNamespace(name=each) for each in devices]
    return SimpleNamespace(name=name, get_devices=lambda: found)


def _offer(monkeypatch: pytest.MonkeyPatch, *platforms: SimpleNamespace) -> None:
    monkeypatch.setattr(cl, "get_platforms", lambda: list(platforms))


def _choose(**options: str) -> str:
    return str(device.choose_device(Target("opencl", options=options)).name)


def test_without_a_platform_the_error_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    _offer(monkeypatch)
    with pytest.raises(DhcError, match="no OpenCL platform") as caught:
        _choose()
    assert "pyopencl[pocl]" in caught.value.diagnostics[0].hints[0]


def test_a_loader_that_finds_nothing_is_no_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise cl.LogicError("clGetPlatformIDs failed: PLATFORM_NOT_FOUND_KHR")

    monkeypatch.setattr(cl, "get_platforms", fail)
    with pytest.raises(DhcError, match="no OpenCL platform"):
        _choose()


def test_pocl_without_a_linker_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _offer(monkeypatch, _platform(device.POCL, "cpu"))
    monkeypatch.setattr(device.shutil, "which", lambda name: None)
    with pytest.raises(DhcError, match="'ld'"):
        _choose()


def test_other_platforms_need_no_linker(monkeypatch: pytest.MonkeyPatch) -> None:
    _offer(monkeypatch, _platform(device.POCL, "cpu"), _platform("A vendor", "gpu"))
    monkeypatch.setattr(device.shutil, "which", lambda name: None)
    assert _choose(platform="vendor") == "gpu"


def test_unknown_names_are_answered_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    _offer(monkeypatch, _platform("A vendor", "gpu"))
    with pytest.raises(DhcError, match="no OpenCL platform 'other'") as caught:
        _choose(platform="other")
    assert "'A vendor'" in caught.value.diagnostics[0].hints[0]
    with pytest.raises(DhcError, match="no OpenCL device 'fpga'"):
        _choose(device="fpga")


BUILD = """
import sys
from dhc.backends.base import Target
from dhc.backends.opencl import OpenclBackend
from dhc.errors import DhcError
from dhc.ir.graph import Graph, Input
from dhc.ops.activation import Relu
from dhc.ops.sample import tensor
x = Input("x", tensor("f32[4]"))()
backend = OpenclBackend(Target("opencl", options={"platform": "pocl"}))
try:
    backend.build(backend.lower(Graph("g", (x,), (("y", Relu()(x)),))).source)
except DhcError as error:
    print(error)
    sys.exit(3)
"""


def test_a_path_without_tools_does_not_abort_the_process(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path)}
    command = [sys.executable, "-c", BUILD]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "ld" in done.stdout or "platform" in done.stdout
