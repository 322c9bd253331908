"""A program from the cache, in a process of its own, knows the operators of its weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import numpy as np
from dhc.driver import compile_graph
from dhc.ir.graph import Graph, Input, Param
from dhc.ir.types import DType, Tensor
from dhc.ops.conv import Conv

x = Input("x", Tensor(DType.F32, (1, 16, 8, 8)))()
w = Param("w", Tensor(DType.F32, (16, 1, 3, 3)))()
y = Conv((1, 1), ((1, 1), (1, 1)), (1, 1), 16)(x, w)
weights = {"w": np.ones((16, 1, 3, 3), np.float32)}
program = compile_graph(Graph("depthwise", (x,), (("y", y),)), "cpu", parameters=weights)
print(int(program(x=np.ones((1, 16, 8, 8), np.float32))["y"].sum()))
"""


def test_depthwise_weights_are_packed_by_a_restored_program(cache_folder: Path) -> None:
    for _ in range(2):  # compiled, then restored where nothing of the compiler is loaded
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
        )
        assert int(run.stdout) == 16 * 22 * 22
    assert any(cache_folder.iterdir())
