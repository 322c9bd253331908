"""The folder of an FPGA design: its testbench passes, and finds mistakes that are put in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dhc.backends.base import Lowered, Target
from dhc.backends.fpga.project import verify, write_project
from dhc.driver import COMMON_PASSES
from dhc.errors import DhcError
from dhc.ir.graph import Array, Graph, Input, Param
from dhc.ops.activation import Relu
from dhc.ops.conv import Conv
from dhc.ops.linear import Dense
from dhc.ops.pool import MaxPool
from dhc.ops.sample import tensor
from dhc.ops.shape import Reshape
from dhc.passes.manager import run_passes
from dhc.targets import find_backend

Change = Callable[[Path], None]


def _network() -> Graph:
    x = Input("x", tensor("f32[1, 2, 8, 8]"))()
    kernel, bias = (
        Param("conv.weight", tensor("f32[4, 2, 3, 3]"))(),
        Param("conv.bias", tensor("f32[4]"))(),
    )
    conv = Relu()(Conv((1, 1), ((1, 1), (1, 1)), (1, 1))(x, kernel, bias))
    pooled = MaxPool((2, 2), (2, 2), ((0, 0), (0, 0)))(conv)
    logits = Dense()(Reshape((1, 64))(pooled), Param("dense.weight", tensor("f32[3, 64]"))())
    return Graph("small", (x,), (("logits", logits),))


def _parameters() -> dict[str, Array]:
    random = np.random.default_rng(0)
    shapes = {"conv.weight": (4, 2, 3, 3), "conv.bias": (4,), "dense.weight": (3, 64)}
    return {path: random.normal(size=size).astype(np.float32) for path, size in shapes.items()}


def _lowered(graph: Graph) -> Lowered:
    target = Target("fpga")
    lowered: Lowered = find_backend("fpga")(target).lower(run_passes(graph, COMMON_PASSES))
    return lowered


@pytest.fixture
def project(tmp_path: Path) -> Path:
    graph = _network()
    write_project(tmp_path, _lowered(graph), graph, _parameters())
    return tmp_path


def test_a_design_agrees_with_the_reference(project: Path) -> None:
    found = verify(project)
    assert found.passed
    assert found.values == 3


def test_a_project_has_what_vendor_tools_need(project: Path) -> None:
    files = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    assert {"model.cpp", "hls.h", "testbench.cpp", "vitis_hls.tcl", "hls_config.cfg"} <= files
    assert {"README.md", "data/in_x.bin", "data/weights_float.bin", "data/out_logits.bin"} <= files


def _golden_value(project: Path) -> None:
    path = project / "data" / "out_logits.bin"
    values = np.fromfile(path, np.float32)
    values[1] += 0.01 * np.abs(values).max()
    path.write_bytes(values.tobytes())


def _not_a_number(project: Path) -> None:
    path = project / "data" / "weights_float.bin"
    values = np.fromfile(path, np.float32)
    values[-1] = np.nan
    path.write_bytes(values.tobytes())


def _padding(project: Path) -> None:
    _replace(project, "k0 - 1", "k0 - 2")


def _activation(project: Path) -> None:
    _replace(project, "max_float(", "min_float(")


def _replace(project: Path, old: str, new: str) -> None:
    path = project / "model.cpp"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("change", [_golden_value, _not_a_number, _padding, _activation])
def test_a_mistake_is_found(project: Path, change: Change) -> None:
    change(project)
    found = verify(project)
    assert not found.passed
    assert found.wrong > 0


def test_golden_data_that_are_too_short_are_refused(project: Path) -> None:
    path = project / "data" / "out_logits.bin"
    path.write_bytes(path.read_bytes()[:4])
    with pytest.raises(DhcError, match="did not come to its end"):
        verify(project)


def test_text_that_is_no_cpp_is_refused(project: Path) -> None:
    _replace(project, "float acc0", "floaty acc0")
    with pytest.raises(DhcError, match="compiler refused"):
        verify(project)
