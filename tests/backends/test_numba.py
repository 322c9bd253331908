"""The engine `numba` of the CPU backend: parallel loops, what it refuses, and what it imports."""

from __future__ import annotations

import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dhc.backends.base import Source, Target
from dhc.backends.cpu import CpuBackend
from dhc.backends.cpu.numba.executable import NumbaExecutable, import_text
from dhc.backends.cpu.numba.module import print_module
from dhc.backends.cpu.numba.printer import is_parallel
from dhc.backends.cpu.numba.schedule import SharedLoops
from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.ir.graph import Array, Graph, Input, Param
from dhc.ir.types import DType, Tensor
from dhc.lower.planner import make_plan
from dhc.ops.activation import Relu
from dhc.ops.conv import Conv
from dhc.ops.elementwise import Mul
from dhc.ops.sample import tensor

NUMBA = Target("cpu", options={"engine": "numba"})


def _network() -> Graph:
    x = Input("x", tensor("f32[1, 3, 9, 8]"))()
    weight = Param("conv.weight", tensor("f32[5, 3, 3, 3]"))()
    conv = Conv((1, 1), ((1, 1), (0, 1)), (1, 1))(x, weight)
    return Graph("network", (x,), (("y", Relu()(conv)), ("before", conv)))


def _arrays() -> tuple[Array, Array]:
    random = np.random.default_rng(0)
    shapes = (1, 3, 9, 8), (5, 3, 3, 3)
    x, weight = (random.normal(size=shape).astype(np.float32) for shape in shapes)
    return x, weight


def _run(executable: NumbaExecutable) -> dict[str, Array]:
    x, weight = _arrays()
    executable.load({"conv.weight": weight})
    return executable({"x": x})


def _built(enough: int, threads: int = 0) -> NumbaExecutable:
    plan = make_plan(_network(), SharedLoops(enough))
    assert all(is_parallel(kernel) == (enough == 1) for kernel in plan.kernels)
    return NumbaExecutable(Source({"network.py": print_module(plan)}, plan), threads)


def test_workers_compute_what_one_worker_computes() -> None:
    alone, shared = _run(_built(1 << 40)), _run(_built(1, threads=2))
    np.testing.assert_array_equal(alone["y"], shared["y"])
    np.testing.assert_array_equal(alone["y"], np.maximum(shared["before"], 0))


def test_small_loops_are_not_shared() -> None:
    text = CpuBackend(NUMBA).lower(_network()).source.text
    assert "prange" not in text
    assert "parallel=True" not in text


def test_the_loop_that_is_shared_has_several_turns() -> None:
    text = print_module(make_plan(_network(), SharedLoops(1)))
    assert "for i0 in range(1):\n        for i1_turn in prange(5):" in text


def test_calls_may_overlap() -> None:
    x, weight = _arrays()
    executable = _built(1, threads=2)
    executable.load({"conv.weight": weight})
    inputs = [x * np.float32(k) for k in range(8)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda array: executable({"x": array})["y"], inputs))
    np.testing.assert_array_equal(results, [executable({"x": array})["y"] for array in inputs])


def test_read_only_and_strided_inputs_are_taken() -> None:
    executable = _built(1 << 40)
    expected = _run(executable)["y"]
    x, _ = _arrays()
    wide = np.repeat(x, 2, axis=3)
    wide.setflags(write=False)
    np.testing.assert_array_equal(executable({"x": wide[..., ::2]})["y"], expected)


def test_half_precision_is_refused() -> None:
    x = Input("x", Tensor(DType.F16, (4,)))()
    with pytest.raises(DhcError, match="half precision"):
        CpuBackend(NUMBA).check(Graph("half", (x,), (("y", Relu()(x)),)))


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(DhcError, match="no engine 'cython'"):
        CpuBackend(Target("cpu", options={"engine": "cython"}))


def test_tracebacks_show_the_printed_text() -> None:
    module = import_text("broken", "def run():\n    return 1 // 0\n")
    with pytest.raises(ZeroDivisionError) as caught:
        module.run()
    assert "return 1 // 0" in "".join(traceback.format_tb(caught.value.__traceback__))


LOWER = """
import sys
from dhc.backends.base import Target
from dhc.backends.cpu import CpuBackend
from dhc.ir.graph import Graph, Input
from dhc.ops.activation import Relu
from dhc.ops.sample import tensor
x = Input("x", tensor("f32[4]"))()
backend = CpuBackend(Target("cpu", options={"engine": "numba"}))
backend.lower(Graph("g", (x,), (("y", Relu()(x)),)))
sys.exit("numba" in sys.modules)
"""


def test_numba_is_imported_only_to_build() -> None:
    assert subprocess.run([sys.executable, "-c", LOWER], check=False).returncode == 0


def test_numbers_without_axes_can_be_read_by_every_worker() -> None:
    x, scale = (Input(n, Tensor(DType.F32, s))() for n, s in (("x", (64, 64)), ("scale", ())))
    graph = Graph("scaled", (x, scale), (("y", Mul()(x, scale)),))
    program = compile_graph(graph, Target("cpu", threads=2, options={"engine": "numba"}))
    values = np.arange(64 * 64, dtype=np.float32).reshape(64, 64)
    np.testing.assert_array_equal(program(x=values, scale=np.float32(3))["y"], 3 * values)
