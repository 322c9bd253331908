"""Programs from the cache prepare what follows from constants as fresh ones do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from dhc.driver import compile_graph
from dhc.ir.graph import Constant, Graph, Input
from dhc.ir.types import DType, Tensor
from dhc.ops.elementwise import Add, Cast


def test_constants_are_prepared_again(cache_folder: Path) -> None:
    row = Constant("row", Tensor(DType.I32, (3,)))()
    x = Input("x", Tensor(DType.F32, (2, 3)))()
    data = {"row": np.arange(3, dtype=np.int32)}
    y = Add()(x, Cast(DType.F32)(row))
    graph = Graph("net", (x,), (("y", y),), constants=data)
    for _ in range(2):  # compiled, then restored
        found = compile_graph(graph, "cpu")(x=np.ones((2, 3), np.float32))["y"]
        np.testing.assert_array_equal(found, np.array([[1, 2, 3]] * 2, np.float32))
    assert any(cache_folder.iterdir())


def test_another_process_knows_how_weights_are_packed(cache_folder: Path, tmp_path: Path) -> None:
    """Of depthwise convolutions too; a process that only restores has not planned them."""
    file = tmp_path / "net.dhm"
    layers = "conv(8, pad=1) -> depthwise(pad=1) -> conv_transpose(4)"
    body = f"input x: f32[1, 8, 8, 8]\noutput y = x -> {layers}"
    file.write_text(f"dhm 1\nmodel M() {{\n{body}\n}}\n")
    script = (
        "import sys, numpy as np, dhc\n"
        "program = dhc.compile(dhc.load(sys.argv[1]).model('M'), 'cpu')\n"
        "program(x=np.ones((1, 8, 8, 8), np.float32))\n"
    )
    for _ in range(2):  # compiled, then restored
        subprocess.run([sys.executable, "-c", script, str(file)], check=True, env={**os.environ})
